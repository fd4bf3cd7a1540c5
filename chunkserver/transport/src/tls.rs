//! Mutual TLS between the servers of one job and the operator. Each job has its own certificate authority, and a certificate of that
//! authority is the only proof of membership. Names and addresses prove nothing.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// The DNS name in the certificate of every server. Clients connect to addresses, which change; the name identifies the role.
pub const SERVER_NAME: &str = "server.arrayjob.internal";

/// The only application protocol (ALPN).
const HTTP_1: &[u8] = b"http/1.1";

/// The certificates and the key of one program, as PEM text.
#[derive(Clone)]
pub struct Identity {
    /// Certificate of the job's authority. A program accepts only certificates that this authority has signed.
    pub authority: String,
    /// The program's certificate, followed by intermediate certificates, if any.
    pub certificate: String,
    /// The key of `certificate`, PKCS #8.
    pub key: String,
}

impl fmt::Debug for Identity {
    /// Does not print the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

/// Why an identity is not valid.
#[derive(Debug, Error)]
pub enum Error {
    /// A file is missing or is not text.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// A text is not PEM of the expected kind.
    #[error("the {what} is not PEM")]
    Pem {
        /// The authority's certificate, the certificate, or the key.
        what: &'static str,
        /// The error of the parser.
        source: pem::Error,
    },
    /// A file contains no certificate.
    #[error("the {what} is empty")]
    Empty {
        /// The authority's certificate, the certificate, or the key.
        what: &'static str,
    },
    /// A certificate or the key is not valid, or the two do not match.
    #[error("the certificates and the key are not usable")]
    Unusable(#[from] rustls::Error),
    /// The authority's certificate cannot verify other certificates.
    #[error("the authority's certificate is not usable")]
    Authority(#[from] VerifierBuilderError),
}

impl Identity {
    /// An identity from the files `ca.crt`, `tls.crt` and `tls.key` of a folder.
    ///
    /// # Errors
    /// When a file is not readable. [`server_config`] and [`client_config`] check the content.
    pub fn from_folder(folder: &Path) -> Result<Self, Error> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).map_err(|source| Error::Read { path, source })
        };
        Ok(Self { authority: read("ca.crt")?, certificate: read("tls.crt")?, key: read("tls.key")? })
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        certificates("certificate", &self.certificate)
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, Error> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(|source| Error::Pem { what: "key", source })
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates("authority's certificate", &self.authority)? {
            roots.add(certificate)?;
        }
        Ok(Arc::new(roots))
    }
}

fn certificates(what: &'static str, text: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let found = found.map_err(|source| Error::Pem { what, source })?;
    if found.is_empty() { Err(Error::Empty { what }) } else { Ok(found) }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The TLS configuration of a server: it sends its certificate and requires a client certificate of the same authority. TLS 1.3, HTTP/1.1.
///
/// # Errors
/// When the identity is not valid.
pub fn server_config(identity: &Identity) -> Result<ServerConfig, Error> {
    let clients = WebPkiClientVerifier::builder_with_provider(identity.roots()?, provider()).build()?;
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut config = builder.with_client_cert_verifier(clients).with_single_cert(identity.chain()?, identity.private_key()?)?;
    config.alpn_protocols = vec![HTTP_1.to_vec()];
    Ok(config)
}

/// The TLS configuration of a client: it sends its certificate and accepts a server whose certificate is of the same authority and for
/// [`SERVER_NAME`], at any address. TLS 1.3, HTTP/1.1.
///
/// # Errors
/// When the identity is not valid.
pub fn client_config(identity: &Identity) -> Result<ClientConfig, Error> {
    let chains = WebPkiServerVerifier::builder_with_provider(identity.roots()?, provider()).build()?;
    let name = ServerName::try_from(SERVER_NAME).map_err(|_| rustls::Error::General("the name of the servers is not a DNS name".into()))?;
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&rustls::version::TLS13])?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(OneName { chains, name }));
    let mut config = builder.with_client_auth_cert(identity.chain()?, identity.private_key()?)?;
    config.alpn_protocols = vec![HTTP_1.to_vec()];
    Ok(config)
}

/// The TLS configuration of a client that trusts no certificate.
pub fn trusting_none() -> ClientConfig {
    ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth()
}

/// Verifies a server's certificate with one fixed name instead of the address of the connection.
#[derive(Debug)]
struct OneName {
    chains: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl ServerCertVerifier for OneName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _dialled: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.chains.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}
