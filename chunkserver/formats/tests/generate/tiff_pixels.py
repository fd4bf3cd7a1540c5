"""TIFF: how samples are stored."""

import io
import itertools

import numpy as np
import tifffile
from by_hand import gray, one
from common import ALL, RNG, by_pillow, ramp, save


def fill_orders():
    kinds = itertools.product((1, 5, 8, 32773), ("uint8", "uint16", "float32"), (None, (16, 16)), (False, True), (1, 2))
    for compression, dtype, tile, big_endian, predictor in kinds:
        if predictor == 2 and compression not in (5, 8):
            continue
        small = (compression, dtype, tile, big_endian, predictor) in [
            (8, "uint16", (16, 16), True, 2), (5, "uint8", None, False, 1), (1, "uint16", None, False, 1), (32773, "uint8", None, False, 1),
        ]
        if ALL or small:
            image = ramp(dtype)
            data = one(image, compression, predictor, 2, big_endian, rows=None if tile else 10, tile=tile)
            name = f"fill_order_2_{compression}_{dtype}_{'tiles' if tile else 'strips'}_{'big' if big_endian else 'little'}_{predictor}"
            save(f"{name}.tif", data, image)
    bits = (ramp("uint8") > 110).astype("uint8")
    save("fill_order_2_1bit.tif", one(bits, fill_order=2, bits=1), bits * 255)

def sparse():
    image = ramp("uint16", 48, 64)
    image[:16, 16:32] = 0
    for compression in (1, 5, 8, 32773):
        file, tags = gray(image, compression, tile=(16, 16))
        offsets, sizes = list(tags[324][1]), list(tags[325][1])
        offsets[1] = sizes[1] = 0
        file.directory(tags | {324: (4, offsets), 325: (4, sizes)})
        if ALL or compression == 5:
            save(f"sparse_tiles_{compression}.tif", file.bytes(), image)
    image = ramp("uint8", 40, 50)
    image[10:20] = 0
    for compression, big in ((1, False), (8, True)):
        file, tags = gray(image, compression, rows=10, big=big)
        offsets, sizes = list(tags[273][1]), list(tags[279][1])
        offsets[1] = sizes[1] = 0
        file.directory(tags | {273: (16 if big else 4, offsets), 279: (4, sizes)})
        save(f"sparse_strips_{compression}.tif", file.bytes(), image)
    image = ramp("float32", 40, 50)
    image[10:20] = -9999
    file, tags = gray(image, 8, rows=10)
    offsets, sizes = list(tags[273][1]), list(tags[279][1])
    offsets[1] = sizes[1] = 0
    file.directory(tags | {273: (4, offsets), 279: (4, sizes), 42113: b"-9999\0"})
    save("sparse_strips_nodata.tif", file.bytes(), image)
    image = ramp("uint8", 40, 50)
    file, tags = gray(image, 1, rows=10)
    file.directory(tags | {273: (4, [0, *tags[273][1][1:]])})
    save("offset_in_the_header.tif", file.bytes(), refused="lies in the header")

def depths():
    for bits, big_endian, tile in itertools.product((1, 2, 4), (False, True), (None, (16, 16), (16, 48))):
        values = (ramp("uint8") // 7 % (1 << bits)).astype("uint8")
        scaled = (values.astype(int) * 255 // ((1 << bits) - 1)).astype("uint8")
        if ALL or (big_endian and tile is None) or (bits, tile) == (2, (16, 48)):
            suffix = f"{bits}bit_{'big' if big_endian else 'little'}_{'x'.join(map(str, tile or ()))}"
            data = one(values, 8 if tile else 1, big_endian=big_endian, tile=tile, rows=None if tile else 8, bits=bits)
            save(f"gray_{suffix}.tif", data, scaled)
        greens = RNG.permutation(1 << bits)
        for name, colours in {"gray": [np.linspace(255, 0, 1 << bits).astype(int)] * 3, "colour": [np.arange(1 << bits) * 20 % 256, greens, greens]}.items():
            table = np.concatenate(colours).astype(int)
            data = one(values, 5, big_endian=big_endian, tile=tile, bits=bits, t262=3, t320=(3, table * 257))
            if ALL or (not big_endian and tile is None):
                save(f"palette_{name}_{suffix_of(bits, big_endian, tile)}.tif", data, by_pillow(data))
    values = ramp("uint8")
    table = RNG.integers(0, 65536, 768)
    data = one(values, t262=3, t320=(3, table))
    save("palette_colour_8bit.tif", data, by_pillow(data))
    data = one(values, 8, 2, t262=3, t320=(3, np.tile(np.arange(255, -1, -1) * 256 + 13, 3)))
    save("palette_inverted_8bit.tif", data, by_pillow(data))
    save("palette_of_8bit_values.tif", one(values, t262=3, t320=(3, np.tile(np.arange(256), 3))), refused="8-bit values")
    save("white_is_zero_1bit.tif", one(values // 128, bits=1, t262=0), refused="WhiteIsZero")
    save("white_is_zero_8bit.tif", one(values, t262=0), values)
    save("no_photometric.tif", one(values, t262=None), values)
    for name, image in {"int16": ramp("uint16").astype("int16"), "uint32": ramp("uint16").astype("uint32"), "float64": ramp("float32").astype("float64")}.items():
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, image)
        save(f"type_{name}.tif", buffer.getvalue(), refused="uint8, uint16 and float32 are supported")
    save("bits_12.tif", one(values, t258=12), refused="12-bit")

def suffix_of(bits, big_endian, tile):
    return f"{bits}bit_{'big' if big_endian else 'little'}_{'x'.join(map(str, tile or ()))}"
