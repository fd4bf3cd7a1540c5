//! File formats of ArrayJob, without I/O: bytes in, bytes out.
//!
//! [`decode`] turns the bytes of an image into a frame (y, x), [`scratch`] counts the memory of that, [`encode`] turns an array into the bytes of a file, [`aspect`] selects the
//! value, magnitude or phase of complex elements, [`zarr`] maps the arrays of a job to the keys, metadata and chunks of a Zarr hierarchy.

pub mod decode;

pub mod encode;
pub mod scratch;

pub mod aspect;

pub mod zarr;
