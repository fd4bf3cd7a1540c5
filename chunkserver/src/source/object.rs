//! One GET of an object of a store: its bytes go out, or the reason there are none.

use super::error::{Failure, Reason};
use super::{Options, Part};
use crate::objects::{Complaint, Location, complaint, said};
use futures_util::{Stream, StreamExt as _};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStoreExt as _};
use tokio::time::timeout;

/// Fetches an object, or a part of it.
pub(super) async fn get(place: &Location, key: &str, part: Option<Part>, options: &Options, into: &mut Vec<u8>) -> Result<bool, Failure> {
    let silent = || Failure::from(Reason::Silent { timeout: options.progress_timeout });
    let path = place.below(key);
    let wanted = GetOptions { range: part.map(range), ..GetOptions::default() };
    let mut answer = timeout(options.progress_timeout, place.store.get_opts(&path, wanted)).await.map_err(|_| silent())?;
    if let (Err(Error::NotSupported { .. }), Some(Part::Last(bytes))) = (&answer, part) {
        // Azure knows no ranges from the end.
        answer = timeout(options.progress_timeout, last(place, &path, bytes)).await.map_err(|_| silent())?;
    }
    let answer = answer.map_err(failed)?;
    let expected = answer.range.end - answer.range.start;
    if expected > options.max_bytes {
        return Err(Reason::TooLarge { limit: options.max_bytes }.into());
    }
    into.reserve_exact(expected as usize);
    let mut body = answer.into_stream();
    while let Some(bytes) = timeout(options.progress_timeout, next(&mut body)).await.map_err(|_| silent())? {
        into.extend_from_slice(&bytes.map_err(failed)?);
    }
    let received = into.len() as u64;
    if received != expected {
        return Err(Reason::CutShort { received, expected: Some(expected) }.into());
    }
    Ok(true)
}

async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    stream.next().await
}

/// The last bytes of an object whose length has to be asked for first.
async fn last(place: &Location, path: &Path, bytes: u64) -> object_store::Result<object_store::GetResult> {
    let size = place.store.head(path).await?.size;
    let range = Some(GetRange::Bounded(size.saturating_sub(bytes)..size));
    place.store.get_opts(path, GetOptions { range, ..GetOptions::default() }).await
}

fn range(part: Part) -> GetRange {
    match part {
        Part::From(start, None) => GetRange::Offset(start),
        Part::From(start, Some(length)) => GetRange::Bounded(start..start.saturating_add(length)),
        Part::Last(length) => GetRange::Suffix(length),
    }
}

fn failed(error: Error) -> Failure {
    let what = || said(&error);
    match &error {
        Error::NotFound { .. } => Reason::NoObject.into(),
        // Those of a machine of a cloud may come later.
        Error::Generic { .. } if complaint(&error) == Complaint::Keyless => Reason::Keyless { what: what() }.into(),
        // Where the network or the store fails, or its keys cannot be had just now.
        Error::Generic { .. } | Error::JoinError { .. } => Reason::Store { what: what() }.into(),
        _ => Reason::Refused { what: what() }.into(),
    }
}
