//! The front door: any server reads any selection, from itself and from its peers.

use super::part::{Cube, own_part};
use super::sums;
use super::take::take;
use super::{Error, apart};
use crate::exchange::Client;
use crate::worker::Share;
use api::arrays::{Array, Holder};
use api::geometry::Element;
use api::plan::ServerId;
use api::selection::{self, Axis, Item};
use api::wire::route;
use std::ops::Range;
use std::sync::Arc;

/// Elements gathered at a time.
const LIMIT: u64 = 8 << 30;

/// A selection's elements.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// Their type.
    pub element: Element,
    /// Their shape.
    pub shape: Vec<usize>,
    /// Little-endian, C order.
    pub data: Vec<u8>,
}

/// Reads `items` of array `name`, waiting for what is still being computed.
///
/// # Errors
/// When there is no such array or element, or a peer cannot be reached now.
pub async fn read(client: &Client, share: &Arc<Share>, name: &str, items: &[Item]) -> Result<Gathered, Error> {
    let array = share.array(name).ok_or_else(|| Error::NoSuchArray { name: name.to_owned(), known: known(share) })?;
    let axes = selection::resolve(items, &array.shape)?;
    let shape = selection::shape(&axes);
    let item = array.element.size();
    let bytes = axes.iter().map(|axis| axis.count as u64).product::<u64>() * item as u64;
    if bytes > LIMIT {
        return Err(Error::TooLarge { bytes, limit: LIMIT });
    }
    let data = match array.holder {
        Holder::Frames(_) | Holder::Tiles(_) => cube(client, share, array, &axes).await?,
        Holder::Centroids | Holder::Offsets | Holder::Frame(..) | Holder::Trace(..) => {
            let whole = small(client, share, array).await?;
            take(&whole, item, &array.shape, &axes)
        }
    };
    Ok(Gathered { element: array.element, shape, data })
}

fn known(share: &Share) -> String {
    share.arrays.iter().map(|array| array.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// A selection of a three-dimensional array.
async fn cube(client: &Client, share: &Arc<Share>, array: &Array, axes: &[Axis]) -> Result<Vec<u8>, Error> {
    let ascending: Vec<(Axis, bool)> = axes.iter().map(|axis| axis.ascending()).collect();
    let cube = Cube { t: ascending[0].0, y: ascending[1].0, x: ascending[2].0 };
    let item = array.element.size();
    if cube.is_empty() {
        return Ok(Vec::new());
    }
    let parts = share.plan.ids().filter(|&id| !holds_nothing(share, array.holder, &cube, id)).map(|id| async move {
        let part =
            if id == share.id { own_part(share, array.holder, &cube).await } else { remote_part(client, share, array, &cube, id).await? };
        Ok::<_, Error>((id, part))
    });
    let mut placed = Vec::new();
    for (id, bytes) in futures_util::future::try_join_all(parts).await? {
        let (times, columns) = match array.holder {
            Holder::Tiles(_) => (0..cube.t.count, cube.pixels_in(&share.plan.pixels_of(id), share.plan.stack.width)),
            _ => (cube.times_in(&share.plan.frames_of(id)), 0..cube.pixels()),
        };
        let expected = times.len() * columns.len() * item;
        if bytes.len() != expected {
            return Err(Error::PartLength { server: id.0, found: bytes.len(), expected });
        }
        placed.push(Part { times, columns: columns.start * item..columns.end * item, bytes });
    }
    Ok(apart(cube.len() * item, move || paste(placed, &cube, item, &ascending)).await)
}

/// What one server gave, and where it belongs.
struct Part {
    times: Range<usize>,
    /// Bytes of each time's row.
    columns: Range<usize>,
    bytes: Vec<u8>,
}

/// The selection from its parts, turned where an axis was asked for backwards.
fn paste(parts: Vec<Part>, cube: &Cube, item: usize, ascending: &[(Axis, bool)]) -> Vec<u8> {
    let (bytes, row) = (cube.len() * item, cube.pixels() * item);
    let mut data = Vec::new();
    for part in parts {
        if part.bytes.len() == bytes {
            // One server has it all, in order: nothing to paste.
            data = part.bytes;
            break;
        }
        if data.is_empty() {
            data = vec![0; bytes];
        }
        for (time, from) in part.times.zip(part.bytes.chunks_exact(part.columns.len().max(1))) {
            data[time * row..][part.columns.clone()].copy_from_slice(from);
        }
    }
    if ascending.iter().any(|(_, turned)| *turned) {
        let shape = [cube.t.count, cube.y.count, cube.x.count];
        let turn = |count: usize, turned: bool| Axis {
            start: if turned { count - 1 } else { 0 },
            step: if turned { -1 } else { 1 },
            count,
            kept: true,
        };
        let axes: Vec<Axis> = shape.iter().zip(ascending).map(|(&count, &(_, turned))| turn(count, turned)).collect();
        data = take(&data, item, &shape, &axes);
    }
    data
}

fn holds_nothing(share: &Share, holder: Holder, cube: &Cube, id: ServerId) -> bool {
    match holder {
        Holder::Tiles(_) => cube.pixels_in(&share.plan.pixels_of(id), share.plan.stack.width).is_empty(),
        _ => cube.times_in(&share.plan.frames_of(id)).is_empty(),
    }
}

async fn remote_part(client: &Client, share: &Share, array: &Array, cube: &Cube, id: ServerId) -> Result<Vec<u8>, Error> {
    let axis = |axis: &Axis| format!("{}:{}:{}", axis.start, axis.step, axis.count);
    let path = format!("{}?array={}&t={}&y={}&x={}", route::PART, array.name, axis(&cube.t), axis(&cube.y), axis(&cube.x));
    remote(client, share, id, &path).await
}

/// A GET to server `id`, answered whole.
async fn remote(client: &Client, share: &Share, id: ServerId, path: &str) -> Result<Vec<u8>, Error> {
    let peer = share.peer(id).ok_or(Error::PeerAbsent(id.0))?;
    let failed = |source| Error::Peer { server: id.0, source };
    let response = client.get(share, &peer, path).await.map_err(failed)?;
    Ok(response.bytes().await.map_err(|error| failed(error.into()))?.into())
}

/// A small array, whole: put together from every server's run or sums.
async fn small(client: &Client, share: &Share, array: &Array) -> Result<Vec<u8>, Error> {
    let (base, kind) = sums::source(array.holder);
    let parts = share.plan.ids().map(|id| async move {
        if id == share.id {
            return Ok(sums::own_sums(share, base, kind).await);
        }
        let path = format!("{}?array={}", route::SUMS, array.name);
        remote(client, share, id, &path).await
    });
    let parts = futures_util::future::try_join_all(parts).await?;
    sums::finish(share, array.holder, &parts)
}
