//! Google's interface of objects in XML, which is S3's but for its keys, for outputs and sources behind `gs://`.
//!
//! Emulators of Google's store know its interface in JSON, and too little of this one. So objects are kept by the S3 server
//! that somebody else wrote, behind a gateway that takes Google's tokens.

use crate::listening::Listening;
use crate::referee::interpreter;
use crate::repository;
use crate::s3::{BUCKET, ObjectStore};
use std::process::Command;

/// The only token that is any good.
const TOKEN: &str = "a-token-of-nobodys";

/// A store with one empty bucket. Gone when dropped.
#[derive(Debug)]
pub struct Gcs {
    gateway: Listening,
    _store: ObjectStore,
}

impl Default for Gcs {
    fn default() -> Self {
        let store = ObjectStore::default();
        let gateway = Listening::start("gateway", |listen| {
            let mut command = Command::new(interpreter());
            command
                .arg(repository().join("tests/clients/gcs_gateway.py"))
                .args([&listen.port().to_string(), TOKEN])
                .envs(store.environment());
            command
        });
        Self { gateway, _store: store }
    }
}

impl Gcs {
    /// The URL of an object, or of a prefix.
    pub fn url(&self, key: &str) -> String {
        format!("gs://{BUCKET}/{key}")
    }

    /// What reaches it by its environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        self.environment_of(TOKEN)
    }

    /// The same with a token that nobody gave out.
    pub fn wrong_environment(&self) -> Vec<(&'static str, String)> {
        self.environment_of("another")
    }

    fn environment_of(&self, token: &str) -> Vec<(&'static str, String)> {
        vec![("GOOGLE_BASE_URL", self.gateway.url()), ("GOOGLE_BEARER_TOKEN", token.to_owned())]
    }
}
