//! Sends HTTP requests over sockets. With the feature `simulation`, a simulation may send them over an in-memory network.

#[cfg(feature = "simulation")]
pub mod simulation;

use reqwest::{Client, ClientBuilder, IntoUrl, Method, RequestBuilder, Response};
use std::time::Duration;

/// Timeouts of a client. `None` is no timeout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Of a connection attempt.
    pub connect: Option<Duration>,
    /// Longest pause before the response, and between two parts of its body.
    pub silence: Option<Duration>,
    /// Of a request and the whole body of its response. A request may have another one.
    pub total: Option<Duration>,
}

/// An HTTP client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    #[cfg(feature = "simulation")]
    simulated: Option<simulation::Simulated>,
}

impl Http {
    /// A client with these timeouts.
    ///
    /// # Errors
    /// When the HTTP library refuses the configuration.
    pub fn new(mut builder: ClientBuilder, timeouts: Timeouts) -> Result<Self, reqwest::Error> {
        if let Some(connect) = timeouts.connect {
            builder = builder.connect_timeout(connect);
        }
        if let Some(silence) = timeouts.silence {
            builder = builder.read_timeout(silence);
        }
        if let Some(total) = timeouts.total {
            builder = builder.timeout(total);
        }
        #[cfg(feature = "simulation")]
        let builder = simulation::without_certificates(builder);
        Ok(Self::of(builder.build()?, timeouts))
    }

    /// A client that already has these timeouts.
    #[cfg_attr(not(feature = "simulation"), expect(unused_variables, reason = "only a simulated network applies them"))]
    pub fn of(client: Client, timeouts: Timeouts) -> Self {
        Self {
            client,
            #[cfg(feature = "simulation")]
            simulated: simulation::Simulated::here(timeouts),
        }
    }

    /// A request.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// A GET.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.client.get(url)
    }

    /// A PUT.
    pub fn put(&self, url: impl IntoUrl) -> RequestBuilder {
        self.client.put(url)
    }

    /// A POST.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.client.post(url)
    }

    /// Sends a request of this client.
    ///
    /// # Errors
    /// As [`RequestBuilder::send`].
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, reqwest::Error> {
        #[cfg(feature = "simulation")]
        if let Some(simulated) = &self.simulated {
            return simulated.send(request).await;
        }
        request.send().await
    }
}
