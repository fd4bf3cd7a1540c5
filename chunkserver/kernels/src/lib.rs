//! The hot loops of ArrayJob. Kernels borrow input, output and scratch; they allocate nothing per frame, do no I/O and know no threads.
//!
//! In the order in which data meets them: [`pixel`] gives bytes their type, [`recenter`] finds a frame's centroid and crops, [`reduce`] sums
//! frames, [`cut`] cuts a frame's pixels into blocks and pastes them, [`spectrum`] transforms a band of pixels over time.

mod cpu;

pub mod pixel;

pub mod recenter;

pub mod reduce;

pub mod cut;

pub mod spectrum;
