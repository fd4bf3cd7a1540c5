//! Opens object stores by URL: s3, gs, az (and abfs), http and https, and files of this machine.
//!
//! The keys of a store come from the job's secret, or otherwise from the environment, under the names of the vendors' own tools: `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME`, …

mod store_error;

pub use store_error::{StoreErrorKind, store_error_kind, store_message};

use crate::egress::Connector;
use api::egress::EgressPolicy;
#[cfg(feature = "object-stores")]
use object_store::aws::AmazonS3Builder;
#[cfg(feature = "object-stores")]
use object_store::azure::MicrosoftAzureBuilder;
#[cfg(feature = "object-stores")]
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreScheme, RetryConfig};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use url::Url;

/// Prefixes of the names of store keys, in any case.
const VENDORS: [&str; 3] = ["aws_", "google_", "azure_"];
/// Names of keys that the vendor's tools support and the client library does not.
#[cfg(feature = "object-stores")]
const ALIASES: [(&str, &str); 2] =
    [("azure_storage_account", "azure_storage_account_name"), ("azure_storage_key", "azure_storage_account_key")];
/// Time limit of the retries of a request.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest time of a request and of a connection attempt where the library's own defaults do not apply; the same values.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a store cannot be opened.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum Error {
    #[error("{0} is not a URL of a store; use s3://, gs://, az://, http(s):// or file://")]
    Url(String),
    #[error("{0} is a local file, which servers on a cluster do not read or write; use s3://, gs://, az:// or http(s)://")]
    LocalFile(String),
    #[cfg(not(feature = "object-stores"))]
    #[error("{url}: {message}", url = .0, message = api::words::not_built("object stores"))]
    NotBuilt(String),
    #[error("cannot open the store of {url}; check its keys in the secret or the environment (AWS_…, GOOGLE_…, AZURE_…)")]
    Store {
        url: String,
        #[source]
        source: object_store::Error,
    },
}

/// The keys for opening stores, and whether local files are permitted.
#[derive(Clone, Default)]
pub struct Access {
    keys: Vec<(String, String)>,
    local_files: bool,
    /// The addresses that are reachable; `None` on one machine, where all are.
    egress: Option<Arc<EgressPolicy>>,
}

impl fmt::Debug for Access {
    /// Shows the names of keys, not the values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.keys.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Access").field("keys", &names).field("local_files", &self.local_files).finish()
    }
}

/// Whether `name` is the name of a store key.
pub fn is_key(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    VENDORS.iter().any(|vendor| name.starts_with(vendor))
}

impl Access {
    /// Keys of the environment; keys of the secret override them.
    pub fn new(secret: impl IntoIterator<Item = (String, String)>, local_files: bool) -> Self {
        let own = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self { keys: own.chain(secret).filter(|(name, _)| is_key(name)).collect(), local_files, egress: None }
    }

    /// The same access, which reaches only the addresses that the policy permits.
    #[must_use]
    pub fn with_egress(self, egress: Option<Arc<EgressPolicy>>) -> Self {
        Self { egress, ..self }
    }

    /// Opens the store of `url` without connecting to it.
    ///
    /// # Errors
    /// When the scheme is not supported, local files are not permitted, or a key is not valid.
    pub fn open(&self, url: &str) -> Result<Location, Error> {
        let settings = ClientSettings {
            retry: RetryConfig { retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() },
            client: ClientOptions::new().with_allow_http(true),
            connector: self.connector(Some(REQUEST_TIMEOUT)),
        };
        self.open_as(url, &settings)
    }

