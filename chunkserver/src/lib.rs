//! One server of an ArrayJob. Modules in the order in which data meets them: [`source`] gets bytes ([`objects`] opens stores), [`decode`]
//! makes frames of them, [`store`] owns pixels, [`reduce`] sums as they pass, [`recenter`] crops, [`spectrum`] transforms. [`share`] is
//! all that one server has of one job; [`exchange`] turns its slabs into tiles, [`results`] reads it back, [`encode`] makes files,
//! [`zarr`] names what readers find, [`server`] answers. [`worker`] drives them; [`compute`] is where CPU work runs, [`journal`] what was
//! done. A server runs as a [`process`] on loopback, or [`standalone`] as one of a cluster, where [`tls`] tells friend from stranger.

pub mod objects;
pub mod source;

pub mod decode;
pub mod probe;

pub mod store;

pub mod pixel;
pub mod reduce;

pub mod recenter;

pub mod spectrum;

pub mod share;

pub mod exchange;
pub mod results;

pub mod encode;
pub mod zarr;

pub mod server;
pub mod tls;

pub mod compute;
pub mod journal;
pub mod process;
pub mod standalone;
pub mod worker;
