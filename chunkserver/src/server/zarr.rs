//! The arrays of the job as one Zarr group. Metadata are generated here; chunks are gathered from their owners.

use super::conditional::{Decision, Representation, Tag, document};
use super::extract::Path;
use super::problem::Problem;
use crate::results::{Content, Deadline, READER_TIMEOUT, read_region};
use crate::share::Share;
use crate::worker::Worker;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use formats::zarr::{Chunk, Document, Hierarchy, Node, Origin, frequencies};
use std::sync::Arc;

/// The root, without a trailing slash.
pub(super) async fn root(worker: State<Arc<Worker>>, method: Method, headers: HeaderMap) -> Result<Response, Problem> {
    respond(worker, "", &method, &headers).await
}

/// The root, as a folder.
pub(super) async fn folder(worker: State<Arc<Worker>>, method: Method, headers: HeaderMap) -> Result<Response, Problem> {
    respond(worker, "/", &method, &headers).await
}

/// A key below the root. The path is percent-decoded: some clients send `%40` for `@`.
pub(super) async fn key(
    worker: State<Arc<Worker>>,
    Path(key): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    respond(worker, &format!("/{key}"), &method, &headers).await
}

async fn respond(State(worker): State<Arc<Worker>>, path: &str, method: &Method, headers: &HeaderMap) -> Result<Response, Problem> {
    let share = worker.share().ok_or_else(Problem::idle)?;
    let hierarchy = Hierarchy::new(&share.arrays, &share.plan);
    match hierarchy.find(path)? {
        Node::Document(Document { content_type, text }) => Ok(document(content_type, text, method, headers)),
        Node::Chunk(chunk) => {
            let representation = representation(&share, &chunk);
            let decision = representation.decide(method, headers);
            let body = match &decision {
                Decision::All => body(content(&worker, &share, &chunk).await?),
                Decision::Range(bytes) => body(content(&worker, &share, &chunk).await?.cut(bytes)),
                Decision::NotModified | Decision::Head | Decision::Unsatisfiable => Body::empty(),
            };
            Ok(representation.response(&decision, body))
        }
    }
}

/// Headers of a chunk, which are known before the chunk is computed. The elements never change within a job.
fn representation(share: &Share, chunk: &Chunk<'_>) -> Representation {
    let tag = Tag::of(&[&env!("CARGO_PKG_VERSION"), &share.job.uid, &share.job.generation, &chunk.identity()]);
    Representation { content_type: "application/octet-stream", length: chunk.bytes(), tag }
}

/// The bytes of a chunk. Waits while they are computed or recovered.
async fn content(worker: &Worker, share: &Arc<Share>, chunk: &Chunk<'_>) -> Result<Content, Problem> {
    let (name, aspect) = match &chunk.view.origin {
        Origin::Frequencies => return Ok(frequencies(chunk).into()),
        Origin::Array { name, aspect } => (name, *aspect),
    };
    let array = share.array(name).ok_or_else(Problem::replaced)?;
    let reading = read_region(&worker.client, share, array, aspect, &chunk.region, chunk.grid.chunks(), Deadline::after(READER_TIMEOUT));
    Ok(worker.unless_replaced(share, reading).await.ok_or_else(Problem::replaced)??)
}

fn body(content: Content) -> Body {
    content.into_body().map_or_else(Body::from_stream, Body::from)
}