    /// As [`Self::open`], without retries and timeouts: for callers with their own, as [`crate::source`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_without_retries(&self, url: &str) -> Result<Location, Error> {
        let settings = ClientSettings {
            retry: RetryConfig { max_retries: 0, ..RetryConfig::default() },
            client: ClientOptions::new().with_allow_http(true).with_timeout_disabled(),
            connector: self.connector(None),
        };
        self.open_as(url, &settings)
    }

    fn connector(&self, timeout: Option<Duration>) -> Connector {
        Connector::new(self.egress.clone(), timeout, CONNECT_TIMEOUT)
    }

    fn open_as(&self, url: &str, settings: &ClientSettings) -> Result<Location, Error> {
        let shown = redacted(url);
        let parsed = Url::parse(url).map_err(|_| Error::Url(shown.clone()))?;
        let (scheme, path) = ObjectStoreScheme::parse(&parsed).map_err(|_| Error::Url(shown.clone()))?;
        let store = match scheme {
            ObjectStoreScheme::Local if self.local_files => Ok(Arc::new(LocalFileSystem::new()) as Arc<dyn ObjectStore>),
            ObjectStoreScheme::Local => return Err(Error::LocalFile(shown)),
            #[cfg(feature = "object-stores")]
            ObjectStoreScheme::AmazonS3 => self.s3(&parsed, settings),
            #[cfg(feature = "object-stores")]
            ObjectStoreScheme::GoogleCloudStorage => self.gcs(&parsed, settings),
            #[cfg(feature = "object-stores")]
            ObjectStoreScheme::MicrosoftAzure => self.azure(&parsed, settings),
            ObjectStoreScheme::Http => {
                let origin = &parsed[..url::Position::BeforePath];
                let builder = HttpBuilder::new()
                    .with_url(origin)
                    .with_retry(settings.retry.clone())
                    .with_client_options(settings.client.clone())
                    .with_http_connector(settings.connector.clone());
                builder.build().map(|store| Arc::new(store) as Arc<dyn ObjectStore>)
            }
            #[cfg(not(feature = "object-stores"))]
            ObjectStoreScheme::AmazonS3 | ObjectStoreScheme::GoogleCloudStorage | ObjectStoreScheme::MicrosoftAzure => {
                return Err(Error::NotBuilt(shown));
            }
            _ => return Err(Error::Url(shown)),
        };
        let store = store.map_err(|source| Error::Store { url: shown.clone(), source })?;
        Ok(Location { store, path, shown })
    }

    #[cfg(feature = "object-stores")]
    fn s3(&self, url: &Url, settings: &ClientSettings) -> object_store::Result<Arc<dyn ObjectStore>> {
        let builder = AmazonS3Builder::new()
            .with_url(url.as_str())
            .with_retry(settings.retry.clone())
            .with_client_options(settings.client.clone())
            .with_http_connector(settings.connector.clone());
        let builder = self.with_keys(builder, AmazonS3Builder::with_config);
        Ok(Arc::new(builder.build()?))
    }

    #[cfg(feature = "object-stores")]
    fn gcs(&self, url: &Url, settings: &ClientSettings) -> object_store::Result<Arc<dyn ObjectStore>> {
        let builder = GoogleCloudStorageBuilder::new()
            .with_url(url.as_str())
            .with_retry(settings.retry.clone())
            .with_client_options(settings.client.clone())
            .with_http_connector(settings.connector.clone());
        Ok(Arc::new(self.with_keys(builder, GoogleCloudStorageBuilder::with_config).build()?))
    }

    #[cfg(feature = "object-stores")]
    fn azure(&self, url: &Url, settings: &ClientSettings) -> object_store::Result<Arc<dyn ObjectStore>> {
        let builder = MicrosoftAzureBuilder::new()
            .with_url(url.as_str())
            .with_retry(settings.retry.clone())
            .with_client_options(settings.client.clone())
            .with_http_connector(settings.connector.clone());
        Ok(Arc::new(self.with_keys(builder, MicrosoftAzureBuilder::with_config).build()?))
    }

    /// Applies every key that the builder supports.
    #[cfg(feature = "object-stores")]
    fn with_keys<B, K: std::str::FromStr>(&self, builder: B, with: impl Fn(B, K, String) -> B) -> B {
        self.keys.iter().fold(builder, |builder, (name, value)| {
            let name = name.to_ascii_lowercase();
            let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name.as_str(), |(_, name)| name);
            match name.parse() {
                Ok(key) => with(builder, key, value.clone()),
                Err(_) => builder,
            }
        })
    }
}

/// Settings of the client library. Plain HTTP is permitted, because endpoints in private networks often have no certificate; the URL decides.
struct ClientSettings {
    retry: RetryConfig,
    client: ClientOptions,
    /// Applies the policy, if there is one.
    connector: Connector,
}

/// An object, or the prefix of several objects, in a store.
#[derive(Clone)]
pub struct Location {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// The path of the object, or the prefix.
    pub path: Path,
    /// The URL, without secrets.
    pub shown: String,
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Location {
    /// The path of object `key` below this location; `key` may contain slashes.
    pub fn below(&self, key: &str) -> Path {
        key.split('/').filter(|part| !part.is_empty()).fold(self.path.clone(), Path::join)
    }
}

/// The URL for logs and errors: without user, password, query and fragment, any of which may be secret.
pub fn redacted(url: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else {
        // Not a URL: everything after '?' or '#' may be secret.
        return url.split(['?', '#']).next().unwrap_or_default().to_owned();
    };
    let queried = parsed.query().is_some();
    parsed.set_query(None);
    parsed.set_fragment(None);
    // Both fail for URLs without an authority, which have no user and no password.
    let _ = parsed.set_username("");
    let _ = parsed.set_password(None);
    format!("{parsed}{}", if queried { "?…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_open_their_stores() {
        transport::crypto::install_crypto();
        let access = Access::new([("AWS_REGION".into(), "eu-west-1".into()), ("AZURE_STORAGE_ACCOUNT_NAME".into(), "a".into())], false);
        let location = access.open("s3://bucket/a%20b/p.zarr").unwrap();
        assert_eq!(location.below("c/0/1").as_ref(), "a b/p.zarr/c/0/1");
        assert!(location.store.to_string().contains("bucket"), "{}", location.store);
        assert!(access.open("az://container/p.zarr").is_ok());
        let access = Access::new([("AZURE_STORAGE_ACCOUNT".into(), "a".into()), ("AZURE_STORAGE_KEY".into(), "a2V5".into())], false);
        assert!(access.open("abfss://container/p.zarr").is_ok());
        assert!(access.open("gs://bucket/p.zarr").is_ok());
        assert_eq!(access.open("https://user:secret@host/x.zarr?key=1").unwrap().shown, "https://host/x.zarr?…");
        for (url, expected) in
            [("file:///tmp/x.zarr", "servers on a cluster"), ("ftp://host/x", "not a URL of a store"), ("x", "not a URL")]
        {
            let error = access.open(url).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(Access::new([], true).open("file:///tmp/x.zarr").is_ok());
    }

    #[test]
    fn keys_are_recognised_by_name_and_never_shown() {
        assert!(is_key("AWS_SECRET_ACCESS_KEY") && is_key("google_service_account_key") && is_key("azure_storage_sas_key"));
        assert!(!is_key("Authorization") && !is_key("X-AWS"));
        let access = Access::new([("AWS_SECRET_ACCESS_KEY".into(), "hidden".into())], false);
        let shown = format!("{access:?}");
        assert!(shown.contains("AWS_SECRET_ACCESS_KEY") && !shown.contains("hidden"), "{shown}");
    }
}
