//! The hot loops of ArrayJob. Kernels borrow input, output and scratch memory. They allocate nothing per frame, do no I/O and start no
//! threads.
//!
//! In the order of the data flow: [`pixel`] gives bytes a type, [`recenter`] computes a frame's centroid and crops the frame, [`reduce`]
//! sums frames, [`cut`] cuts frames into blocks, [`checksum`] finds damage of rows and changes of frames, [`spectrum`] transforms the pixels
//! of a band over time. `cpu` selects the code for the vector extensions of the CPU.

mod cpu;

pub mod pixel;

pub mod recenter;

pub mod reduce;

pub mod cut;

pub mod checksum;

pub mod spectrum;
