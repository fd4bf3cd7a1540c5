//! The in-memory network of a simulation. Programs for users are built without this module.

use super::Timeouts;
use crate::tls;
use axum::http;
use reqwest::{Body, RequestBuilder, Response};
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

/// The future of a response.
pub type Responding = Pin<Box<dyn Future<Output = io::Result<http::Response<Body>>> + Send>>;

/// A network in memory.
pub trait Network: Send + Sync {
    /// Sends a request. The network applies the timeouts, also to the body of the response.
    fn send(&self, sent: Sent) -> Responding;
}

/// A request on its way.
#[derive(Debug)]
pub struct Sent {
    /// The name of the sender.
    pub from: String,
    /// The request.
    pub request: http::Request<Body>,
    /// The timeouts of the sender.
    pub timeouts: Timeouts,
}

/// A place in the network, from which clients send.
#[derive(Clone)]
pub struct Endpoint {
    /// The network.
    pub network: Arc<dyn Network>,
    /// The name of the place.
    pub name: String,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

thread_local! {
    static HERE: RefCell<Option<Endpoint>> = const { RefCell::new(None) };
}

/// Runs `work` at an endpoint: clients that `work` creates on this thread send from there.
pub fn at<T>(endpoint: &Endpoint, work: impl FnOnce() -> T) -> T {
    let before = HERE.replace(Some(endpoint.clone()));
    let done = work();
    HERE.set(before);
    done
}

/// In a simulation, a client that trusts no certificate: reading the certificates of the system takes longer than a simulated job.
pub fn without_certificates(builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    if HERE.with_borrow(Option::is_none) {
        return builder;
    }
    builder.tls_backend_preconfigured(tls::trusting_none())
}

/// The place and the timeouts of a client.
#[derive(Clone, Debug)]
pub(super) struct Simulated {
    endpoint: Endpoint,
    timeouts: Timeouts,
}

impl Simulated {
    /// A client at the endpoint of this thread; `None` outside of a simulation.
    pub(super) fn here(timeouts: Timeouts) -> Option<Self> {
        HERE.with_borrow(|here| here.clone().map(|endpoint| Self { endpoint, timeouts }))
    }

    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, reqwest::Error> {
        let request = request.build()?;
        let total = request.timeout().copied().or(self.timeouts.total);
        let timeouts = Timeouts { total, ..self.timeouts };
        let sent = Sent { from: self.endpoint.name.clone(), request: request.try_into()?, timeouts };
        match self.endpoint.network.send(sent).await {
            Ok(response) => Ok(response.into()),
            Err(error) => Err(as_error(error).await),
        }
    }
}

/// The HTTP library has no public constructor of its errors: an error of a body becomes one, which keeps its kind.
async fn as_error(error: io::Error) -> reqwest::Error {
    let mut error = Some(error);
    loop {
        let failing = futures_util::stream::iter([Err::<bytes::Bytes, _>(error.take().unwrap_or_else(|| io::ErrorKind::Other.into()))]);
        if let Err(error) = Response::from(http::Response::new(Body::wrap_stream(failing))).bytes().await {
            return error;
        }
    }
}
