//! Slices of arrays, in a format that the reader chooses.

use super::body::{self, Pieces, produced};
use super::extract::{Path, Query};
use super::problem::Problem;
use crate::results::{Deadline, Gathered, READER_TIMEOUT, Selected, read_selected};
use crate::share::{Share, with_permit};
use crate::worker::Worker;
use api::geometry::Element;
use api::selection::parse_items;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use formats::encode::{self, ArrayRef, Format, StreamEncoder};
use serde::Deserialize;
use std::sync::Arc;

/// Elements that are encoded at a time, in bytes: their text is about as long as a piece of a response.
const ENCODED_BYTES: usize = 64 << 10;
/// Memory for pieces between the encoder and the connection, in bytes.
const PIECES: u64 = 1 << 20;
/// A read that does not fit the readers' memory is sent in blocks of this part of the memory, so that other readers continue.
const BLOCKS: u64 = 4;

#[derive(Debug, Deserialize)]
pub(super) struct SliceQuery {
    #[serde(default)]
    sel: String,
    #[serde(default = "npy")]
    format: String,
}

fn npy() -> String {
    "npy".into()
}

/// A slice of an array.
pub(super) async fn slice(
    State(worker): State<Arc<Worker>>,
    Path(array): Path<String>,
    Query(query): Query<SliceQuery>,
) -> Result<Response, Problem> {
    let share = worker.share().ok_or_else(Problem::idle)?;
    let format: Format = query.format.parse()?;
    let items = parse_items(&query.sel).map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let selected = Selected::new(&share, &array, &items)?;
    Slice { worker, share, selected, format, values: Values::Stored }.respond().await
}

/// The values that a reader gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// The array's elements.
    Stored,
    /// Magnitudes in place of complex values; other elements unchanged.
    Magnitudes,
}

impl Values {
    /// The element type that the reader gets.
    pub(super) const fn element(self, element: Element) -> Element {
        match (self, element) {
            (Self::Magnitudes, Element::Complex64) => Element::Float32,
            _ => element,
        }
    }

    fn of(self, gathered: Gathered) -> Gathered {
        let element = self.element(gathered.element);
        if element == gathered.element {
            return gathered;
        }
        let magnitude = |[re, im]: [[u8; 4]; 2]| f32::from_le_bytes(re).hypot(f32::from_le_bytes(im)).to_le_bytes();
        let (values, _) = gathered.data.as_chunks::<4>();
        let data = values.as_chunks::<2>().0.iter().flat_map(|&pair| magnitude(pair)).collect();
        Gathered { element, data, ..gathered }
    }
}

/// A selection in a format.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) worker: Arc<Worker>,
    pub(super) share: Arc<Share>,
    pub(super) selected: Selected,
    pub(super) format: Format,
    pub(super) values: Values,
}

impl Slice {
    /// The response. The read waits at most [`READER_TIMEOUT`] for elements that are not computed yet; a selection that is larger than the
    /// readers' memory is sent in blocks, if the format permits, and the read of each block waits as long.
    pub(super) async fn respond(self) -> Result<Response, Problem> {
        let element = self.values.element(self.selected.array.element);
        match StreamEncoder::new(self.format, element, &self.selected.shape())? {
            Some(encoder) => self.stream(encoder).await,
            None => self.whole().await,
        }
    }

    /// A picture, which is encoded as a whole.
    async fn whole(self) -> Result<Response, Problem> {
        let format = self.format;
        let shape = self.selected.shape();
        let page = shape.iter().rev().take(2).map(|&size| size as u64).product();
        let scratch = format.scratch_bytes(self.selected.array.element, self.selected.elements(), page);
        let Gathered { element, shape, data, permit } = self.gather(&self.selected, scratch).await?;
        let encoded = tokio::task::spawn_blocking(move || encode::encode(&ArrayRef { element, shape: &shape, data: &data }, format)).await;
        let bytes: Bytes = encoded.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))??.into();
        Ok(([(header::CONTENT_TYPE, format.content_type())], with_permit(bytes, permit)).into_response())
    }

    /// Elements that are encoded one after another.
    async fn stream(self, mut encoder: StreamEncoder) -> Result<Response, Problem> {
        let (head, length) = (encoder.head()?, encoder.length());
        let content_type = [(header::CONTENT_TYPE, self.format.content_type())];
        let budget = self.share.memory_budget.bytes();
        let (copies, extra) = (self.selected.copies(), self.extra(&self.selected));
        let fits = self.selected.bytes().saturating_mul(copies).saturating_add(extra) <= budget;
        let mut blocks = self.selected.blocks(if fits { u64::MAX } else { budget / BLOCKS / (copies + 1) }).into_iter();
        // Errors of the first block have a status.
        let mut gathered = match blocks.next() {
            Some(first) => Some(self.gather(&first, self.extra(&first)).await?),
            None => None,
        };
        let body = produced(|pieces| async move {
            pieces.send(head.into()).await?;
            while let Some(block) = gathered.take() {
                encoder = send(&pieces, encoder, self.values.of(block)).await?;
                if let Some(next) = blocks.next() {
                    gathered = Some(self.gathered(&next, self.extra(&next)).await?);
                }
            }
            pieces.send(encoder.tail().into()).await
        });
        Ok(match length {
            Some(length) => (content_type, [(header::CONTENT_LENGTH, length.to_string())], body).into_response(),
            None => (content_type, body).into_response(),
        })
    }

    /// Memory of a block beyond its elements: pieces, and magnitudes.
    fn extra(&self, block: &Selected) -> u64 {
        let element = block.array.element;
        PIECES + if self.values.element(element) == element { 0 } else { block.bytes() / 2 }
    }

    async fn gather(&self, block: &Selected, scratch: u64) -> Result<Gathered, Problem> {
        Ok(self.gathered(block, scratch).await?)
    }

    async fn gathered(&self, block: &Selected, scratch: u64) -> Result<Gathered, body::Error> {
        let reading = read_selected(&self.worker.client, &self.share, block, scratch, Deadline::after(READER_TIMEOUT));
        Ok(self.worker.unless_replaced(&self.share, reading).await.ok_or(body::Error::Replaced)??)
    }
}

/// Encodes and sends the elements of a block. The memory of the block is free when its last element is sent.
async fn send(pieces: &Pieces, mut encoder: StreamEncoder, block: Gathered) -> Result<StreamEncoder, body::Error> {
    let Gathered { element, data, permit, .. } = block;
    let mut data = with_permit(data, permit);
    if encoder.keeps_elements() {
        pieces.send(data).await?;
        return Ok(encoder);
    }
    let most = ENCODED_BYTES / element.size() * element.size();
    while !data.is_empty() {
        let some = data.split_to(data.len().min(most));
        let text;
        (encoder, text) = tokio::task::spawn_blocking(move || {
            let mut text = Vec::new();
            encoder.append(&some, &mut text);
            (encoder, text)
        })
        .await
        .map_err(|_| body::Error::Panicked)?;
        pieces.send(text.into()).await?;
    }
    Ok(encoder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complex_values_become_magnitudes() {
        let data = [3.0f32, 4.0, -6.0, 8.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let seen = Values::Magnitudes.of(Gathered { element: Element::Complex64, shape: vec![2], data, permit: None });
        assert_eq!(seen.element, Element::Float32);
        assert_eq!(seen.data, [5.0f32, 10.0].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
    }
}
