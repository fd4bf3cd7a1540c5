//! Reads selections and regions: any server reads from itself and from its peers.

use super::content::{Content, Fragment};
use super::copy::{PixelOffsets, scatter, tiles};
use super::deadline::Deadline;
use super::frame_bytes::is_contiguous;
use super::part::{own_part, until_ready};
use super::region::{Cube, Extent, Region};
use super::select::{put, take};
use super::selected::{Selected, block_shape, within_limit};
use super::sums::Merged;
use super::undamaged::undamaged;
use super::{Error, computed, filled, peer, stored_frames, sums};
use crate::share::{Permit, Share};
use api::arrays::{Array, Holder};
use api::geometry::Element;
use api::plan::ServerId;
use api::selection::{Axis, Item};
use formats::aspect::Aspect;
use futures_util::stream::{StreamExt as _, TryStreamExt as _, select_all};
use std::ops::Range;
use std::sync::Arc;
use transport::client::Client;

/// The elements of a selection.
#[derive(Debug)]
pub struct Gathered {
    /// Element type.
    pub element: Element,
    /// Shape of the selection.
    pub shape: Vec<usize>,
    /// The elements, little endian, in C order.
    pub data: Vec<u8>,
    /// The permit for the memory of the elements and of their encoded copy.
    pub permit: Option<Permit>,
}

/// Reads `items` of array `name`. The read waits for elements that are still being computed, and for the replacement of lost servers.
///
/// # Errors
/// When the array is unknown, the selection is out of bounds, the job has failed, or the deadline has passed.
pub async fn read(client: &Client, share: &Arc<Share>, name: &str, items: &[Item], deadline: Deadline) -> Result<Gathered, Error> {
    read_selected(client, share, &Selected::new(share, name, items)?, 0, deadline).await
}

/// As [`read`]. With a finite deadline, the result holds a permit for the elements, their copies, and `scratch` bytes of an encoder.
///
/// # Errors
/// As [`read`], or when the readers' memory is smaller than the read.
pub async fn read_selected(
    client: &Client,
    share: &Arc<Share>,
    selected: &Selected,
    scratch: u64,
    deadline: Deadline,
) -> Result<Gathered, Error> {
    let Selected { array, axes } = selected;
    let reading = Reading { client, share, array, deadline };
    let (data, permit) = if selected.is_divisible() {
        reading.cube(axes, selected.bytes().saturating_mul(selected.copies()).saturating_add(scratch)).await?
    } else {
        let (data, permit) = reading.small(selected.bytes().saturating_add(scratch)).await?;
        (take(&data, array.element.size(), &array.shape, axes), permit)
    };
    Ok(Gathered { element: array.element, shape: selected.shape(), data, permit })
}

/// Reads the elements at `ranges`, one range for each axis, as values, magnitudes or phases. The result has `shape` in C order and is zero beyond
/// the ranges.
///
/// # Errors
/// When the job has failed, or the deadline has passed.
pub async fn read_region(
    client: &Client,
    share: &Arc<Share>,
    array: &Array,
    aspect: Aspect,
    ranges: &[Range<usize>],
    shape: &[usize],
    deadline: Deadline,
) -> Result<Content, Error> {
    let reading = Reading { client, share, array, deadline };
    let axes: Vec<Axis> = ranges.iter().map(|along| Axis { start: along.start, ..Axis::whole(along.len()) }).collect();
    if let (Holder::Frames(_) | Holder::Tiles(_), [t, y, x], &[ct, cy, cx]) = (array.holder, &axes[..], shape) {
        let region = Region { cube: Cube { t: *t, y: *y, x: *x }, shape: [ct, cy, cx], aspect };
        if let Holder::Tiles(_) = array.holder {
            // Frames are sent from the store or from a stream; tiles are joined in this server's memory.
            within_limit(region.bytes(aspect.element(array.element).size()))?;
        }
        return deadline.retry(share, || reading.region(&region, |extents| reading.copied(&region, extents))).await;
    }
    let item = array.element.size();
    let bytes = shape.iter().fold(item as u64, |bytes, &size| bytes.saturating_mul(size as u64));
    within_limit(bytes)?;
    let (all, permit) = reading.small(bytes.saturating_mul(2)).await?;
    let part = take(&all, item, &array.shape, &axes);
    let counts: Vec<usize> = axes.iter().map(|axis| axis.count).collect();
    let content = Content::from(if counts == shape { part } else { put(&part, item, &counts, shape) });
    Ok(Content { permit, ..content })
}

