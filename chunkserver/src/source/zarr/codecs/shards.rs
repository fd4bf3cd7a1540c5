//! Shards whose index is checked before any inner chunk is read: <https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html>.

use async_trait::async_trait;
use std::borrow::Cow;
use std::num::NonZeroU64;
use std::sync::Arc;
use zarrs::array::codec::CodecChain;
use zarrs::array::{
    ArrayBytes, ArrayBytesDecodeIntoTarget, ArrayBytesRaw, ArrayCodecTraits, ArrayToBytesCodecTraits, AsyncArrayPartialDecoderTraits,
    AsyncBytesPartialDecoderTraits, BytesRepresentation, ChunkShape, CodecError, CodecMetadataOptions, CodecOptions, CodecTraits, DataType,
    FillValue, RecommendedConcurrency, data_type,
};
use zarrs::metadata::Configuration;
use zarrs::metadata::v3::MetadataV3;
use zarrs::metadata_ext::codec::sharding::{ShardingCodecConfigurationV1, ShardingIndexLocation};
use zarrs::plugin::{ExtensionName, PluginCreateError, ZarrVersion};
use zarrs::storage::StorageError;
use zarrs::storage::byte_range::{ByteRange, ByteRangeIterator};
use zarrs_codec::{PartialDecoderCapability, PartialEncoderCapability};

/// Offset and length of an absent inner chunk.
const ABSENT: [u64; 2] = [u64::MAX; 2];

/// The sharding codec of zarrs, with a check of the index.
#[derive(Debug)]
pub(super) struct CheckedShards {
    inner: Arc<dyn ArrayToBytesCodecTraits>,
    subchunk: ChunkShape,
    subchunk_codecs: CodecChain,
    index_codecs: CodecChain,
    location: ShardingIndexLocation,
}

impl CheckedShards {
    /// Wraps `inner`, which is created from the same metadata.
    pub(super) fn new(inner: Arc<dyn ArrayToBytesCodecTraits>, metadata: &MetadataV3) -> Result<Self, PluginCreateError> {
        let configuration: ShardingCodecConfigurationV1 = metadata.to_typed_configuration()?;
        Ok(Self {
            inner,
            subchunk: configuration.chunk_shape,
            subchunk_codecs: CodecChain::from_metadata(&configuration.codecs)?,
            index_codecs: CodecChain::from_metadata(&configuration.index_codecs)?,
            location: configuration.index_location,
        })
    }

    /// Shape of the index: inner chunks along each axis of the shard, and 2.
    fn index_shape(&self, shard: &[NonZeroU64]) -> Result<ChunkShape, CodecError> {
        let counts = shard.iter().zip(&self.subchunk).map(|(shard, inner)| shard.get() / inner.get());
        counts.chain([2]).map(|count| NonZeroU64::new(count).ok_or_else(|| "an inner chunk is larger than its shard".into())).collect()
    }

    /// Bytes of the encoded index.
    fn index_bytes(&self, index_shape: &[NonZeroU64]) -> Result<u64, CodecError> {
        match self.index_codecs.encoded_representation(index_shape, &data_type::uint64(), &FillValue::from(u64::MAX))? {
            BytesRepresentation::FixedSize(size) => Ok(size),
            BytesRepresentation::BoundedSize(_) | BytesRepresentation::UnboundedSize => Err("the index of a shard is compressed".into()),
        }
    }

    /// The position of the index.
    const fn index_range(&self, bytes: u64) -> ByteRange {
        match self.location {
            ShardingIndexLocation::Start => ByteRange::FromStart(0, Some(bytes)),
            ShardingIndexLocation::End => ByteRange::Suffix(bytes),
        }
    }

