"""Compares ArrayJob's slices of a result with NumPy's slices for the same selections.

    slices.py ARRAYS_ZARR COMPARISONS.json

COMPARISONS.json is a list of [selection, file]. The extension of the file states the format. Prints `N slices equal` and exits
with 0, or prints one line for each different slice and exits with 1.
"""

import json
import sys

import numpy as np


def picture(values):
    """The gray values of a PNG: uint8 and uint16 unchanged, other types scaled from black (minimum) to white (maximum)."""
    if values.dtype in (np.uint8, np.uint16):
        return values
    values = values.astype(np.float64)
    low, high = values.min(), values.max()
    return np.round((values - low) / (high - low) * 255 if high > low else values * 0).astype(np.uint8)


def read(path):
    """The array in a file."""
    kind = path.rsplit(".", 1)[-1]
    if kind == "npy":
        return np.load(path)
    if kind == "json":
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        return np.array(content["data"], content["dtype"]).reshape(content["shape"])
    if kind == "csv":
        return np.loadtxt(path, delimiter=",", ndmin=2)
    if kind == "zarr":
        import zarr

        return zarr.open_array(path, mode="r")[...]
    if kind == "tiff":
        import tifffile

        return tifffile.imread(path)
    import imageio.v3 as iio

    return iio.imread(path)


def judge(expected, path):
    """None, or a description of the difference."""
    found = read(path)
    if path.endswith(".csv"):
        # CSV has rows and columns, but no types. The digits suffice to restore the same float.
        expected = np.atleast_2d(expected) if expected.ndim == 2 else expected.reshape(-1, 1)
        found = found.astype(expected.dtype)
    elif path.endswith(".png"):
        expected = picture(expected)
        if found.shape == expected.shape and np.abs(found.astype(int) - expected.astype(int)).max() <= 1 and expected.dtype == np.uint8:
            expected = found if expected is not found else expected  # halves may be rounded up or down
    elif path.endswith(".tiff"):
        expected = expected.reshape(found.shape) if expected.size == found.size else expected
    if found.shape != expected.shape:
        return f"shape {found.shape}, expected {expected.shape}"
    if found.dtype != expected.dtype:
        return f"{found.dtype}, expected {expected.dtype}"
    if not np.array_equal(found, expected):
        return f"{(found != expected).sum()} of {expected.size} values differ"
    return None


def main():
    import zarr

    arrays, comparisons = sys.argv[1:]
    group = zarr.open_group(arrays, mode="r")
    with open(comparisons, encoding="utf-8") as file:
        pairs = json.load(file)
    bad = []
    for selection, path in pairs:
        name, bracket, items = selection.partition("[")
        whole = group[name][...]
        # `eval` is safe here, because the selection comes from the test.
        expected = eval(f"whole[{items}", {"whole": whole}) if bracket else whole
        wrong = judge(np.asarray(expected), path)
        if wrong:
            bad.append(f"{selection} as {path.rsplit('.', 1)[-1]}: {wrong}")
    print("\n".join(bad) if bad else f"{len(pairs)} slices equal")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