/// One server's part of a region.
struct Part {
    extent: Extent,
    /// `None` for this server's pixels, which are copied directly into the joined region.
    fragment: Option<Fragment>,
}

/// A read of one array.
struct Reading<'a> {
    client: &'a Client,
    share: &'a Arc<Share>,
    array: &'a Array,
    deadline: Deadline,
}

impl Reading<'_> {
    /// A selection of a three-dimensional array. Axes with a negative step are reversed after the read.
    async fn cube(&self, axes: &[Axis], memory: u64) -> Result<(Vec<u8>, Option<Permit>), Error> {
        let ascending: Vec<(Axis, bool)> = axes.iter().map(|axis| axis.ascending()).collect();
        let cube = Cube { t: ascending[0].0, y: ascending[1].0, x: ascending[2].0 };
        if cube.is_empty() {
            return Ok((Vec::new(), None));
        }
        let region = Region::of(cube);
        let (data, permit) = self.deadline.retry(self.share, || self.whole(&region, memory)).await?;
        if ascending.iter().all(|(_, reversed)| !*reversed) {
            return Ok((data, permit));
        }
        let axis = |count: usize, reversed: bool| Axis {
            start: if reversed { count - 1 } else { 0 },
            step: if reversed { -1 } else { 1 },
            count,
            kept: true,
        };
        let axes: Vec<Axis> = cube.counts().into_iter().zip(ascending).map(|(count, (_, reversed))| axis(count, reversed)).collect();
        let item = self.array.element.size();
        Ok((computed(data.len(), move || take(&data, item, &cube.counts(), &axes)).await, permit))
    }

    /// All bytes of the region, in this server's memory. The read takes `memory` bytes of the readers' memory.
    async fn whole(&self, region: &Region, memory: u64) -> Result<(Vec<u8>, Option<Permit>), Error> {
        let mut content = self.region(region, |_| memory).await?;
        let permit = content.permit.take();
        Ok((content.into_vec().await?, permit))
    }

    /// Bytes of the region that this server or an owner copies for this reader.
    fn copied(&self, region: &Region, extents: &[(ServerId, Extent)]) -> u64 {
        let item = self.item(region);
        let Holder::Frames(base) = self.array.holder else { return region.bytes(item) };
        let (_, spec) = self.share.frame_store(base);
        let on_disk = self.share.plan.storage.has_frames_on_disk();
        let copied = extents.iter().map(|(_, extent)| match extent {
            Extent::Times(times) if is_contiguous(spec, region, times) && !on_disk => 0,
            Extent::Times(times) if is_contiguous(spec, region, times) => {
                stored_frames::part_bytes(times.len(), region.part_bytes(extent, item) / times.len())
            }
            _ => region.part_bytes(extent, item),
        });
        copied.map(|bytes| bytes as u64).sum()
    }

    /// Memory for `bytes` bytes of a reader's response, once this server's own part is computed: elements that are not computed yet take no
    /// memory. The job's own outputs use the memory of the plan.
    async fn permit(&self, region: &Region, bytes: u64) -> Result<Option<Permit>, Error> {
        if bytes == 0 || !self.deadline.is_finite() {
            return Ok(None);
        }
        let budget = self.share.memory_budget.bytes();
        if bytes > budget {
            let item = self.item(region) as u64;
            let most = (u128::from(region.bytes(item as usize)) * u128::from(budget) / u128::from(bytes)) as u64;
            return Err(Error::OverBudget { needed: bytes, budget, fits: block_shape(&region.shape, item, most) });
        }
        self.deadline.wait(self.client, self.share, until_ready(self.share, self.array.holder, &region.cube)).await?;
        self.acquire(bytes).await
    }

    /// A permit for `bytes` bytes, at most the whole budget.
    async fn acquire(&self, bytes: u64) -> Result<Option<Permit>, Error> {
        match self.deadline.wait(self.client, self.share, async { Ok(self.share.memory_budget.acquire(bytes).await) }).await {
            Err(Error::Timeout) => Err(Error::MemoryTimeout),
            permit => permit,
        }
    }

    /// Requests the region from every owner and joins the parts. `memory` computes the bytes of the readers' memory that the read needs.
    async fn region(&self, region: &Region, memory: impl FnOnce(&[(ServerId, Extent)]) -> u64) -> Result<Content, Error> {
        let plan = &self.share.plan;
        let owners: Vec<(ServerId, Extent)> = plan.ids().filter_map(|id| Some((id, region.extent(plan, self.array.holder, id)?))).collect();
        let permit = self.permit(region, memory(&owners)).await?;
        let parts = owners.into_iter().map(|(id, extent)| async move {
            let fragment = if id != self.share.id {
                let bytes = region.part_bytes(&extent, self.item(region));
                Some(peer::part(self.client, self.share, self.array, region, id, bytes).await?)
            } else if let Extent::Pixels(_) = extent {
                until_ready(self.share, self.array.holder, &region.cube).await?;
                undamaged(self.share, self.array.holder, &region.cube).await?;
                None
            } else {
                Some(own_part(self.share, self.array, region).await?)
            };
            Ok(Part { extent, fragment })
        });
        let parts = self.deadline.wait(self.client, self.share, futures_util::future::try_join_all(parts)).await?;
        if parts.iter().any(|part| matches!(part.extent, Extent::Pixels(_))) {
            return Ok(Content { permit, ..self.paste(region, parts).await?.into() });
        }
        // Times in the order of their owners, or the whole region: the parts are consecutive.
        let mut fragments: Vec<Fragment> = parts.into_iter().filter_map(|part| part.fragment).collect();
        let missing = region.bytes(self.item(region)).saturating_sub(fragments.iter().map(Fragment::length).sum());
        if missing > 0 {
            // Zero pages that are only read occupy no memory.
            fragments.push(Fragment::Ready(vec![0; missing as usize].into()));
        }
        Ok(Content { permit, ..fragments.into() })
    }

    /// Size of an element of `region`, in bytes.
    const fn item(&self, region: &Region) -> usize {
        region.aspect.element(self.array.element).size()
    }

    /// Joins the owners' pixels: this server's from the store, the peers' from their streams.
    async fn paste(&self, region: &Region, parts: Vec<Part>) -> Result<Vec<u8>, Error> {
        let (item, offsets) = (self.item(region), PixelOffsets::within(region));
        let mut to = match self.array.holder {
            Holder::Tiles(base) => {
                let (share, region, offsets) = (Arc::clone(self.share), *region, offsets.clone());
                let own = region.cube.pixels_of(&share.plan, share.id);
                filled(region.bytes(item) as usize, move |to| tiles(&share, base, &region, own, &offsets, to)).await
            }
            _ => Vec::new(),
        };
        let mut at = vec![0; parts.len()];
        let (mut pixels, mut coming) = (Vec::new(), Vec::new());
        for (number, Part { extent, fragment }) in parts.into_iter().enumerate() {
            pixels.push(if let Extent::Pixels(pixels) = extent { pixels } else { 0..0 });
            if let Some(fragment) = fragment {
                coming.push(fragment.into_stream().map_ok(move |bytes| (number, bytes)).boxed());
            }
        }
        let mut coming = select_all(coming);
        while let Some((number, bytes)) = coming.try_next().await? {
            scatter(&offsets, &pixels[number], item, at[number], &bytes, &mut to);
            at[number] += bytes.len();
        }
        Ok(to)
    }

    /// A small array: all elements. The permit also holds `more` bytes. Sums of large frames may exceed the budget: such a read waits for the
    /// whole budget, and otherwise uses memory of the plan's sums of threads, which is free after loading.
    async fn small(&self, more: u64) -> Result<(Vec<u8>, Option<Permit>), Error> {
        let permit = if self.deadline.is_finite() {
            let bytes = sums::gathered_bytes(self.share, self.array.holder).saturating_add(more);
            self.acquire(bytes.min(self.share.memory_budget.bytes())).await?
        } else {
            None
        };
        Ok((self.deadline.retry(self.share, || self.finished_sums()).await?, permit))
    }

    /// A small array, computed from the values or sums of all servers. The values of one server are in memory at a time.
    async fn finished_sums(&self) -> Result<Vec<u8>, Error> {
        let (base, kind) = sums::source(self.array.holder);
        let parts = self.share.plan.ids().map(|id| async move {
            if id == self.share.id {
                return Ok(Content::from(sums::own_sums(self.share, base, kind).await?));
            }
            Ok(Content::from(vec![peer::sums(self.client, self.share, self.array, id).await?]))
        });
        let parts = self.deadline.wait(self.client, self.share, futures_util::future::try_join_all(parts)).await?;
        let mut merged = Merged::new(self.share, self.array.holder);
        let mut bytes = 0;
        for (server, part) in parts.into_iter().enumerate() {
            let part = part.into_vec().await?;
            bytes += part.len();
            merged = computed(part.len(), move || merged.add(server, &part)).await?;
        }
        Ok(computed(bytes, move || merged.finish()).await)
    }
}
