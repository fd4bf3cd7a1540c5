//! HTTP clients of object stores that obey the policy, also for the keys of the machine.

use super::{blocked, check, restrict};
use api::egress::EgressPolicy;
use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector};
use reqwest::redirect::Policy;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Most redirects of one request.
const REDIRECTS: usize = 5;

/// Creates clients that obey a policy, or the library's own clients without a policy.
#[derive(Clone, Debug)]
pub struct Connector {
    policy: Option<Arc<EgressPolicy>>,
    /// Longest time of a request; `None` where the caller has its own timeouts.
    timeout: Option<Duration>,
    connect_timeout: Duration,
}

impl Connector {
    /// A connector with these timeouts.
    pub const fn new(policy: Option<Arc<EgressPolicy>>, timeout: Option<Duration>, connect_timeout: Duration) -> Self {
        Self { policy, timeout, connect_timeout }
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let Some(policy) = &self.policy else { return ReqwestConnector::default().connect(options) };
        let of_redirects = Arc::clone(policy);
        let redirects = Policy::custom(move |attempt| match check(attempt.url(), Some(&of_redirects)) {
            Err(blocked) => attempt.error(blocked),
            Ok(()) if attempt.previous().len() > REDIRECTS => attempt.error("too many redirects"),
            Ok(()) => attempt.follow(),
        });
        // A proxy would resolve names itself.
        let builder = reqwest::Client::builder().redirect(redirects).connect_timeout(self.connect_timeout).no_proxy();
        let builder = match self.timeout {
            Some(timeout) => builder.timeout(timeout),
            None => builder,
        };
        let client = restrict(builder, Some(policy)).build();
        let client = client.map_err(|source| object_store::Error::Generic { store: "HTTP", source: Box::new(source) })?;
        Ok(HttpClient::new(Restricted { client, policy: Arc::clone(policy) }))
    }
}

/// A client that checks the URL of each request.
#[derive(Debug)]
struct Restricted {
    client: reqwest::Client,
    policy: Arc<EgressPolicy>,
}

#[async_trait]
impl HttpService for Restricted {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        // A kind that the library does not retry.
        let refused = |blocked| HttpError::new(HttpErrorKind::Unknown, blocked);
        let url = Url::parse(&request.uri().to_string()).map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        check(&url, Some(&self.policy)).map_err(refused)?;
        self.client.call(request).await.map_err(|error| blocked(&error).map_or(error, refused))
    }
}
