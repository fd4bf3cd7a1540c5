//! Codecs that do not trust the bytes of a chunk: no codec allocates more than the decoded size that the array's metadata state, and no
//! index of a shard leads outside of the shard.
//!
//! zarrs asks its runtime registry for codecs first. The codecs of this module wrap the codecs of zarrs and have the same names.

mod bounded;
mod shards;

use bounded::{Bounded, Compression};
use serde_json::json;
use shards::CheckedShards;
use std::sync::{Arc, Once};
use zarrs::array::codec::{BloscCodec, BloscCodecConfiguration, GzipCodec, ShardingCodec, ZlibCodec, ZstdCodec};
use zarrs::array::{ArrayToBytesCodecTraits, BytesToBytesCodecTraits, Codec, CodecTraitsV2, CodecTraitsV3};
use zarrs::plugin::{ExtensionAliasesV2, ExtensionAliasesV3, PluginCreateError};
use zarrs_codec::{CodecRuntimePluginV2, CodecRuntimePluginV3, register_codec_v2, register_codec_v3};

/// The compressor that replaces `blosc` in metadata of version 2, for which zarrs does not use the registry.
pub(super) const BLOSC_V2: &str = "arrayjob.blosc";

/// Registers the codecs for arrays that are opened later. Only the first call has an effect.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        wrap::<GzipCodec>(Compression::Gzip);
        wrap::<ZlibCodec>(Compression::Zlib);
        wrap::<ZstdCodec>(Compression::Zstd);
        wrap::<BloscCodec>(Compression::Blosc);
        register_codec_v2(CodecRuntimePluginV2::new(|name| name == BLOSC_V2, |_| bounded(blosc()?, Compression::Blosc)));
        register_codec_v3(CodecRuntimePluginV3::new(ShardingCodec::matches_name_v3, |metadata| {
            let inner = array_to_bytes(<ShardingCodec as CodecTraitsV3>::create(metadata)?)?;
            Ok(Codec::ArrayToBytes(Arc::new(CheckedShards::new(inner, metadata)?)))
        }));
    });
}

/// Registers the bounded form of a codec, for both versions of the format.
fn wrap<C: ExtensionAliasesV2 + ExtensionAliasesV3 + CodecTraitsV2 + CodecTraitsV3 + 'static>(compression: Compression) {
    let bounded = move |codec| bounded(bytes_to_bytes(codec)?, compression);
    register_codec_v2(CodecRuntimePluginV2::new(C::matches_name_v2, move |metadata| bounded(<C as CodecTraitsV2>::create(metadata)?)));
    register_codec_v3(CodecRuntimePluginV3::new(C::matches_name_v3, move |metadata| bounded(<C as CodecTraitsV3>::create(metadata)?)));
}

fn bounded(inner: Arc<dyn BytesToBytesCodecTraits>, compression: Compression) -> Result<Codec, PluginCreateError> {
    Ok(Codec::BytesToBytes(Arc::new(Bounded::new(inner, compression))))
}

/// A decoder of Blosc. The header of the bytes states the compressor, the shuffle and the element size, so no setting matters.
fn blosc() -> Result<Arc<dyn BytesToBytesCodecTraits>, PluginCreateError> {
    let any = json!({"cname": "lz4", "clevel": 0, "shuffle": "noshuffle", "blocksize": 0});
    let any: BloscCodecConfiguration = serde_json::from_value(any).map_err(|error| PluginCreateError::from(error.to_string()))?;
    Ok(Arc::new(BloscCodec::new_with_configuration(&any)?))
}

fn bytes_to_bytes(codec: Codec) -> Result<Arc<dyn BytesToBytesCodecTraits>, PluginCreateError> {
    match codec {
        Codec::BytesToBytes(codec) => Ok(codec),
        Codec::ArrayToArray(_) | Codec::ArrayToBytes(_) => Err("the codec does not compress bytes".into()),
    }
}

fn array_to_bytes(codec: Codec) -> Result<Arc<dyn ArrayToBytesCodecTraits>, PluginCreateError> {
    match codec {
        Codec::ArrayToBytes(codec) => Ok(codec),
        Codec::ArrayToArray(_) | Codec::BytesToBytes(_) => Err("the codec does not store arrays".into()),
    }
}
