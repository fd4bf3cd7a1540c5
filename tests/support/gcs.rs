//! Google's interface of objects in XML, which is S3's but for its keys, for outputs and sources behind `gs://`.
//!
//! Emulators of Google's store know its interface in JSON, and too little of this one. So objects are kept by the S3 server
//! that somebody else wrote, behind a gateway that takes Google's tokens.

use crate::referee::interpreter;
use crate::s3::{BUCKET, ObjectStore};
use crate::{repository, until};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// The only token that is any good.
const TOKEN: &str = "a-token-of-nobodys";

/// A store with one empty bucket. Gone when dropped.
#[derive(Debug)]
pub struct Gcs {
    gateway: Child,
    address: String,
    _store: ObjectStore,
}

impl Drop for Gcs {
    fn drop(&mut self) {
        let _ = self.gateway.kill();
        let _ = self.gateway.wait();
    }
}

impl Default for Gcs {
    fn default() -> Self {
        let store = ObjectStore::default();
        // Free a moment ago; nobody else picks ports on a machine that runs tests.
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let gateway = Command::new(interpreter())
            .arg(repository().join("tests/clients/gcs_gateway.py"))
            .args([&listen.port().to_string(), TOKEN])
            .envs(store.environment())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut store = Self { gateway, address: listen.to_string(), _store: store };
        until("the gateway listens", || {
            assert!(store.gateway.try_wait().unwrap().is_none(), "the gateway ended");
            TcpStream::connect(&store.address).is_ok()
        });
        store
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
        vec![("GOOGLE_BASE_URL", format!("http://{}", self.address)), ("GOOGLE_BEARER_TOKEN", token.to_owned())]
    }
}
