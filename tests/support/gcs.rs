//! A store for `gs://` outputs and sources: the XML API of Google Cloud Storage, which equals the S3 API except for authentication.
//!
//! Emulators of Google Cloud Storage implement the JSON API and too little of the XML API. Therefore the third-party S3 server
//! stores the objects, behind a gateway that accepts bearer tokens.

use crate::listening::Listening;
use crate::referee::interpreter;
use crate::repository;
use crate::s3::{BUCKET, ObjectStore};
use std::process::Command;

/// The only valid token.
const TOKEN: &str = "a-token-of-nobodys";

/// A store with one empty bucket. Dropping the value ends the store.
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
    /// The URL of an object or a prefix.
    pub fn url(&self, key: &str) -> String {
        format!("gs://{BUCKET}/{key}")
    }

    /// Environment variables with the address and the token of the store.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        self.environment_of(TOKEN)
    }

    /// The same variables with an invalid token.
    pub fn wrong_environment(&self) -> Vec<(&'static str, String)> {
        self.environment_of("another")
    }

    fn environment_of(&self, token: &str) -> Vec<(&'static str, String)> {
        vec![("GOOGLE_BASE_URL", self.gateway.url()), ("GOOGLE_BEARER_TOKEN", token.to_owned())]
    }
}
