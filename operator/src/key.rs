//! The operator's key: a Secret in its own namespace, made once, from which every job's certificates and token follow.

use crate::identity::{KEY_BYTES, MasterKey};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use ring::rand::{SecureRandom as _, SystemRandom};
use thiserror::Error;

/// The Secret's name. The operator's role names it, and it alone, for reading.
pub const SECRET: &str = "arrayjob-operator-key";
const ENTRY: &str = "key";

/// Why there is no key.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message says it")]
pub enum Error {
    #[error("the Secret {SECRET} cannot be read or made")]
    Api(#[from] kube::Error),
    #[error("the Secret {SECRET} holds no key of {KEY_BYTES} bytes; delete it, and running jobs' servers will be replaced")]
    Malformed,
    #[error("the system gives no random numbers")]
    Random,
}

/// Reads the key, or makes it where there is none.
///
/// # Errors
/// When it cannot be read or made.
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
        Ok(_) => Ok(MasterKey::new(&bytes)),
        // Another operator was faster.
        Err(kube::Error::Api(status)) if status.code == 409 => read(&api.get(SECRET).await?),
        Err(error) => Err(error.into()),
    }
}

fn read(secret: &Secret) -> Result<MasterKey, Error> {
    let entry = secret.data.as_ref().and_then(|data| data.get(ENTRY)).ok_or(Error::Malformed)?;
    let bytes: &[u8; KEY_BYTES] = entry.0.as_slice().try_into().map_err(|_| Error::Malformed)?;
    Ok(MasterKey::new(bytes))
}
