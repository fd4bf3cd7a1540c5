//! The URL of a job, and its entry in the registry of this machine.

use crate::error::Error;
use crate::registry::{self, Entry};

/// The current URL of a job. The URL changes when its server is lost and another server takes its place.
#[derive(Debug)]
pub(crate) struct Advertisement {
    job: String,
    /// Whether the registry lists the job, so that other commands find the job by name.
    public: bool,
    entry: Option<Entry>,
    url: String,
}

impl Advertisement {
    /// A job without a URL.
    pub(crate) fn new(job: &str, public: bool) -> Self {
        Self { job: job.to_owned(), public, entry: None, url: String::new() }
    }

    /// The job's name.
    pub(super) fn job(&self) -> &str {
        &self.job
    }

    /// Whether the registry lists the job.
    pub(super) fn is_public(&self) -> bool {
        self.public
    }

    /// The current URL; empty before the first.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Sets the URL; true if the URL is new.
    ///
    /// # Errors
    /// The registry is not writable.
    pub(super) fn set_url(&mut self, url: &str) -> Result<bool, Error> {
        if self.url == url {
            return Ok(false);
        }
        url.clone_into(&mut self.url);
        match &mut self.entry {
            Some(entry) => entry.set_url(url)?,
            None if self.public => self.entry = Some(registry::register(&self.job, url)?),
            None => {}
        }
        Ok(true)
    }
}
