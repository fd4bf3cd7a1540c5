"""The cell of make_cell_stack.py as one array of a Zarr store: version 3, sharded, zstd.

    python3 crds/examples/make_cell_zarr.py

Needs zarr 3 and pillow.
"""

import argparse
from pathlib import Path

import numpy as np
import zarr
from PIL import Image

DATA = Path(__file__).parent / "data"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, default=DATA / "cell", help="a folder of images")
    parser.add_argument("--out", type=Path, default=DATA / "cell.zarr")
    args = parser.parse_args()

    stack = np.stack([np.asarray(Image.open(path)) for path in sorted(args.frames.glob("*.png"))])
    group = zarr.create_group(args.out, overwrite=True)
    array = group.create_array(
        "stack",
        shape=stack.shape,
        dtype=stack.dtype,
        chunks=(5, 64, 64),
        shards=(20, 128, 128),
        compressors=zarr.codecs.ZstdCodec(level=9),
        dimension_names=("t", "y", "x"),
    )
    array[:] = stack
    zarr.consolidate_metadata(args.out)
    print(f"{array.shape} {array.dtype} in {args.out}")


if __name__ == "__main__":
    main()
