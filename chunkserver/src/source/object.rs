//! One GET of an object of a store.

use super::body::{Limits, Reader, is_html};
use super::error::{Failure, Reason};
use super::{BodyRange, Got, encoding};
use crate::egress;
use crate::objects::{Location, StoreErrorKind, store_error_kind, store_message};
use futures_util::{Stream, StreamExt as _};
use object_store::path::Path;
use object_store::{Attribute, Error, GetOptions, GetRange, GetResult, ObjectStoreExt as _};
use reqwest::header::HeaderValue;
use tokio::time::timeout;

/// Fetches an object or a range of it.
pub(super) async fn get(
    location: &Location,
    key: &str,
    range: Option<BodyRange>,
    limits: &Limits,
    into: &mut Vec<u8>,
) -> Result<Got, Failure> {
    let silent = || Failure::from(Reason::Silent { timeout: limits.silence });
    let path = location.below(key);
    let request = |range: Option<BodyRange>| GetOptions { range: range.map(get_range), ..GetOptions::default() };
    let mut response = timeout(limits.silence, location.store.get_opts(&path, request(range))).await.map_err(|_| silent())?;
    if let (Err(Error::NotSupported { .. }), Some(BodyRange::Last(bytes))) = (&response, range) {
        // Azure does not support ranges from the end.
        response = timeout(limits.silence, last(location, &path, bytes)).await.map_err(|_| silent())?;
    }
    let mut response = response.map_err(failed)?;
    let encodings = encodings(&response)?;
    let cut = range.filter(|_| !encodings.is_empty());
    if cut.is_some() {
        // Bytes of a range of an encoded object are not bytes of the object.
        response = timeout(limits.silence, location.store.get_opts(&path, request(None))).await.map_err(|_| silent())?.map_err(failed)?;
    }
    let html = response.attributes.get(&Attribute::ContentType).is_some_and(|value| is_html(value));
    let total = encodings.is_empty().then_some(response.meta.size);
    let expected = response.range.end - response.range.start;
    if expected > limits.max_bytes {
        return Err(Reason::TooLarge { limit: limits.max_bytes }.into());
    }
    into.reserve_exact(expected as usize);
    let mut reader = Reader::new(limits);
    let mut body = response.into_stream();
    while let Some(bytes) = reader.wait(next(&mut body)).await? {
        let bytes = bytes.map_err(failed)?;
        reader.count(bytes.len())?;
        into.extend_from_slice(&bytes);
    }
    let received = into.len() as u64;
    if received != expected {
        return Err(Reason::Truncated { received, expected: Some(expected) }.into());
    }
    encoding::decode(encodings, into, limits.max_bytes).await?;
    if let Some(range) = cut {
        range.cut(into);
    }
    Ok(Got { exact: cut.is_none(), total, html })
}

/// The content encodings of an object.
fn encodings(response: &GetResult) -> Result<Vec<encoding::Encoding>, Reason> {
    let value = response.attributes.get(&Attribute::ContentEncoding).and_then(|value| HeaderValue::from_str(value).ok());
    encoding::parse(&value)
}

async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    stream.next().await
}

/// The last bytes of an object, after a request for the object's length.
async fn last(location: &Location, path: &Path, bytes: u64) -> object_store::Result<object_store::GetResult> {
    let size = location.store.head(path).await?.size;
    let range = Some(GetRange::Bounded(size.saturating_sub(bytes)..size));
    location.store.get_opts(path, GetOptions { range, ..GetOptions::default() }).await
}

fn get_range(range: BodyRange) -> GetRange {
    match range {
        BodyRange::From(start, None) => GetRange::Offset(start),
        BodyRange::From(start, Some(length)) => GetRange::Bounded(start..start.saturating_add(length)),
        BodyRange::Last(length) => GetRange::Suffix(length),
    }
}

fn failed(error: Error) -> Failure {
    let message = || store_message(&error);
    match &error {
        Error::NotFound { .. } => Reason::NoObject.into(),
        // The library tries the metadata service of the machine only if there are no other keys.
        _ if store_error_kind(&error) != StoreErrorKind::MissingKeys
            && let Some(blocked) = egress::blocked(&error) =>
        {
            Reason::Blocked { blocked }.into()
        }
        // Retried: a cloud may provide the machine's keys later.
        Error::Generic { .. } if store_error_kind(&error) == StoreErrorKind::MissingKeys => {
            Reason::MissingKeys { message: message() }.into()
        }
        // The network or the store fails, or the keys are temporarily not available.
        Error::Generic { .. } | Error::JoinError { .. } => Reason::Store { message: message() }.into(),
        _ => Reason::Refused { message: message() }.into(),
    }
}
