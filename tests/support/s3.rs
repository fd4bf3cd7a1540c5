//! A third-party object store for `s3://` outputs and sources: Versity's gateway (<https://github.com/versity/versitygw>).

use crate::listening::Listening;
use crate::repository;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The only bucket.
pub(crate) const BUCKET: &str = "bucket";
/// Access key and secret key of the only user.
pub const KEYS: [&str; 2] = ["tester", "a secret of nobody's"];

/// A store with one empty bucket. Dropping the value ends the store.
#[derive(Debug)]
pub struct ObjectStore {
    server: Listening,
    folder: TempDir,
}

impl Default for ObjectStore {
    fn default() -> Self {
        let folder = tempfile::Builder::new().prefix("arrayjob-test-s3-").tempdir().unwrap();
        // This server stores buckets as folders. Metadata of objects is in a separate folder, because not all file systems have
        // extended attributes.
        for name in [&format!("objects/{BUCKET}"), "notes"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let program = program();
        let server = Listening::start("object store", |listen| {
            let mut command = Command::new(program);
            command
                .args(["--quiet", "--keep-alive", "--port", &listen.to_string(), "posix", "--sidecar"])
                .args([folder.path().join("notes"), folder.path().join("objects")])
                .env("ROOT_ACCESS_KEY", KEYS[0])
                .env("ROOT_SECRET_KEY", KEYS[1])
                .current_dir(folder.path());
            command
        });
        Self { server, folder }
    }
}

/// The program of the server. `tests/object-store` builds it into the cache if it is missing.
fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let get = || {
        let output = Command::new(repository().join("tests/object-store")).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "tests/object-store: {}", output.status);
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    };
    PROGRAM.get_or_init(get).clone()
}

impl ObjectStore {
    /// The URL of an object or a prefix.
    pub fn url(&self, key: &str) -> String {
        format!("s3://{BUCKET}/{key}")
    }

    /// Environment variables with the address and the keys of the store, named as in the vendor's tools.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ACCESS_KEY_ID", KEYS[0].to_owned()),
            ("AWS_SECRET_ACCESS_KEY", KEYS[1].to_owned()),
            ("AWS_ENDPOINT_URL", self.server.url()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
        ]
    }

    /// Keys of the objects under a prefix, without parts of unfinished uploads.
    pub fn objects(&self, prefix: &str) -> Vec<String> {
        let root = self.folder.path().join("objects").join(BUCKET);
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            // A folder that is deleted meanwhile has no objects.
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let key = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                if path.is_dir() {
                    folders.push(path);
                } else if key.starts_with(prefix) && !key.starts_with(".sgwtmp") {
                    found.push(key);
                }
            }
        }
        found.sort();
        found
    }
}
