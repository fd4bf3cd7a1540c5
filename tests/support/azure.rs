//! A third-party store for `az://` outputs and sources: Azurite, the emulator of Azure Storage (<https://github.com/Azure/Azurite>).

use crate::listening::Listening;
use crate::referee::python_process;
use crate::repository;
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// The only container.
const CONTAINER: &str = "container";
/// The name of the only account, and its key in base64.
const ACCOUNT: [&str; 2] = ["tester", "YSBzZWNyZXQgb2Ygbm9ib2R5J3M="];
/// A well-formed key that the account does not have.
const WRONG_KEY: &str = "YW5vdGhlciBzZWNyZXQ=";

/// A store with one empty container. Dropping the value ends the store.
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
                // Azurite sends telemetry by default.
                .args(["--silent", "--disableTelemetry", "--inMemoryPersistence"])
                .env("AZURITE_ACCOUNTS", ACCOUNT.join(":"))
                .current_dir(folder.path());
            command
        });
        let store = Self { server, _folder: folder };
        python_process("azure_container", &[CONTAINER], &store.environment()).unwrap_or_else(|output| panic!("{output}"));
        store
    }
}

/// Installs the npm packages of the server if they are missing.
fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let status = Command::new(repository().join("tests/browser/prepare")).arg("tests/azurite").status().unwrap();
        assert!(status.success(), "tests/browser/prepare: {status}");
    });
}

impl Azure {
    /// The URL of an object or a prefix.
    pub fn url(&self, key: &str) -> String {
        format!("az://{CONTAINER}/{key}")
    }

    /// Environment variables with the address and the keys of the store.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        self.environment_of(ACCOUNT[1])
    }

    /// The same variables with a wrong key.
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
