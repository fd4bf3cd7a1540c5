//! A store that somebody else wrote, for outputs and sources behind `az://`: Azurite, which Azure's makers test with.

use crate::listening::Listening;
use crate::referee::python_alone;
use crate::repository;
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// The container that there is.
const CONTAINER: &str = "container";
/// The only account, and the key of it in base64.
const ACCOUNT: [&str; 2] = ["tester", "YSBzZWNyZXQgb2Ygbm9ib2R5J3M="];
/// Of the account, and of no use.
const WRONG_KEY: &str = "YW5vdGhlciBzZWNyZXQ=";

/// A store with one empty container. Gone when dropped.
#[derive(Debug)]
pub struct Azure {
    server: Listening,
    _folder: TempDir,
}

impl Default for Azure {
    fn default() -> Self {
        install();
        let folder = tempfile::Builder::new().prefix("arrayjob-test-azure-").tempdir().unwrap();
        let server = Listening::start("Azure store", |listen| {
            let mut command = Command::new("node");
            command
                .arg(repository().join("tests/azurite/node_modules/azurite/dist/src/blob/main.js"))
                .args(["--blobHost", &listen.ip().to_string(), "--blobPort", &listen.port().to_string()])
                // It would tell its makers of each start.
                .args(["--silent", "--disableTelemetry", "--inMemoryPersistence"])
                .env("AZURITE_ACCOUNTS", ACCOUNT.join(":"))
                .current_dir(folder.path());
            command
        });
        let store = Self { server, _folder: folder };
        python_alone("azure_container", &[CONTAINER], &store.environment()).unwrap_or_else(|said| panic!("{said}"));
        store
    }
}

/// The server's packages, where they are missing.
fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let status = Command::new(repository().join("tests/browser/prepare")).arg("tests/azurite").status().unwrap();
        assert!(status.success(), "tests/browser/prepare: {status}");
    });
}

impl Azure {
    /// The URL of an object, or of a prefix.
    pub fn url(&self, key: &str) -> String {
        format!("az://{CONTAINER}/{key}")
    }

    /// What reaches it by its environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        self.environment_of(ACCOUNT[1])
    }

    /// The same with a key that is not the account's.
    pub fn wrong_environment(&self) -> Vec<(&'static str, String)> {
        self.environment_of(WRONG_KEY)
    }

    fn environment_of(&self, key: &str) -> Vec<(&'static str, String)> {
        vec![
            ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT[0].to_owned()),
            ("AZURE_STORAGE_ACCOUNT_KEY", key.to_owned()),
            ("AZURE_STORAGE_ENDPOINT", format!("{}/{}", self.server.url(), ACCOUNT[0])),
        ]
    }
}
