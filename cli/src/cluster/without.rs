//! The verbs for a cluster in a program that is built without the feature `kubernetes`: each ends with an error that names the
//! command that builds the whole program.

use super::connection::Connection;
use crate::args::{ClusterOptions, Open, Report, Watch};
use crate::error::Error;
use std::convert::Infallible;
use std::time::Instant;

/// No cluster is reachable.
pub(crate) type Cluster = Infallible;

/// # Errors
/// Always.
pub(crate) async fn connect(_: &ClusterOptions) -> Result<Cluster, Error> {
    absent()
}

/// # Errors
/// None: no value of `Cluster` exists.
pub(crate) async fn forward(cluster: &Cluster, _: &str, _: u16) -> Result<Connection, Error> {
    match *cluster {}
}

/// # Errors
/// Always.
pub async fn open(_: Open) -> Result<(), Error> {
    absent()
}

/// # Errors
/// Always.
pub async fn report(_: Report) -> Result<(), Error> {
    absent()
}

/// # Errors
/// Always.
pub async fn watch(_: Watch, _: Instant) -> Result<(), Error> {
    absent()
}

fn absent<T>() -> Result<T, Error> {
    Err(Error::Refused(api::words::not_built("Kubernetes")))
}
