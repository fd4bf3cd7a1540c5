//! The API server of a cluster: connection, requests, and refusals in words.

use crate::args::ClusterOptions;
use crate::error::Error;
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use std::time::Duration;

/// Timeout of a connection to the API server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of one response of the API server. Watches and port-forwards last longer and do not use [`request`].
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// A client of a cluster, and a namespace.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

/// Connects to the cluster of the options.
///
/// # Errors
/// The kubeconfig is missing or invalid.
pub(crate) async fn connect(options: &ClusterOptions) -> Result<Cluster, Error> {
    transport::crypto::install_crypto();
    let unusable = |source: Box<dyn std::error::Error + Send + Sync>| Error::Kubeconfig(source);
    let context = KubeConfigOptions { context: options.context.clone(), ..KubeConfigOptions::default() };
    let config = match &options.kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(|error| unusable(error.into()))?;
            Config::from_custom_kubeconfig(kubeconfig, &context).await.map_err(|error| unusable(error.into()))
        }
        // A pod without a kubeconfig uses the cluster in which the pod runs.
        None => match Config::from_kubeconfig(&context).await {
            Ok(config) => Ok(config),
            Err(error) if options.context.is_none() => Config::incluster().map_err(|_| unusable(error.into())),
            Err(error) => Err(unusable(error.into())),
        },
    };
    let mut config = config?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    let namespace = options.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).map_err(|error| unusable(error.into()))?;
    Ok(Cluster { client, namespace })
}

/// A request as refusals name it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Action<'a> {
    /// The request as a verb and its object, as in "read Secret x".
    pub(crate) name: &'a str,
    /// The rule of a Role that allows the request.
    pub(crate) role: &'a str,
}

/// The response of the API server to one request.
///
/// # Errors
/// The API server refuses the request, or does not respond in time.
pub(crate) async fn request<T>(action: Action<'_>, response: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(RESPONSE_TIMEOUT, response).await {
        Ok(response) => response.map_err(|error| explain(action, error)),
        Err(late) => Err(Error::Cluster { action: action.name.to_owned(), source: late.into() }),
    }
}

/// A failed request in words.
pub(crate) fn explain(action: Action<'_>, error: kube::Error) -> Error {
    let Action { name, role } = action;
    match error {
        kube::Error::Api(status) if status.code == 403 => Error::Refused(format!("no permission to {name}; a Role needs {role}")),
        kube::Error::Api(status) if status.code == 401 => Error::Refused(format!(
            "the cluster does not accept your credentials ({}); log in again, or select another --context",
            status.message
        )),
        kube::Error::Api(status) => Error::Refused(format!("cannot {name}: {}", status.message)),
        other => Error::Cluster { action: name.to_owned(), source: other.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    #[test]
    fn a_refusal_names_the_missing_permission() {
        let status = |code| kube::Error::Api(Status::failure("secrets \"s\" is forbidden", "Forbidden").with_code(code).boxed());
        let sentence = |code| explain(Action { name: "read Secret s", role: "secrets: get" }, status(code)).sentence();
        assert_eq!(sentence(403), "no permission to read Secret s; a Role needs secrets: get");
        assert_eq!(sentence(500), "cannot read Secret s: secrets \"s\" is forbidden");
        assert!(sentence(401).contains("log in"));
    }

    #[tokio::test]
    async fn a_missing_kubeconfig_is_named() {
        let options = ClusterOptions { kubeconfig: Some("/no/such/config".into()), ..ClusterOptions::default() };
        let error = connect(&options).await.err().unwrap().sentence();
        assert!(error.contains("--kubeconfig") && error.contains("/no/such/config"), "{error}");
    }
}
