"""TIFF: how many frames a file holds, and where strips and tiles are."""

import io
import itertools
import json
import struct

import numpy as np
import tifffile
from by_hand import by_offset, gray, one
from common import ALL, H, W, by_tifffile, ramp, save
from PIL import Image


def stacks():
    page = ramp("uint16")
    more = ramp("uint16").tobytes() * 2
    for name, text in {
        "imagej_frames": b"ImageJ=1.53t\nimages=3\nframes=3\nhyperstack=true\n\0",
        "imagej_channels": b"ImageJ=1.53t\nimages=3\nchannels=3\nhyperstack=true\nmode=composite\n\0",
        "scifio": b"SCIFIO=0.40\naxes=X,Y,Time\nlengths=37,23,3\nimages=3\nframes=3\n\0",
        "imagej_images_only": b"ImageJ=1.53t\nimages=3\n\0",
        "tifffile_shape": json.dumps({"shape": [3, H, W]}).encode() + b"\0",
        "tifffile_shape_with_axes": json.dumps({"axes": "TYX", "shape": [3, H, W], "truncated": True}).encode() + b"\0",
        "tifffile_old_shape": f"shape=(3, {H}, {W})".encode() + b"\0",
    }.items():
        file, tags = gray(page)
        file.put(more)
        file.directory(tags | {270: text})
        save(f"stack_{name}.tif", file.bytes(), refused="3 frames in one file")
        # The description of a stack in the file of one frame.
        if b"truncated" not in text:
            save(f"single_of_{name}.tif", one(page, t270=text), page)
    save("stack_stk.tif", one(page, t33629=(5, [0, 1] * 3), tail=more), refused="3 frames in one file")
    file, tags = gray(page)
    file.put(more)
    file.directory(tags | {270: b"cells\0", 270.5: json.dumps({"shape": [3, H, W]}).encode() + b"\0"})
    save("stack_second_description.tif", file.bytes(), refused="3 frames in one file")
    save("stack_depth.tif", one(page, t32997=3, tail=more), refused="3 frames in one file")
    for kind, refused in ((None, "several pages (2)"), (0, "several pages (2)"), (2, "several pages (2)")):
        file, tags = gray(page)
        file.directory(tags if kind is None else tags | {254: kind})
        file.directory(tags if kind is None else tags | {254: kind})
        save(f"two_pages_{kind}.tif", file.bytes(), refused=refused)
    for name, tags_of_second in {"reduced": {254: 1}, "mask": {254: 4}, "old_reduced": {255: 2}, "reduced_mask": {254: 5}}.items():
        file, tags = gray(page)
        small = page[::2, ::2]
        at = file.put(small.tobytes())
        file.directory(tags)
        file.directory(tags | {256: small.shape[1], 257: small.shape[0], 278: small.shape[0], 273: at, 279: small.nbytes} | tags_of_second)
        save(f"second_page_{name}.tif", file.bytes(), page)
    file, tags = gray(page)
    file.directory(tags | {254: 1})
    file.directory(tags)
    save("first_page_reduced.tif", file.bytes(), refused="a reduced image or a mask as its first page")
    with io.BytesIO() as buffer:
        with tifffile.TiffWriter(buffer) as writer:
            writer.write(page, subifds=1, metadata=None)
            writer.write(page[::2, ::2], subfiletype=1, metadata=None)
        save("sub_directories.tif", buffer.getvalue(), page)
    # A directory whose next directory is itself.
    data = bytearray(one(page))
    start = struct.unpack("<I", data[4:8])[0]
    count = struct.unpack("<H", data[start : start + 2])[0]
    data = bytes(data[: start + 2 + 12 * count]) + struct.pack("<I", start) + bytes(data[start + 6 + 12 * count :])
    save("directory_loop.tif", data, page)