    /// Decodes and checks an index. `size` is the length of the shard, if known.
    fn check(&self, encoded: &[u8], index_shape: &[NonZeroU64], size: Option<u64>, options: &CodecOptions) -> Result<(), CodecError> {
        let fill = FillValue::from(u64::MAX);
        let decoded = self.index_codecs.decode(Cow::Borrowed(encoded), index_shape, &data_type::uint64(), &fill, options)?;
        let decoded = decoded.into_fixed()?;
        let words: Vec<u64> = decoded.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word)).collect();
        let index_bytes = encoded.len() as u64;
        let free = match self.location {
            ShardingIndexLocation::Start => index_bytes..size.unwrap_or(u64::MAX),
            ShardingIndexLocation::End => 0..size.map_or(u64::MAX, |size| size.saturating_sub(index_bytes)),
        };
        check_entries(words.as_chunks::<2>().0, free)
    }

    /// [`Self::check`] for a whole shard.
    fn check_whole(&self, shard: &[u8], shape: &[NonZeroU64], options: &CodecOptions) -> Result<(), CodecError> {
        let index_shape = self.index_shape(shape)?;
        let bytes = usize::try_from(self.index_bytes(&index_shape)?).unwrap_or(usize::MAX);
        let index = match self.location {
            ShardingIndexLocation::Start => shard.get(..bytes),
            ShardingIndexLocation::End => shard.len().checked_sub(bytes).map(|start| &shard[start..]),
        };
        let index = index.ok_or_else(|| CodecError::Other(format!("it has {} bytes, fewer than the index of a shard", shard.len())))?;
        self.check(index, &index_shape, Some(shard.len() as u64), options)
    }
}

/// Checks that inner chunks lie within `free` and do not overlap.
fn check_entries(entries: &[[u64; 2]], free: std::ops::Range<u64>) -> Result<(), CodecError> {
    let wrong = |inner: usize, message: &str| {
        let [offset, length] = entries[inner];
        Err(CodecError::Other(format!(
            "the index of the shard is damaged: inner chunk {inner} (offset {offset}, length {length}) {message}"
        )))
    };
    let mut present = Vec::with_capacity(entries.len());
    for (inner, &[offset, length]) in entries.iter().enumerate().filter(|(_, entry)| **entry != ABSENT) {
        match offset.checked_add(length) {
            Some(end) if free.start <= offset && end <= free.end => present.push((offset, end, inner)),
            Some(_) | None => return wrong(inner, "lies outside of the shard's data"),
        }
    }
    present.retain(|(offset, end, _)| offset < end);
    present.sort_unstable();
    match present.windows(2).find(|pair| pair[0].1 > pair[1].0) {
        Some(pair) => wrong(pair[1].2, "overlaps another inner chunk"),
        None => Ok(()),
    }
}

impl ExtensionName for CheckedShards {
    fn name(&self, version: ZarrVersion) -> Option<Cow<'static, str>> {
        self.inner.name(version)
    }
}

impl CodecTraits for CheckedShards {
    fn as_any(&self) -> &dyn std::any::Any {
        self.inner.as_any()
    }

    fn configuration(&self, version: ZarrVersion, options: &CodecMetadataOptions) -> Option<Configuration> {
        self.inner.configuration(version, options)
    }

    fn partial_decoder_capability(&self) -> PartialDecoderCapability {
        self.inner.partial_decoder_capability()
    }

    fn partial_encoder_capability(&self) -> PartialEncoderCapability {
        self.inner.partial_encoder_capability()
    }
}

impl ArrayCodecTraits for CheckedShards {
    fn recommended_concurrency(&self, shape: &[NonZeroU64], data_type: &DataType) -> Result<RecommendedConcurrency, CodecError> {
        self.inner.recommended_concurrency(shape, data_type)
    }

    fn partial_decode_granularity(&self, shape: &[NonZeroU64]) -> ChunkShape {
        self.inner.partial_decode_granularity(shape)
    }
}

#[async_trait]
impl ArrayToBytesCodecTraits for CheckedShards {
    fn into_dyn(self: Arc<Self>) -> Arc<dyn ArrayToBytesCodecTraits> {
        self
    }

    /// The index and all inner chunks. The codec of zarrs counts the whole shard for each inner chunk.
    fn encoded_representation(
        &self,
        shape: &[NonZeroU64],
        data_type: &DataType,
        fill_value: &FillValue,
    ) -> Result<BytesRepresentation, CodecError> {
        let index_shape = self.index_shape(shape)?;
        let inner = self.subchunk_codecs.encoded_representation(&self.subchunk, data_type, fill_value)?.size();
        let chunks = index_shape.iter().rev().skip(1).try_fold(1_u64, |chunks, count| chunks.checked_mul(count.get()));
        let index = self.index_bytes(&index_shape)?;
        let all = inner.zip(chunks).and_then(|(inner, chunks)| inner.checked_mul(chunks)?.checked_add(index));
        Ok(all.map_or(BytesRepresentation::UnboundedSize, BytesRepresentation::BoundedSize))
    }

