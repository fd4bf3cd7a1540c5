//! The program as in a container: settings in the environment, end by a signal.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ED25519};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn a_signal_ends_the_server_within_seconds_and_without_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (authority_key, key) = (KeyPair::generate_for(&PKCS_ED25519).unwrap(), KeyPair::generate_for(&PKCS_ED25519).unwrap());
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(params, authority_key);
    let leaf = CertificateParams::new(vec![transport::tls::SERVER_NAME.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap().pem();
    for (name, text) in [("ca.crt", &authority), ("tls.crt", &leaf), ("tls.key", &key.serialize_pem()), ("token", &"t".to_owned())] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    for signal in ["TERM", "INT"] {
        let mut server = Command::new(env!("CARGO_BIN_EXE_chunkserver"))
            .env_clear()
            .env("ARRAYJOB_TLS_DIR", folder.path())
            .envs(["ARRAYJOB_PEER_PORT", "ARRAYJOB_HTTP_PORT", "ARRAYJOB_METRICS_PORT"].map(|name| (name, "0")))
            .env("ARRAYJOB_THREADS", "2")
            .current_dir("/")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(server.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        for field in ["INFO", "listening", "threads=2", "boot=", "peers=", "readers=", "metrics="] {
            assert!(line.contains(field), "no {field} in {line}");
        }
        let signalled = Instant::now();
        assert!(Command::new("kill").args([format!("-{signal}"), server.id().to_string()]).status().unwrap().success());
        let ended = server.wait().unwrap();
        assert!(ended.success(), "{signal}: {ended}");
        assert!(signalled.elapsed() < Duration::from_secs(5), "{signal}: ended after {:?}", signalled.elapsed());
        let mut rest = String::new();
        log.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "{signal}");
    }
}

#[test]
fn wrong_settings_end_the_server_with_a_message() {
    let ended = Command::new(env!("CARGO_BIN_EXE_chunkserver"))
        .env_clear()
        .envs([("ARRAYJOB_TLS_DIR", "/nowhere"), ("ARRAYJOB_THREADS", "many")])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{log}");
    assert!(log.contains("ARRAYJOB_THREADS is 'many' and must be a number of threads"), "{log}");
}