def layouts():
    page = ramp("uint16")
    for compression in (1, 5, 8, 32773):
        save(f"no_byte_counts_{compression}.tif", one(page, compression, t279=None), page)
        if ALL or compression == 8:
            save(f"no_byte_counts_of_strips_{compression}.tif", one(page, compression, rows=10, t279=None), page)
            save(f"no_byte_counts_of_tiles_{compression}.tif", one(page, compression, tile=(16, 32), t325=None), page)
    save("no_rows_per_strip.tif", one(page, t278=None), page)
    save("rows_per_strip_unlimited.tif", one(page, 5, t278=(4, 0xFFFFFFFF)), page)
    save("rows_per_strip_zero.tif", one(page, t278=0), refused="tag 278")
    save("rows_per_strip_wrong.tif", one(page, 1, rows=10, t278=H), refused="offsets of strips or tiles")
    save("rows_per_strip_missing_of_strips.tif", one(page, 8, rows=10, t278=None), refused="offsets of strips or tiles")
    save("byte_count_zero.tif", one(page, t279=0), page)
    save("byte_count_too_large.tif", one(page, t279=(4, 1 << 30)), page)
    save("byte_count_too_small.tif", one(page, 1, rows=10, t279=[10] * 3), refused="has a size of 10")
    file, tags = gray(page, 1, rows=10)
    file.directory(tags | {279: (4, [1 << 30] * 3)})
    save("byte_counts_too_large.tif", file.bytes(), page)
    file, tags = gray(page, 1, rows=10)
    file.directory(tags | {273: (4, [0xFFFFFFF0, *tags[273][1][1:]])})
    save("offset_beyond_the_end.tif", file.bytes(), refused="ends early")
    save("offset_short.tif", one(page, t273=(3, [8])), page)
    for dtype, big_endian in itertools.product(("uint8", "uint16", "float32"), (False, True)):
        image = ramp(dtype)
        for compression, predictor, tile in itertools.product((1, 5, 8, 32946, 32773), (1, 2, 3), (None, (16, 16), (32, 16), (64, 80))):
            if predictor != 1 and compression in (1, 32773) or predictor == 3 and dtype != "float32":
                continue
            if ALL or (compression, tile) == (8, (32, 16)) and predictor != 1:
                name = f"layout_{dtype}_{'big' if big_endian else 'little'}_{compression}_{predictor}_{'x'.join(map(str, tile or ()))}"
                data = one(image, compression, predictor, 1, big_endian, big=big_endian, tile=tile, rows=None if tile else 7)
                assert (by_tifffile(data) == image).all(), name
                save(f"{name}.tif", data, image)
    save("predictor_without_compression.tif", one(page, t317=2), refused="a predictor without LZW or deflate")
    save("orientation_6.tif", one(page, t274=6), by_tifffile(one(page, t274=6)))
    rgb = ramp("uint8", channels=3)
    luminance = np.asarray(Image.fromarray(rgb).convert("L"))
    save("rgb_tiles.tif", one(rgb, 8, tile=(16, 16)), luminance)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, rgb.transpose(2, 0, 1).copy(), planarconfig="separate", photometric="rgb", metadata=None)
    save("rgb_planar.tif", buffer.getvalue(), refused="separate planes")
    rgba = ramp("uint8", channels=4)
    rgba_luminance = np.asarray(Image.fromarray(rgba[..., :3].copy()).convert("L"))
    save("rgba_unassociated.tif", one(rgba, t338=2), rgba_luminance)
    save("rgba_unspecified.tif", one(rgba, t338=0), rgba_luminance)
    save("rgba_associated.tif", one(rgba, t338=1), refused="multiplied by alpha")
    save("gray_and_alpha.tif", one(rgba[..., :2].copy(), t262=1, t338=2), refused="2 channels")
    save("cmyk.tif", one(rgba, t262=5), refused="CMYK")
    save("fax.tif", one(page, t259=4), refused="fax compression")
    bad = bytearray(one(page, 8))
    start = by_offset(bad)
    bad[start[0] + start[1] - 1] ^= 1
    save("deflate_checksum.tif", bytes(bad), refused="corrupt")
    old = bytearray(one(ramp("uint8"), 5))
    start = by_offset(old)
    old[start[0] : start[0] + 2] = b"\0\1"
    save("lzw_old_bit_order.tif", bytes(old), refused="before TIFF 6.0")
