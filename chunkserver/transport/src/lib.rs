//! How programs of ArrayJob connect to each other over HTTP/1.1.
//!
//! [`crypto`] selects the cryptographic library, [`tls`] authenticates the servers of one job to each other, [`traffic`] counts bytes,
//! [`http`] is the HTTP client, [`client`] sends requests to peers, [`bind`] opens a port, [`listen`] serves a router on it.

pub mod crypto;

pub mod tls;

pub mod traffic;

pub mod http;

pub mod client;

pub mod bind;

pub mod listen;
