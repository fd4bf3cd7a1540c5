//! Reads slices of a served job over HTTP.

use crate::error::Error;
use api::wire::{Problem, TOKEN, route};
use std::time::Duration;
use url::Url;

/// A served job: any of its servers, and its token.
#[derive(Clone, Debug)]
pub struct Reader {
    base: Url,
    http: reqwest::Client,
}

impl Reader {
    /// A reader of the job behind `url`, which carries the token as `?token=`.
    ///
    /// # Errors
    /// When it is no URL.
    pub fn new(url: &str) -> Result<Self, Error> {
        let base = Url::parse(url).map_err(|_| Error::Target(url.to_owned()))?;
        chunkserver::source::install_crypto();
        let http = reqwest::Client::builder()
            .no_proxy()
            .read_timeout(Duration::from_secs(120))
            .build()
            .map_err(|error| Error::Start(error.into()))?;
        Ok(Self { base, http })
    }

    /// The slice `selection` (what stands between the brackets) of `array` in a format.
    ///
    /// # Errors
    /// When the job cannot be reached, or refuses.
    pub async fn slice(&self, array: &str, selection: &str, format: &str) -> Result<Vec<u8>, Error> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{array}", route::SLICE));
        let token = url.query_pairs().find(|(name, _)| name == TOKEN).map(|(_, value)| value.into_owned()).unwrap_or_default();
        url.query_pairs_mut().clear().append_pair("sel", selection).append_pair("format", format);
        let shown = || format!("{}://{}", self.base.scheme(), self.base.authority());
        let reach = |source| Error::Reach { url: shown(), source };
        let response = self.http.get(url).bearer_auth(token).send().await.map_err(reach)?;
        let status = response.status();
        let body = response.bytes().await.map_err(reach)?;
        if status.is_success() {
            return Ok(body.to_vec());
        }
        let problem = serde_json::from_slice::<Problem>(&body).map_or_else(|_| status.to_string(), |problem| problem.error);
        Err(Error::Refused(problem))
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
