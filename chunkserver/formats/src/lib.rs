//! File formats of ArrayJob, without I/O: bytes come in and bytes go out.
//!
//! [`decode`] turns the bytes of an image into a frame, [`encode`] turns an array into the bytes of a file, [`aspect`] states which real
//! values of complex elements readers see, [`zarr`] names the keys, metadata and chunks of a job's arrays as a Zarr hierarchy.

pub mod decode;

pub mod encode;

pub mod aspect;

pub mod zarr;
