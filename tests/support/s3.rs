//! An object store that somebody else wrote, for outputs and sources behind `s3://`.

use crate::listening::Listening;
use crate::repository;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The bucket that there is.
pub(crate) const BUCKET: &str = "bucket";
/// Of its only user: the name, and what nobody may see.
pub const KEYS: [&str; 2] = ["tester", "a secret of nobody's"];

/// A store with one empty bucket. Gone when dropped.
#[derive(Debug)]
pub struct ObjectStore {
    server: Listening,
    folder: TempDir,
}

impl Default for ObjectStore {
    fn default() -> Self {
        let folder = tempfile::Builder::new().prefix("arrayjob-test-s3-").tempdir().unwrap();
        // Buckets are folders to this server, and what it notes of objects is kept apart: not all file systems have attributes.
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

/// The server's program, built into the cache where it is missing.
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
    /// The URL of an object, or of a prefix.
    pub fn url(&self, key: &str) -> String {
        format!("s3://{BUCKET}/{key}")
    }

    /// What reaches it by its environment, as the vendor's own tools do.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ACCESS_KEY_ID", KEYS[0].to_owned()),
            ("AWS_SECRET_ACCESS_KEY", KEYS[1].to_owned()),
            ("AWS_ENDPOINT_URL", self.server.url()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
        ]
    }

    /// Objects under a prefix, parts of unfinished uploads not among them.
    pub fn objects(&self, prefix: &str) -> Vec<String> {
        let root = self.folder.path().join("objects").join(BUCKET);
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            // One that is deleted meanwhile has no objects.
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