    fn encode<'a>(
        &self,
        bytes: ArrayBytes<'a>,
        shape: &[NonZeroU64],
        data_type: &DataType,
        fill_value: &FillValue,
        options: &CodecOptions,
    ) -> Result<ArrayBytesRaw<'a>, CodecError> {
        self.inner.encode(bytes, shape, data_type, fill_value, options)
    }

    fn decode<'a>(
        &self,
        bytes: ArrayBytesRaw<'a>,
        shape: &[NonZeroU64],
        data_type: &DataType,
        fill_value: &FillValue,
        options: &CodecOptions,
    ) -> Result<ArrayBytes<'a>, CodecError> {
        self.check_whole(&bytes, shape, options)?;
        self.inner.decode(bytes, shape, data_type, fill_value, options)
    }

    fn decode_into(
        &self,
        bytes: ArrayBytesRaw<'_>,
        shape: &[NonZeroU64],
        data_type: &DataType,
        fill_value: &FillValue,
        output_target: ArrayBytesDecodeIntoTarget<'_>,
        options: &CodecOptions,
    ) -> Result<(), CodecError> {
        self.check_whole(&bytes, shape, options)?;
        self.inner.decode_into(bytes, shape, data_type, fill_value, output_target, options)
    }

    async fn async_partial_decoder(
        self: Arc<Self>,
        input: Arc<dyn AsyncBytesPartialDecoderTraits>,
        shape: &[NonZeroU64],
        data_type: &DataType,
        fill_value: &FillValue,
        options: &CodecOptions,
    ) -> Result<Arc<dyn AsyncArrayPartialDecoderTraits>, CodecError> {
        let index_shape = self.index_shape(shape)?;
        let range = self.index_range(self.index_bytes(&index_shape)?);
        let index = input.partial_decode(range, options).await?.map(Cow::into_owned);
        if let Some(index) = &index {
            self.check(index, &index_shape, None, options)?;
        }
        let bytes = Arc::new(ShardBytes { input, range, index });
        Arc::clone(&self.inner).async_partial_decoder(bytes, shape, data_type, fill_value, options).await
    }
}

/// The bytes of one shard, of which the index is already fetched.
struct ShardBytes {
    input: Arc<dyn AsyncBytesPartialDecoderTraits>,
    range: ByteRange,
    /// `None` if the shard does not exist.
    index: Option<Vec<u8>>,
}

#[async_trait]
impl AsyncBytesPartialDecoderTraits for ShardBytes {
    async fn exists(&self) -> Result<bool, StorageError> {
        Ok(self.index.is_some())
    }

    fn size_held(&self) -> usize {
        self.input.size_held() + self.index.as_ref().map_or(0, Vec::len)
    }

    async fn partial_decode_many<'a>(
        &'a self,
        ranges: ByteRangeIterator<'a>,
        options: &CodecOptions,
    ) -> Result<Option<Vec<ArrayBytesRaw<'a>>>, CodecError> {
        let Some(index) = &self.index else { return Ok(None) };
        let ranges: Vec<ByteRange> = ranges.collect();
        if ranges == [self.range] {
            return Ok(Some(vec![Cow::Borrowed(index)]));
        }
        let found = self.input.partial_decode_many(Box::new(ranges.clone().into_iter()), options).await?;
        for (range, bytes) in ranges.iter().zip(found.iter().flatten()) {
            if let ByteRange::FromStart(offset, Some(length)) = *range
                && bytes.len() as u64 != length
            {
                return Err(CodecError::Other(format!(
                    "the index of the shard is damaged: the shard ends before an inner chunk (offset {offset}, length {length})"
                )));
            }
        }
        Ok(found)
    }

    fn supports_partial_decode(&self) -> bool {
        self.input.supports_partial_decode()
    }
}
