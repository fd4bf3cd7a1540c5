//! The identities of one job: its own certificate authority, a certificate for its servers, a certificate for the operator, and the
//! readers' token. All are derived from the operator's key and the job's uid. The operator stores nothing, and a restarted operator
//! connects to the same servers.

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519};
use ring::hmac;
use rustls_pki_types::PrivatePkcs8KeyDer;
use std::fmt;
use thiserror::Error;
use transport::tls;

/// Length of the operator's key, in bytes.
pub const KEY_BYTES: usize = 32;
/// PKCS #8 header before an Ed25519 seed ([RFC 8410, section 7](https://www.rfc-editor.org/rfc/rfc8410#section-7)).
const PKCS8_ED25519: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// The library refused to create a certificate. All inputs are fixed, so the error is a bug.
#[derive(Debug, Error)]
#[error("cannot create the certificates of the job")]
pub struct Error(#[from] rcgen::Error);

/// The operator's key. Its owner can impersonate every server of every job.
#[derive(Clone)]
pub struct MasterKey(hmac::Key);

impl fmt::Debug for MasterKey {
    /// Does not print the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey")
    }
}

/// The identities of one job.
pub struct Identities {
    /// For the servers: the authority, their certificate, and its key.
    pub server: tls::Identity,
    /// For the operator as a client of the servers.
    pub operator: tls::Identity,
    /// For readers: a bearer token of 32 hexadecimal digits.
    pub token: String,
}

impl fmt::Debug for Identities {
    /// Does not print the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identities")
    }
}

impl MasterKey {
    /// Creates the key from its bytes.
    pub fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The identities of the job with this uid. The same key and uid always give the same identities.
    ///
    /// # Errors
    /// If the library refuses an input, which does not occur.
    pub fn identities(&self, uid: &str) -> Result<Identities, Error> {
        let authority_key = self.key_pair(uid, "authority")?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, format!("ArrayJob {uid}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = params.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(params, authority_key);
        let leaf = |role: &str, usages: Vec<ExtendedKeyUsagePurpose>| -> Result<tls::Identity, Error> {
            let key = self.key_pair(uid, role)?;
            let mut params = CertificateParams::new(vec![tls::SERVER_NAME.to_owned()])?;
            params.distinguished_name.push(DnType::CommonName, role);
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = usages;
            let certificate = params.signed_by(&key, &issuer)?.pem();
            Ok(tls::Identity { authority: authority.clone(), certificate, key: key.serialize_pem() })
        };
        let token = self.derive(uid, "token").iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Ok(Identities {
            server: leaf("server", vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth])?,
            // Without `ServerAuth`, the operator's certificate cannot be used by a server.
            operator: leaf("operator", vec![ExtendedKeyUsagePurpose::ClientAuth])?,
            token,
        })
    }

    fn key_pair(&self, uid: &str, role: &str) -> Result<KeyPair, Error> {
        let der = [&PKCS8_ED25519[..], &self.derive(uid, role)].concat();
        Ok(KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der), &PKCS_ED25519)?)
    }

    /// 32 bytes for one role of one job.
    fn derive(&self, uid: &str, role: &str) -> Vec<u8> {
        hmac::sign(&self.0, format!("arrayjob/v1/{uid}/{role}").as_bytes()).as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_of_one_job_are_stable_and_differ_from_other_jobs() {
        let key = MasterKey::new(&[7; KEY_BYTES]);
        let (one, again, other) = (key.identities("a").unwrap(), key.identities("a").unwrap(), key.identities("b").unwrap());
        assert_eq!(one.server.certificate, again.server.certificate);
        assert_eq!(one.server.key, again.server.key);
        assert_eq!(one.token, again.token);
        assert_eq!(one.token.len(), 32);
        assert!(one.token != other.token && one.server.key != other.server.key && one.server.authority != other.server.authority);
        assert!(one.server.key != one.operator.key);
        let other_key = MasterKey::new(&[8; KEY_BYTES]).identities("a").unwrap();
        assert!(other_key.token != one.token);
        assert_eq!(format!("{key:?} {one:?}"), "MasterKey Identities");
    }

    #[test]
    fn the_tls_library_accepts_the_identities() {
        transport::crypto::install_crypto();
        let identities = MasterKey::new(&[7; KEY_BYTES]).identities("a").unwrap();
        tls::server_config(&identities.server).unwrap();
        tls::client_config(&identities.operator).unwrap();
    }
}
