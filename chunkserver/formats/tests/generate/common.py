"""Images, and what tifffile and Pillow read."""

import io
import sys
import warnings
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

warnings.filterwarnings("ignore")
H, W = 23, 37
RNG = np.random.default_rng(7)
FOLDER = Path(sys.argv[1])
ALL = "--all" in sys.argv[2:]
SEEN = set()


def ramp(dtype, height=H, width=W, channels=None):
    """A smooth image with some noise."""
    y, x = np.mgrid[:height, :width]
    noise = RNG.integers(0, 9, (height, width))
    gray = 40 + (2 * x + y + noise) % 170
    if channels:
        gray = np.stack([gray, 255 - gray, (gray * 3) % 256, (y + x) % 256][:channels], -1)
    if dtype == "float32":
        return (gray / 7 - 3).astype(dtype)
    return (gray * (257 if dtype == "uint16" else 1)).astype(dtype)

def save(name, data, expected=None, refused=None):
    assert name not in SEEN, name
    SEEN.add(name)
    (FOLDER / name).write_bytes(data)
    stem = FOLDER / name.rsplit(".", 1)[0]
    if refused:
        Path(f"{stem}.refused.txt").write_text(refused + "\n")
    else:
        np.save(f"{stem}.expected.npy", np.ascontiguousarray(expected))

def little(value):
    return value if value.dtype.byteorder in "|<=" else value.astype(value.dtype.newbyteorder("<"))

def by_tifffile(data):
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return little(file.series[0].asarray())

def by_pillow(data):
    image = Image.open(io.BytesIO(data))
    return np.asarray(image if image.mode in ("L", "I;16") else image.convert("L"))
