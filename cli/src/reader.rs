//! Reads slices of a served job over HTTP.

use crate::error::Error;
use crate::progress::line;
use api::wire::{Problem, TOKEN, route};
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use std::time::{Duration, Instant};
use url::Url;

/// Where a server gives one frame as the source has it.
const PEEK: &str = "/api/v1/peek";
/// Where a server gives its page as one file.
const REPORT: &str = "/report";
/// However long a server asks its clients to wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A served job: any of its servers, and its token.
#[derive(Clone, Debug)]
pub struct Reader {
    base: Url,
    http: reqwest::Client,
    patience: Duration,
}

/// Why a question was not answered.
enum Refusal {
    /// There is no answer just now.
    Later {
        after: Duration,
        problem: String,
    },
    Final(Error),
}

impl Reader {
    /// A reader of the job behind `url`, which carries the token as `?token=`.
    ///
    /// # Errors
    /// When it is no URL.
    pub fn new(url: &str) -> Result<Self, Error> {
        let base = Url::parse(url).map_err(|_| Error::Target(url.to_owned()))?;
        transport::crypto::install_crypto();
        let http = reqwest::Client::builder()
            .no_proxy()
            .read_timeout(Duration::from_secs(120))
            .build()
            .map_err(|error| Error::Start(error.into()))?;
        Ok(Self { base, http, patience: Duration::ZERO })
    }

    /// Asks again for this long while the answer is that there is none just now.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The slice `selection` (what stands between the brackets) of `array` in a format.
    ///
    /// # Errors
    /// When the job cannot be reached, or refuses.
    pub async fn slice(&self, array: &str, selection: &str, format: &str) -> Result<Vec<u8>, Error> {
        self.ask(&format!("{}/{array}", route::SLICE), &[("sel", selection), ("format", format)]).await
    }

    /// One frame as the job's servers fetch it from the source now, in a format.
    ///
    /// # Errors
    /// As [`slice`](Self::slice).
    pub async fn frame(&self, index: usize, format: &str) -> Result<Vec<u8>, Error> {
        self.ask(&format!("{PEEK}/{index}"), &[("format", format)]).await
    }

    /// The job's page with all that it shows, as one HTML file.
    ///
    /// # Errors
    /// As [`slice`](Self::slice).
    pub async fn report(&self) -> Result<Vec<u8>, Error> {
        self.ask(REPORT, &[]).await
    }

    /// What `path` answers.
    ///
    /// # Errors
    /// As [`slice`](Self::slice).
    pub(crate) async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, Error> {
        let mut url = self.base.clone();
        url.set_path(path);
        let token = url.query_pairs().find(|(name, _)| name == TOKEN).map(|(_, value)| value.into_owned()).unwrap_or_default();
        url.query_pairs_mut().clear().extend_pairs(query);
        let started = Instant::now();
        let mut told = String::new();
        loop {
            match self.once(url.clone(), &token).await {
                Err(Refusal::Later { after, problem }) if started.elapsed() + after <= self.patience => {
                    // Once each: it may be the same for a while.
                    if problem != told {
                        line(&format!(
                            "{problem}; asking again, for {} s at most",
                            self.patience.saturating_sub(started.elapsed()).as_secs()
                        ));
                        told = problem;
                    }
                    tokio::time::sleep(after).await;
                }
                Err(Refusal::Later { problem, .. }) => return Err(Error::Refused(problem)),
                Err(Refusal::Final(error)) => return Err(error),
                Ok(body) => return Ok(body),
            }
        }
    }

    async fn once(&self, url: Url, token: &str) -> Result<Vec<u8>, Refusal> {
        let shown = || format!("{}://{}", self.base.scheme(), self.base.authority());
        let reach = |source| Refusal::Final(Error::Reach { url: shown(), source });
        let response = self.http.get(url).bearer_auth(token).send().await.map_err(reach)?;
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(2);
        let body = response.bytes().await.map_err(reach)?;
        if status.is_success() {
            return Ok(body.to_vec());
        }
        let problem = serde_json::from_slice::<Problem>(&body).map_or_else(|_| status.to_string(), |problem| problem.error);
        Err(if status == StatusCode::SERVICE_UNAVAILABLE {
            Refusal::Later { after: Duration::from_secs(after).clamp(Duration::from_secs(1), LONGEST_PAUSE), problem }
        } else {
            Refusal::Final(Error::Refused(problem))
        })
    }

    /// A slice of float64 or float32 values.
    ///
    /// # Errors
    /// As [`slice`](Self::slice).
    pub async fn values(&self, array: &api::arrays::Array, selection: &str) -> Result<Vec<f64>, Error> {
        use api::geometry::Element;
        let raw = self.slice(&array.name, selection, "raw").await?;
        Ok(match array.element {
            Element::Uint8 => raw.iter().map(|&v| f64::from(v)).collect(),
            Element::Uint16 => raw.as_chunks().0.iter().map(|&b| f64::from(u16::from_le_bytes(b))).collect(),
            Element::Int32 => raw.as_chunks().0.iter().map(|&b| f64::from(i32::from_le_bytes(b))).collect(),
            Element::Uint64 => raw.as_chunks().0.iter().map(|&b| u64::from_le_bytes(b) as f64).collect(),
            Element::Float32 => raw.as_chunks().0.iter().map(|&b| f64::from(f32::from_le_bytes(b))).collect(),
            Element::Float64 => raw.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect(),
            Element::Complex64 => raw
                .as_chunks::<8>()
                .0
                .iter()
                .map(|b| {
                    f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])).hypot(f64::from(f32::from_le_bytes([b[4], b[5], b[6], b[7]])))
                })
                .collect(),
        })
    }
}
