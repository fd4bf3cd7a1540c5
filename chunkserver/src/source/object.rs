//! One GET of an object of a store.

use super::error::{Failure, Reason};
use super::{BodyRange, Options};
use crate::objects::{Location, StoreErrorKind, store_error_kind, store_message};
use futures_util::{Stream, StreamExt as _};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStoreExt as _};
use tokio::time::timeout;

/// Fetches an object or a range of it.
pub(super) async fn get(
    location: &Location,
    key: &str,
    range: Option<BodyRange>,
    options: &Options,
    into: &mut Vec<u8>,
) -> Result<bool, Failure> {
    let silent = || Failure::from(Reason::Silent { timeout: options.progress_timeout });
    let path = location.below(key);
    let request = GetOptions { range: range.map(get_range), ..GetOptions::default() };
    let mut response = timeout(options.progress_timeout, location.store.get_opts(&path, request)).await.map_err(|_| silent())?;
    if let (Err(Error::NotSupported { .. }), Some(BodyRange::Last(bytes))) = (&response, range) {
        // Azure does not support ranges from the end.
        response = timeout(options.progress_timeout, last(location, &path, bytes)).await.map_err(|_| silent())?;
    }
    let response = response.map_err(failed)?;
    let expected = response.range.end - response.range.start;
    if expected > options.max_bytes {
        return Err(Reason::TooLarge { limit: options.max_bytes }.into());
    }
    into.reserve_exact(expected as usize);
    let mut body = response.into_stream();
    while let Some(bytes) = timeout(options.progress_timeout, next(&mut body)).await.map_err(|_| silent())? {
        into.extend_from_slice(&bytes.map_err(failed)?);
    }
    let received = into.len() as u64;
    if received != expected {
        return Err(Reason::Truncated { received, expected: Some(expected) }.into());
    }
    Ok(true)
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
        // Retried: a cloud may provide the machine's keys later.
        Error::Generic { .. } if store_error_kind(&error) == StoreErrorKind::MissingKeys => {
            Reason::MissingKeys { message: message() }.into()
        }
        // The network or the store fails, or the keys are temporarily not available.
        Error::Generic { .. } | Error::JoinError { .. } => Reason::Store { message: message() }.into(),
        _ => Reason::Refused { message: message() }.into(),
    }
}
