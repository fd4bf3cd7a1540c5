//! Mutual TLS between the servers of one job, and what commands them: a certificate authority of the job's own, and nobody
//! else. Who shows a certificate of that authority belongs to the job; names and addresses prove nothing.

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

/// The DNS name in the certificate of every server. Servers are dialled by address, and addresses change; the certificate
/// says what they are.
pub const SERVER_NAME: &str = "server.arrayjob.internal";

/// The only protocol that is spoken inside.
const HTTP_1: &[u8] = b"http/1.1";

/// Who one program is, and whom it believes: PEM, as text.
#[derive(Clone)]
pub struct Identity {
    /// Certificate of the job's authority; whoever it has signed is believed, and nobody else.
    pub authority: String,
    /// The program's own certificate, and those between it and the authority, if any.
    pub certificate: String,
    /// The key of `certificate`, PKCS #8.
    pub key: String,
}

impl fmt::Debug for Identity {
    /// Never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

/// Why an identity is of no use.
#[derive(Debug, Error)]
pub enum Error {
    /// A file that is not there, or not text.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Text that is no PEM of the right kind.
    #[error("the {what} is not PEM")]
    Pem {
        /// Which of the three.
        what: &'static str,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// No certificate where one has to be.
    #[error("the {what} is empty")]
    Empty {
        /// Which of the three.
        what: &'static str,
    },
    /// A certificate or key that cannot be used, or do not belong together.
    #[error("the certificates and the key cannot be used")]
    Unusable(#[from] rustls::Error),
    /// An authority that nobody can be checked against.
    #[error("the authority's certificate cannot be used")]
    Authority(#[from] VerifierBuilderError),
}

impl Identity {
    /// An identity from the files `ca.crt`, `tls.crt` and `tls.key` of a folder.
    ///
    /// # Errors
    /// When a file cannot be read. What it holds is looked at by [`server_config`] and [`client_config`].
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

/// For a server: shows the certificate, and takes nobody without one of the same authority. TLS 1.3, HTTP/1.1.
///
/// # Errors
/// When the identity is of no use.
pub fn server_config(identity: &Identity) -> Result<ServerConfig, Error> {
    let clients = WebPkiClientVerifier::builder_with_provider(identity.roots()?, provider()).build()?;
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut config = builder.with_client_cert_verifier(clients).with_single_cert(identity.chain()?, identity.private_key()?)?;
    config.alpn_protocols = vec![HTTP_1.to_vec()];
    Ok(config)
}

/// For a client of servers: shows the certificate, and believes a server whose certificate is of the same authority and for
/// [`SERVER_NAME`], whatever address was dialled. TLS 1.3, HTTP/1.1.
///
/// # Errors
/// When the identity is of no use.
pub fn client_config(identity: &Identity) -> Result<ClientConfig, Error> {
    let chains = WebPkiServerVerifier::builder_with_provider(identity.roots()?, provider()).build()?;
    let name = ServerName::try_from(SERVER_NAME).map_err(|_| rustls::Error::General("the servers' name is no DNS name".into()))?;
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&rustls::version::TLS13])?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(OneName { chains, name }));
    let mut config = builder.with_client_auth_cert(identity.chain()?, identity.private_key()?)?;
    config.alpn_protocols = vec![HTTP_1.to_vec()];
    Ok(config)
}

/// Checks a server's certificate as always, but for one fixed name in the place of the address that was dialled.
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
