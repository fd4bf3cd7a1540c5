"""TIFF files whose tags are missing, wrong or of unusual types."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import tifffile

# struct codes of TIFF types. A rational is two numbers.
TYPES = {1: "B", 2: "s", 3: "H", 4: "I", 5: "I", 16: "Q"}
REVERSED = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))


class Tiff:
    """A TIFF by hand: tags may be left out, wrong or of other types."""

    def __init__(self, big_endian=False, big=False):
        self.order = ">" if big_endian else "<"
        self.big = big
        self.data = bytearray(16 if big else 8)
        self.directories = []

    def put(self, block):
        while len(self.data) % 2:
            self.data.append(0)
        at = len(self.data)
        self.data += block
        return at

    def directory(self, tags):
        """`tags`: tag to value, values, (type, values) or bytes. Tag 270.5 is a second tag 270."""
        self.directories.append(dict(sorted(tags.items())))

    def entry(self, tag, value):
        if isinstance(value, bytes):
            kind, values, raw = 2, value, value
        else:
            kind, values = value if isinstance(value, tuple) else (None, value)
            values = list(values) if isinstance(values, (list, np.ndarray)) else [values]
            kind = kind or (3 if max(values) < 65536 else 4)
            raw = struct.pack(f"{self.order}{len(values)}{TYPES[kind]}", *values)
        word, code = (8, "Q") if self.big else (4, "I")
        place = raw.ljust(word, b"\0") if len(raw) <= word else struct.pack(self.order + code, self.put(raw))
        count = len(values) // 2 if kind == 5 else len(values)
        return struct.pack(f"{self.order}HH{code}", int(tag), kind, count) + place

    def bytes(self, tail=b""):
        word, code, count = (8, "Q", "Q") if self.big else (4, "I", "H")
        tables = [[self.entry(tag, value) for tag, value in tags.items()] for tags in self.directories]
        starts = []
        for entries in tables:
            starts.append(self.put(struct.pack(self.order + count, len(entries)) + b"".join(entries) + bytes(word)))
        for i, start in enumerate(starts):
            after = start + struct.calcsize("<" + count) + sum(map(len, tables[i]))
            self.data[after : after + word] = struct.pack(self.order + code, starts[i + 1] if i + 1 < len(starts) else 0)
        head = (b"MM" if self.order == ">" else b"II") + struct.pack(self.order + "H", 43 if self.big else 42)
        head += struct.pack(self.order + "HHQ", 8, 0, starts[0]) if self.big else struct.pack(self.order + "I", starts[0])
        self.data[: len(head)] = head
        return bytes(self.data) + tail

def pack(image, compression=1, predictor=1, order="<", fill_order=1, bits=None):
    """The bytes of one strip or tile."""
    if bits and bits < 8:
        rows = [np.packbits(np.unpackbits(row[:, None], axis=1)[:, 8 - bits :].ravel()) for row in image]
        raw = b"".join(row.tobytes() for row in rows)
    else:
        if predictor == 2:
            wide = image.view({1: "u1", 2: "u2", 4: "u4"}[image.itemsize])
            image = np.concatenate([wide[:, :1], wide[:, 1:] - wide[:, :-1]], 1)
        elif predictor == 3:
            image = imagecodecs.floatpred_encode(image, axis=-1 if image.ndim == 2 else -2)
        raw = image.astype(image.dtype.newbyteorder(order)).tobytes() if predictor != 3 else image.tobytes()
    raw = {
        1: lambda b: b,
        5: imagecodecs.lzw_encode,
        8: lambda b: zlib.compress(b),
        32946: lambda b: zlib.compress(b, 9),
        32773: lambda b: imagecodecs.packbits_encode(b),
    }[compression](raw)
    return raw.translate(REVERSED) if fill_order == 2 else bytes(raw)

def gray(image, compression=1, predictor=1, fill_order=1, big_endian=False, big=False, rows=None, tile=None, bits=None, **tags):
    """A gray TIFF by hand, as a `Tiff` and its tags."""
    file = Tiff(big_endian, big)
    order, height, width = ">" if big_endian else "<", *image.shape[:2]
    if tile:
        padded = np.pad(image, ((0, -height % tile[0]), (0, -width % tile[1]), *[(0, 0)] * (image.ndim - 2)), "edge")
        parts = [padded[y : y + tile[0], x : x + tile[1]] for y in range(0, height, tile[0]) for x in range(0, width, tile[1])]
    else:
        parts = [image[y : y + (rows or height)] for y in range(0, height, rows or height)]
    packed = [pack(np.ascontiguousarray(part), compression, predictor, order, fill_order, bits) for part in parts]
    offsets = [file.put(part) for part in packed]
    sizes = [len(part) for part in packed]
    kind = 3 if image.dtype.kind == "f" else 1
    channels = image.shape[2] if image.ndim == 3 else 1
    first = {256: width, 257: height, 258: [bits or 8 * image.itemsize] * channels, 259: compression, 262: 2 if channels > 2 else 1}
    first |= {277: channels, 339: [kind] * channels}
    first |= {322: tile[1], 323: tile[0], 324: (4, offsets), 325: (4, sizes)} if tile else {273: (4, offsets), 278: rows or height, 279: (4, sizes)}
    if predictor != 1:
        first[317] = predictor
    if fill_order != 1:
        first[266] = fill_order
    for tag, value in tags.items():
        if value is None:
            first.pop(int(tag[1:]))
        else:
            first[int(tag[1:])] = value
    return file, first

def one(*arguments, tail=b"", **named):
    file, tags = gray(*arguments, **named)
    file.directory(tags)
    return file.bytes(tail)

def by_offset(data):
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        page = file.pages[0]
        return page.dataoffsets[0], page.databytecounts[0]
