//! The front door: any server reads any selection, from itself and from its peers.

use super::content::{Content, Piece};
use super::deadline::Deadline;
use super::held::is_run;
use super::paint::{Place, scatter, tiles};
use super::part::{own_part, own_pixels, until_ready};
use super::take::{put, take};
use super::window::{Cube, Extent, Window};
use super::{Error, filled, made, peer, sums};
use crate::share::{Permit, Share};
use api::arrays::{Array, Holder};
use api::geometry::Element;
use api::plan::ServerId;
use api::selection::{self, Axis, Item};
use formats::aspect::Aspect;
use futures_util::stream::{StreamExt as _, TryStreamExt as _, select_all};
use std::ops::Range;
use std::sync::Arc;
use transport::client::Client;

/// Elements gathered at a time.
const LIMIT: u64 = 8 << 30;

/// A selection's elements.
#[derive(Debug)]
pub struct Gathered {
    /// Their type.
    pub element: Element,
    /// Their shape.
    pub shape: Vec<usize>,
    /// Little-endian, C order.
    pub data: Vec<u8>,
    /// The part of the readers' memory that holds the elements, and as much again for their encoded form.
    pub permit: Option<Permit>,
}

/// Reads `items` of array `name`. The read waits for elements that are still being computed, and for the replacement of lost servers.
///
/// # Errors
/// When there is no such array or element, the job has failed, or the deadline has passed.
pub async fn read(client: &Client, share: &Arc<Share>, name: &str, items: &[Item], deadline: Deadline) -> Result<Gathered, Error> {
    let array = share.array(name).ok_or_else(|| Error::NoSuchArray { name: name.to_owned(), known: known(share) })?;
    let axes = selection::resolve(items, &array.shape)?;
    let shape = selection::shape(&axes);
    let item = array.element.size();
    let bytes = axes.iter().map(|axis| axis.count as u64).product::<u64>() * item as u64;
    within_limit(bytes)?;
    let reading = Reading { client, share, array, deadline };
    let (data, permit) = if let Holder::Frames(_) | Holder::Tiles(_) = array.holder {
        reading.cube(&axes).await?
    } else {
        (take(&reading.small().await?, item, &array.shape, &axes), None)
    };
    Ok(Gathered { element: array.element, shape, data, permit })
}

/// Reads `aspect` of the elements at `region`, in C order of `shape`, which may be larger: the rest is zero.
///
/// # Errors
/// When the job has failed, or the deadline has passed.
pub async fn region(
    client: &Client,
    share: &Arc<Share>,
    array: &Array,
    aspect: Aspect,
    region: &[Range<usize>],
    shape: &[usize],
    deadline: Deadline,
) -> Result<Content, Error> {
    let reading = Reading { client, share, array, deadline };
    let axes: Vec<Axis> = region.iter().map(|along| Axis { start: along.start, ..Axis::whole(along.len()) }).collect();
    if let (Holder::Frames(_) | Holder::Tiles(_), [t, y, x], &[ct, cy, cx]) = (array.holder, &axes[..], shape) {
        let window = Window { cube: Cube { t: *t, y: *y, x: *x }, shape: [ct, cy, cx], aspect };
        if let Holder::Tiles(_) = array.holder {
            // Frames go out as they lie or come; tiles are put together here.
            within_limit(window.bytes(aspect.element(array.element).size()))?;
        }
        return deadline.retry(share, || reading.window(&window, |extents| reading.copied(&window, extents))).await;
    }
    let item = array.element.size();
    let part = take(&reading.small().await?, item, &array.shape, &axes);
    let counts: Vec<usize> = axes.iter().map(|axis| axis.count).collect();
    Ok(if counts == shape { part } else { put(&part, item, &counts, shape) }.into())
}

fn within_limit(bytes: u64) -> Result<(), Error> {
    if bytes > LIMIT { Err(Error::TooLarge { bytes, limit: LIMIT }) } else { Ok(()) }
}

