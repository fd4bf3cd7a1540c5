//! Reads and checks the settings in the environment.

use api::egress::{EgressPolicy, Rule};
use std::num::NonZero;
use std::path::PathBuf;
use thiserror::Error;

/// Settings of a server. An empty variable counts as not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `ARRAYJOB_TLS_DIR`: folder with `ca.crt`, `tls.crt` and `tls.key` (see [`transport::tls::Identity`]) and `token`, the readers'
    /// token. If the variable is set, the server is a server of a cluster.
    pub tls: PathBuf,
    /// `ARRAYJOB_SOURCE_DIR`: folder of the source's secret; each file is a header or a key of a store (see [`crate::source::secret`]).
    pub source: Option<PathBuf>,
    /// `ARRAYJOB_SCRATCH_DIR`: folder for scratch files. Without it, jobs that store arrays on disk are refused.
    pub scratch: Option<PathBuf>,
    /// `ARRAYJOB_THREADS`: compute threads. Default: the processors of the machine, or the container's limit.
    pub threads: usize,
    /// `ARRAYJOB_AFTER`: why the previous start of this server ended; `None` for the first start.
    pub after: Option<String>,
    /// `ARRAYJOB_EGRESS_DENY` and `ARRAYJOB_EGRESS_ALLOW`: rules, separated by commas, in addition to the networks that are always closed.
    pub egress: EgressPolicy,
    /// The ports.
    pub ports: Ports,
}

/// Port numbers; 0 selects any free port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// `ARRAYJOB_PEER_PORT`: peers and the operator, mutual TLS. Default: 7443.
    pub peers: u16,
    /// `ARRAYJOB_HTTP_PORT`: readers, HTTP with the token. Default: 8080.
    pub readers: u16,
    /// `ARRAYJOB_METRICS_PORT`: probes and metrics, HTTP. Default: 9090.
    pub metrics: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self { peers: 7443, readers: 8080, metrics: 9090 }
    }
}

/// A variable with an invalid value.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{name} is '{value}' and must be {rule}")]
pub struct SettingsError {
    name: &'static str,
    value: String,
    rule: &'static str,
}

impl Settings {
    /// The settings of this process's environment; `None` without `ARRAYJOB_TLS_DIR`.
    ///
    /// # Errors
    /// When the value of a variable is not valid.
    pub fn from_environment() -> Result<Option<Self>, SettingsError> {
        Self::from_variables(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, SettingsError> {
        let given = |name: &'static str| variable(name).filter(|value| !value.is_empty());
        let Some(tls) = given("ARRAYJOB_TLS_DIR").map(PathBuf::from) else { return Ok(None) };
        let port = |name, default| match given(name) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| SettingsError { name, value, rule: "a port: a number from 0 to 65535" }),
        };
        let threads = match given("ARRAYJOB_THREADS") {
            None => std::thread::available_parallelism().map_or(1, NonZero::get),
            Some(value) => match value.parse() {
                Ok(threads @ 1..=MAX_THREADS) => threads,
                _ => return Err(SettingsError { name: "ARRAYJOB_THREADS", value, rule: "a number of threads from 1 to 4096" }),
            },
        };
        let rules = |name| -> Result<Vec<Rule>, SettingsError> {
            let value = given(name).unwrap_or_default();
            let parsed = value.split(',').filter(|rule| !rule.trim().is_empty()).map(str::parse).collect::<Result<_, _>>();
            parsed.map_err(|_| SettingsError { name, value, rule: "networks and host names, separated by commas" })
        };
        let ports = Ports::default();
        Ok(Some(Self {
            tls,
            source: given("ARRAYJOB_SOURCE_DIR").map(PathBuf::from),
            scratch: given("ARRAYJOB_SCRATCH_DIR").map(PathBuf::from),
            threads,
            after: given("ARRAYJOB_AFTER"),
            egress: EgressPolicy { deny: rules("ARRAYJOB_EGRESS_DENY")?, allow: rules("ARRAYJOB_EGRESS_ALLOW")? },
            ports: Ports {
                peers: port("ARRAYJOB_PEER_PORT", ports.peers)?,
                readers: port("ARRAYJOB_HTTP_PORT", ports.readers)?,
                metrics: port("ARRAYJOB_METRICS_PORT", ports.metrics)?,
            },
        }))
    }
}

/// More than the processors of any machine.
const MAX_THREADS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<Settings>, SettingsError> {
        Settings::from_variables(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn unset_variables_have_defaults() {
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&[("ARRAYJOB_TLS_DIR", ""), ("ARRAYJOB_THREADS", "x")]), Ok(None));
        let settings = of(&[("ARRAYJOB_TLS_DIR", "/tls"), ("ARRAYJOB_SOURCE_DIR", "")]).unwrap().unwrap();
        assert_eq!(settings.ports, Ports { peers: 7443, readers: 8080, metrics: 9090 });
        assert!(settings.threads >= 1 && settings.source.is_none() && settings.scratch.is_none());
        let all = [
            ("ARRAYJOB_TLS_DIR", "/tls"),
            ("ARRAYJOB_SOURCE_DIR", "/source"),
            ("ARRAYJOB_SCRATCH_DIR", "/scratch"),
            ("ARRAYJOB_THREADS", "3"),
            ("ARRAYJOB_AFTER", "exit code 1"),
            ("ARRAYJOB_EGRESS_DENY", "10.0.0.0/8, *.internal"),
            ("ARRAYJOB_EGRESS_ALLOW", "10.1.0.0/16"),
            ("ARRAYJOB_PEER_PORT", "1"),
            ("ARRAYJOB_HTTP_PORT", "0"),
            ("ARRAYJOB_METRICS_PORT", "65535"),
        ];
        let expected = Settings {
            tls: "/tls".into(),
            source: Some("/source".into()),
            scratch: Some("/scratch".into()),
            threads: 3,
            after: Some("exit code 1".into()),
            egress: EgressPolicy {
                deny: vec!["10.0.0.0/8".parse().unwrap(), "*.internal".parse().unwrap()],
                allow: vec!["10.1.0.0/16".parse().unwrap()],
            },
            ports: Ports { peers: 1, readers: 0, metrics: 65535 },
        };
        assert_eq!(of(&all), Ok(Some(expected)));
    }

    #[test]
    fn the_error_names_the_variable_and_its_value() {
        let refusal = |name, value| of(&[("ARRAYJOB_TLS_DIR", "/tls"), (name, value)]).unwrap_err().to_string();
        assert_eq!(refusal("ARRAYJOB_HTTP_PORT", "65536"), "ARRAYJOB_HTTP_PORT is '65536' and must be a port: a number from 0 to 65535");
        assert!(refusal("ARRAYJOB_PEER_PORT", "https").contains("ARRAYJOB_PEER_PORT is 'https'"));
        assert!(refusal("ARRAYJOB_METRICS_PORT", "-1").contains("a port"));
        let rules = refusal("ARRAYJOB_EGRESS_DENY", "10.0.0.0/8,a b");
        assert_eq!(rules, "ARRAYJOB_EGRESS_DENY is '10.0.0.0/8,a b' and must be networks and host names, separated by commas");
        assert!(refusal("ARRAYJOB_THREADS", "0").contains("from 1 to 4096"));
    }
}
