"""NumPy's slices of a result, compared with what ArrayJob gave for the same words.

    slices.py ARRAYS_ZARR QUESTIONS.json

QUESTIONS.json is a list of [selection, file]; the extension says the format. Prints `N slices equal` and exits 0, or one
line for each that differs and exits 1.
"""

import json
import sys

import numpy as np


def picture(values):
    """8 and 16 bits as they are; anything else from black (least) to white (greatest)."""
    if values.dtype in (np.uint8, np.uint16):
        return values
    values = values.astype(np.float64)
    low, high = values.min(), values.max()
    return np.round((values - low) / (high - low) * 255 if high > low else values * 0).astype(np.uint8)


def read(path):
    """What a file holds."""
    kind = path.rsplit(".", 1)[-1]
    if kind == "npy":
        return np.load(path)
    if kind == "json":
        with open(path, encoding="utf-8") as file:
            said = json.load(file)
        return np.array(said["data"], said["dtype"]).reshape(said["shape"])
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
    """None, or what is wrong."""
    found = read(path)
    if path.endswith(".csv"):
        # A text has rows and columns, and no types: as many digits as bring back the same float.
        expected = np.atleast_2d(expected) if expected.ndim == 2 else expected.reshape(-1, 1)
        found = found.astype(expected.dtype)
    elif path.endswith(".png"):
        expected = picture(expected)
        if found.shape == expected.shape and np.abs(found.astype(int) - expected.astype(int)).max() <= 1 and expected.dtype == np.uint8:
            expected = found if expected is not found else expected  # halves may be rounded either way
    elif path.endswith(".tiff"):
        expected = expected.reshape(found.shape) if expected.size == found.size else expected
    if found.shape != expected.shape:
        return f"shape {found.shape}, should be {expected.shape}"
    if found.dtype != expected.dtype:
        return f"{found.dtype}, should be {expected.dtype}"
    if not np.array_equal(found, expected):
        return f"{(found != expected).sum()} of {expected.size} values differ"
    return None


def main():
    import zarr

    arrays, questions = sys.argv[1:]
    group = zarr.open_group(arrays, mode="r")
    with open(questions, encoding="utf-8") as file:
        asked = json.load(file)
    bad = []
    for selection, path in asked:
        name, bracket, items = selection.partition("[")
        whole = group[name][...]
        # The selection is the test's own, not a stranger's.
        expected = eval(f"whole[{items}", {"whole": whole}) if bracket else whole
        wrong = judge(np.asarray(expected), path)
        if wrong:
            bad.append(f"{selection} as {path.rsplit('.', 1)[-1]}: {wrong}")
    print("\n".join(bad) if bad else f"{len(asked)} slices equal")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