fn known(share: &Share) -> String {
    share.arrays.iter().map(|array| array.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// One server's part of a window, about to be put together with the others.
struct Part {
    extent: Extent,
    /// `None`: pixels of this server, which are painted straight into the whole.
    piece: Option<Piece>,
}

/// An array that is being read for someone.
struct Reading<'a> {
    client: &'a Client,
    share: &'a Arc<Share>,
    array: &'a Array,
    deadline: Deadline,
}

impl Reading<'_> {
    /// A selection of a three-dimensional array, turned where an axis was asked for backwards.
    async fn cube(&self, axes: &[Axis]) -> Result<(Vec<u8>, Option<Permit>), Error> {
        let ascending: Vec<(Axis, bool)> = axes.iter().map(|axis| axis.ascending()).collect();
        let cube = Cube { t: ascending[0].0, y: ascending[1].0, x: ascending[2].0 };
        if cube.is_empty() {
            return Ok((Vec::new(), None));
        }
        let window = Window::of(cube);
        let (data, permit) = self.deadline.retry(self.share, || self.whole(&window)).await?;
        if ascending.iter().all(|(_, turned)| !*turned) {
            return Ok((data, permit));
        }
        let turn = |count: usize, turned: bool| Axis {
            start: if turned { count - 1 } else { 0 },
            step: if turned { -1 } else { 1 },
            count,
            kept: true,
        };
        let axes: Vec<Axis> = cube.counts().into_iter().zip(ascending).map(|(count, (_, turned))| turn(count, turned)).collect();
        let item = self.array.element.size();
        Ok((made(data.len(), move || take(&data, item, &cube.counts(), &axes)).await, permit))
    }

    /// All of the window, here.
    async fn whole(&self, window: &Window) -> Result<(Vec<u8>, Option<Permit>), Error> {
        // Peak: the raw copy plus the encoded or reversed copy.
        let mut content = self.window(window, |_| window.bytes(self.item(window)).saturating_mul(2)).await?;
        let permit = content.permit.take();
        Ok((content.into_vec().await?, permit))
    }

    /// Bytes of the window that are copied on their way, here or by their owners, whose copies are for this reader too.
    fn copied(&self, window: &Window, extents: &[(ServerId, Extent)]) -> u64 {
        let item = self.item(window);
        let Holder::Frames(base) = self.array.holder else { return window.bytes(item) };
        let (_, spec) = self.share.frame_store(base);
        let copied = extents.iter().filter(|(_, extent)| !matches!(extent, Extent::Times(times) if is_run(spec, window, times)));
        copied.map(|(_, extent)| window.part_bytes(extent, item) as u64).sum()
    }

    /// Memory for `bytes` bytes of a reader's response, once this server's own part is computed: elements that are not computed yet take no
    /// memory. The job's own outputs use the memory of the plan.
    async fn permit(&self, window: &Window, bytes: u64) -> Result<Option<Permit>, Error> {
        if bytes == 0 || !self.deadline.is_finite() {
            return Ok(None);
        }
        self.deadline.wait(self.client, self.share, until_ready(self.share, self.array.holder, &window.cube)).await?;
        match self.deadline.wait(self.client, self.share, async { Ok(self.share.memory_budget.acquire(bytes).await) }).await {
            Err(Error::Late) => Err(Error::Crowded),
            permit => permit.map(Some),
        }
    }

    /// What is in the window: asked of every owner, and joined. `takes` says how many bytes of the readers' memory that takes.
    async fn window(&self, window: &Window, takes: impl FnOnce(&[(ServerId, Extent)]) -> u64) -> Result<Content, Error> {
        let plan = &self.share.plan;
        let owners: Vec<(ServerId, Extent)> = plan.ids().filter_map(|id| Some((id, window.extent(plan, self.array.holder, id)?))).collect();
        let permit = self.permit(window, takes(&owners)).await?;
        let parts = owners.into_iter().map(|(id, extent)| async move {
            let piece = if id != self.share.id {
                let bytes = window.part_bytes(&extent, self.item(window));
                Some(peer::part(self.client, self.share, self.array, window, id, bytes).await?)
            } else if let Extent::Pixels(_) = extent {
                until_ready(self.share, self.array.holder, &window.cube).await?;
                None
            } else {
                Some(Piece::Here(own_part(self.share, self.array, window).await?))
            };
            Ok(Part { extent, piece })
        });
        let parts = self.deadline.wait(self.client, self.share, futures_util::future::try_join_all(parts)).await?;
        if parts.iter().any(|part| matches!(part.extent, Extent::Pixels(_))) {
            return Ok(Content { permit, ..self.paste(window, parts).await?.into() });
        }
        // Times, in order of their owners, or the whole of it: nothing has to be put between.
        let mut pieces: Vec<Piece> = parts.into_iter().filter_map(|part| part.piece).collect();
        let missing = window.bytes(self.item(window)).saturating_sub(pieces.iter().map(Piece::length).sum());
        if missing > 0 {
            // Pages that are only read take no memory.
            pieces.push(Piece::Here(vec![0; missing as usize].into()));
        }
        Ok(Content { permit, ..pieces.into() })
    }

    /// Bytes of an element of `window`.
    const fn item(&self, window: &Window) -> usize {
        window.aspect.element(self.array.element).size()
    }

    /// The window from its owners' pixels: the own ones from the store, the others as they come.
    async fn paste(&self, window: &Window, parts: Vec<Part>) -> Result<Vec<u8>, Error> {
        let (item, place) = (self.item(window), Place::within(window));
        let mut to = match self.array.holder {
            Holder::Tiles(base) => {
                let (share, window, place) = (Arc::clone(self.share), *window, place.clone());
                let own = own_pixels(&share, &window.cube);
                filled(window.bytes(item) as usize, move |to| tiles(&share, base, &window, own, &place, to)).await
            }
            _ => Vec::new(),
        };
        let mut at = vec![0; parts.len()];
        let (mut pixels, mut coming) = (Vec::new(), Vec::new());
        for (number, Part { extent, piece }) in parts.into_iter().enumerate() {
            pixels.push(if let Extent::Pixels(pixels) = extent { pixels } else { 0..0 });
            if let Some(piece) = piece {
                coming.push(piece.into_stream().map_ok(move |bytes| (number, bytes)).boxed());
            }
        }
        let mut coming = select_all(coming);
        while let Some((number, bytes)) = coming.try_next().await? {
            scatter(&place, &pixels[number], item, at[number], &bytes, &mut to);
            at[number] += bytes.len();
        }
        Ok(to)
    }

    /// A small array, whole.
    async fn small(&self) -> Result<Vec<u8>, Error> {
        self.deadline.retry(self.share, || self.finished_sums()).await
    }

    /// A small array, put together from every server's run or sums.
    async fn finished_sums(&self) -> Result<Vec<u8>, Error> {
        let (base, kind) = sums::source(self.array.holder);
        let parts = self.share.plan.ids().map(|id| async move {
            if id == self.share.id {
                return Ok(Content::from(sums::own_sums(self.share, base, kind).await?));
            }
            Ok(Content::from(vec![peer::sums(self.client, self.share, self.array, id).await?]))
        });
        let parts = self.deadline.wait(self.client, self.share, futures_util::future::try_join_all(parts)).await?;
        let parts = futures_util::future::try_join_all(parts.into_iter().map(Content::into_vec)).await?;
        let (share, holder) = (Arc::clone(self.share), self.array.holder);
        let bytes = parts.iter().map(Vec::len).sum();
        made(bytes, move || sums::finish(&share, holder, &parts)).await
    }
}
