//! Streams to pods, and the reasons why a pod is not reachable.

use futures_util::future::BoxFuture;
use tokio::io::DuplexStream;

/// A stream to a pod's port, and the error that the API server reports beside the stream.
pub(crate) struct PodStream {
    pub(crate) stream: DuplexStream,
    pub(crate) error: BoxFuture<'static, Option<String>>,
}

/// Why no pod responds, with the HTTP status for the client. The status shows the client whether a retry may help.
#[derive(Debug)]
pub(crate) struct DialError {
    pub(super) status: &'static str,
    pub(super) reason: String,
}

impl DialError {
    /// A state that passes: a retry may help.
    pub(super) fn unavailable(reason: impl Into<String>) -> Self {
        Self { status: "503 Service Unavailable", reason: reason.into() }
    }

    /// A missing permission: a retry does not help.
    pub(super) fn forbidden(reason: impl Into<String>) -> Self {
        Self { status: "403 Forbidden", reason: reason.into() }
    }

    /// A lost pod: the request itself may be the cause, so a retry may end the next pod.
    pub(super) fn bad_gateway(reason: impl Into<String>) -> Self {
        Self { status: "502 Bad Gateway", reason: reason.into() }
    }

    /// The same error, with the name of the pod.
    pub(super) fn of_pod(self, pod: &str) -> Self {
        Self { reason: format!("{pod}: {}", self.reason), ..self }
    }
}

/// Access to a set of pods.
pub(crate) trait Dial: Send + Sync + 'static {
    /// Names of the pods to try, in order.
    fn pods(&self) -> impl Future<Output = Result<Vec<String>, DialError>> + Send;
    /// A stream to one pod.
    fn dial(&self, pod: &str) -> impl Future<Output = Result<PodStream, DialError>> + Send;
    /// Records that this pod responded.
    fn responded(&self, pod: &str);
}
