//! The operator's key, in a Secret of its own namespace. The certificates and the token of every job are derived from the key.

use crate::identity::{KEY_BYTES, MasterKey};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use ring::rand::{SecureRandom as _, SystemRandom};
use thiserror::Error;

/// Name of the Secret. The operator's role allows reading this Secret only.
pub const SECRET: &str = "arrayjob-operator-key";
const ENTRY: &str = "key";

/// Reason why the key is not available.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message states it")]
pub enum Error {
    #[error("cannot read or create the Secret {SECRET}")]
    Api(#[from] kube::Error),
    #[error(
        "the Secret {SECRET} does not contain a key of {KEY_BYTES} bytes; delete the Secret, then delete the running jobs and \
         apply them again"
    )]
    Malformed,
    #[error("the operating system does not provide random numbers")]
    Random,
}

/// Reads the key. If the Secret does not exist, creates it with a random key.
///
/// # Errors
/// If the Secret cannot be read or created.
pub async fn load(client: &Client, namespace: &str) -> Result<MasterKey, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    if let Some(secret) = api.get_opt(SECRET).await? {
        return read(&secret);
    }
    let mut bytes = [0; KEY_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Random)?;
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(SECRET.into()),
            labels: Some([("app.kubernetes.io/part-of".to_owned(), "arrayjob".to_owned())].into()),
            ..ObjectMeta::default()
        },
        data: Some([(ENTRY.to_owned(), ByteString(bytes.to_vec()))].into()),
        immutable: Some(true),
        type_: Some("Opaque".into()),
        ..Secret::default()
    };
    match api.create(&PostParams::default(), &secret).await {
        Ok(_) => {
            tracing::warn!(secret = SECRET, "there was no key: the operator created one; the servers of earlier jobs do not accept it");
            Ok(MasterKey::new(&bytes))
        }
        // Another operator created the Secret first.
        Err(kube::Error::Api(status)) if status.code == 409 => read(&api.get(SECRET).await?),
        Err(error) => Err(error.into()),
    }
}

fn read(secret: &Secret) -> Result<MasterKey, Error> {
    let entry = secret.data.as_ref().and_then(|data| data.get(ENTRY)).ok_or(Error::Malformed)?;
    let bytes: &[u8; KEY_BYTES] = entry.0.as_slice().try_into().map_err(|_| Error::Malformed)?;
    Ok(MasterKey::new(bytes))
}
