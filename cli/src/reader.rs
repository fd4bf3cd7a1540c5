//! Reads arrays, frames and the page of a served job over HTTP.

use crate::console::message;
use crate::error::Error;
use api::arrays::Array;
use api::wire::{Problem, TOKEN, route};
use formats::encode::ArrayRef;
use ndarray::Array2;
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use std::time::{Duration, Instant};
use url::Url;

/// Route of the page as one HTML file.
const REPORT: &str = "/report";
/// Time without a byte of a response, after which a request fails.
const READ_TIMEOUT: Duration = Duration::from_secs(120);
/// Pause before a retry if the server sends no `Retry-After`, in seconds.
const DEFAULT_PAUSE: u64 = 2;
/// Longest pause before a retry, also if `Retry-After` states more.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// A client of a served job: the address of one of its servers, and the job's token.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    base: Url,
    http: reqwest::Client,
    /// Time during which a 503 is retried.
    retry_for: Duration,
}

/// Why a request failed.
enum Refusal {
    /// The server sent 503: a retry may succeed.
    Later {
        after: Duration,
        problem: String,
    },
    Final(Error),
}

impl Reader {
    /// A reader of the job at `url`, which contains the token as `?token=`.
    ///
    /// # Errors
    /// `url` is not a URL, or the HTTP client cannot start.
    pub(crate) fn new(url: &str) -> Result<Self, Error> {
        let base = Url::parse(url).map_err(|_| Error::Target(url.to_owned()))?;
        transport::crypto::install_crypto();
        let http = reqwest::Client::builder().no_proxy().read_timeout(READ_TIMEOUT).build().map_err(|error| Error::Start(error.into()))?;
        Ok(Self { base, http, retry_for: Duration::ZERO })
    }

    /// The same reader, with retries of 503 responses for `retry_for`.
    #[must_use]
    pub(crate) fn with_retries(self, retry_for: Duration) -> Self {
        Self { retry_for, ..self }
    }

    /// The slice `selection` (the text between the brackets) of `array` in a format.
    ///
    /// # Errors
    /// No server responds, or the server refuses the request.
    pub(crate) async fn slice(&self, array: &str, selection: &str, format: &str) -> Result<Vec<u8>, Error> {
        self.get(&format!("{}/{array}", route::SLICE), &[("sel", selection), ("format", format)]).await
    }

    /// One frame, which a server of the job fetches from the source now, in a format.
    ///
    /// # Errors
    /// As [`slice`](Self::slice).
    pub(crate) async fn frame(&self, index: usize, format: &str) -> Result<Vec<u8>, Error> {
        self.get(&format!("{}/{index}", route::PEEK), &[("format", format)]).await
    }

    /// The job's page with all its data, as one HTML file.
    ///
    /// # Errors
    /// As [`slice`](Self::slice).
    pub(crate) async fn report(&self) -> Result<Vec<u8>, Error> {
        self.get(REPORT, &[]).await
    }

    /// The body of the response to `GET path?query`.
    ///
    /// # Errors
    /// As [`slice`](Self::slice).
    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, Error> {
        let mut url = self.base.clone();
        url.set_path(path);
        let token = url.query_pairs().find(|(name, _)| name == TOKEN).map(|(_, value)| value.into_owned()).unwrap_or_default();
        url.query_pairs_mut().clear().extend_pairs(query);
        let started = Instant::now();
        let mut last_problem = String::new();
        loop {
            match self.get_once(url.clone(), &token).await {
                Err(Refusal::Later { after, problem }) if started.elapsed() + after <= self.retry_for => {
                    // Each problem is printed once: the same problem may last.
                    if problem != last_problem {
                        let rest = self.retry_for.saturating_sub(started.elapsed()).as_secs();
                        message(&format!("{problem}; retrying for up to {rest} s"));
                        last_problem = problem;
                    }
                    tokio::time::sleep(after).await;
                }
                Err(Refusal::Later { problem, .. }) => return Err(Error::Refused(problem)),
                Err(Refusal::Final(error)) => return Err(error),
                Ok(body) => return Ok(body),
            }
        }
    }

    async fn get_once(&self, url: Url, token: &str) -> Result<Vec<u8>, Refusal> {
        // Without the query, which may contain the token.
        let shown = || format!("{}://{}", self.base.scheme(), self.base.authority());
        let reach = |source| Refusal::Final(Error::Reach { url: shown(), source });
        let response = self.http.get(url).bearer_auth(token).send().await.map_err(reach)?;
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(DEFAULT_PAUSE);
        let body = response.bytes().await.map_err(reach)?;
        if status.is_success() {
            return Ok(body.to_vec());
        }
        let problem = serde_json::from_slice::<Problem>(&body).map_or_else(|_| status.to_string(), |problem| problem.error);
        Err(if status == StatusCode::SERVICE_UNAVAILABLE {
            Refusal::Later { after: Duration::from_secs(after).clamp(Duration::from_secs(1), MAX_PAUSE), problem }
        } else {
            Refusal::Final(Error::Refused(problem))
        })
    }

    /// A slice as float64 values in C order; of complex elements the magnitudes.
    ///
    /// # Errors
    /// As [`slice`](Self::slice).
    pub(crate) async fn values(&self, array: &Array, selection: &str) -> Result<Vec<f64>, Error> {
        let raw = self.slice(&array.name, selection, "raw").await?;
        Ok(ArrayRef { element: array.element, shape: &array.shape, data: &raw }.magnitudes().collect())
    }

    /// A whole array of shape (y, x) as float64 values.
    ///
    /// # Errors
    /// As [`slice`](Self::slice), or the number of values does not match the shape.
    pub(crate) async fn picture(&self, array: &Array) -> Result<Array2<f64>, Error> {
        let values = self.values(array, "").await?;
        let found = values.len();
        let wrong = || Error::WrongShape { array: array.name.clone(), shape: array.shape.clone(), found };
        let &[height, width] = &array.shape[..] else { return Err(wrong()) };
        Array2::from_shape_vec((height, width), values).map_err(|_| wrong())
    }
}
