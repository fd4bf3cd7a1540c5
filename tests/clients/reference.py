"""The reference implementation: the same job in NumPy, SciPy and scikit-image, and the comparison with ArrayJob's outputs.

    reference.py compute JOB.json OUT_DIR [--raw-from ARRAYS_ZARR --within N]
    reference.py compare OUT_DIR ARRAYS_ZARR [NAME ...] [--missing-ok NAME ...]

`compute` reads a JSON manifest, loads the frames, and writes every array of the job to OUT_DIR/<name>.npy. The code is as simple
as possible: whole arrays in memory, integer sums of integers, np.fft.fft in complex128, abs(x**2).
`--raw-from` is for lossy formats, whose decoders may differ by a gray level. The decoded frames must be within N of the frames in
the result; the job then uses the frames of the result.

`compare` opens a result with zarr-python. It prints `N arrays equal` and exits with 0, or prints one line for each different array
and exits with 1.
"""

import argparse
import io
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np

BIG = ("raw", "recentered", "rechunked", "power", "amplitude", "spectrum")
TRANSFORMED = {"power": "power", "amplitude": "amplitude", "complex": "spectrum"}
REDUCTIONS = {
    "mean": lambda a, axis: a.mean(axis=axis, dtype=np.float64),
    "sum": lambda a, axis: a.sum(axis=axis, dtype=np.uint64 if a.dtype.kind == "u" else np.float64),
    "std": lambda a, axis: a.std(axis=axis, dtype=np.float64),
    "var": lambda a, axis: a.var(axis=axis, dtype=np.float64),
    "min": lambda a, axis: a.min(axis=axis),
    "max": lambda a, axis: a.max(axis=axis),
}


# ---------------------------------------------------------------- frames


def expand(template, index, depth=None):
    """The URL of one frame. Placeholders: {index}, {index:05}, %d and %05d for the index, {depth} for the frames of one request."""
    if depth is not None:
        template = template.replace("{depth}", str(depth))
    url = re.sub(r"\{index(?::(\d+)d?)?\}", lambda m: f"{index:{m[1] or ''}d}", template)
    if url == template:  # %d is a placeholder only without braces, because a template with braces may contain percent-escapes
        url = re.sub(r"%(0\d+)?d", lambda m: f"{index:{m[1] or ''}d}", url)
    return url


def fetch(url):
    """The bytes of a URL, or None if the URL does not exist."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme in ("", "file"):
        path = Path(urllib.parse.unquote(parts.path))
        return path.read_bytes() if path.exists() else None
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            return response.read()
    except urllib.error.HTTPError as error:
        if error.code in (404, 410):
            return None
        raise


def decode(data, frame):
    """One frame, axes (y, x). Data without an image header are raw little-endian pixels of the shape and type in `frame`."""
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        import tifffile

        image = tifffile.imread(io.BytesIO(data))
    elif data[:8] == b"\x89PNG\r\n\x1a\n" or data[:3] == b"\xff\xd8\xff":
        import skimage.io

        image = skimage.io.imread(io.BytesIO(data))
    else:
        return pixels(data, frame, 1)[0]
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[2] in (2, 4):  # an opaque alpha channel is ignored
        if (image[..., -1] != np.iinfo(image.dtype).max).any():
            raise ValueError("an image with transparent pixels has no single gray value for each pixel")
        image = image[..., :-1]
    if image.ndim == 3:
        if (image != image[..., :1]).any():
            raise ValueError("an image in color has no single gray value for each pixel")
        image = image[..., 0]
    return np.ascontiguousarray(image.astype(image.dtype.newbyteorder("=")))


def pixels(data, frame, depth):
    shape = (depth, frame["height"], frame["width"])
    dtype = np.dtype(frame["dtype"]).newbyteorder("<")
    if len(data) != dtype.itemsize * np.prod(shape):
        raise ValueError(f"{len(data)} bytes are not {depth} frames of {frame['height']}x{frame['width']} {frame['dtype']}")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def load(spec):
    """All frames, axes (t, y, x). With onError: Blank, a frame that fails is zero."""
    source = spec["source"]
    frame = source.get("frame") or spec.get("frame")
    blank_ok = (source.get("onError") or spec.get("onError") or "Fail") == "Blank"
    if "zarr" in source:
        import zarr

        url = source["zarr"]["url"]
        url = urllib.parse.unquote(urllib.parse.urlsplit(url).path) if url.startswith("file:") else url
        node = zarr.open(url, mode="r")
        return np.asarray((node[source["zarr"]["array"]] if source["zarr"].get("array") else node)[...])

    volume = "volume" in source
    where = source["volume" if volume else "images"]
    count, start, step = where["count"], where.get("start", 0), where.get("step", 1)
    depth = where.get("depth", 1) if volume else 1
    loaded = []
    for first in range(0, count, depth):
        several = min(depth, count - first)
        url = expand(where["urlTemplate"], start + first * step, several if volume else None)
        data = fetch(url)
        try:
            if data is None:
                raise FileNotFoundError(f"{url}: does not exist")
            loaded.append(pixels(data, frame, several) if volume else decode(data, frame)[None])
        except Exception as error:
            if not blank_ok:
                raise SystemExit(f"{url}: {error}") from error
            loaded.append(several)
    known = next((g for g in loaded if not isinstance(g, int)), None)
    if known is None and frame is None:
        raise SystemExit("all frames failed, and the manifest has no source.frame")
    shape = known.shape[1:] if known is not None else (frame["height"], frame["width"])
    dtype = known.dtype if known is not None else np.dtype(frame["dtype"])
    return np.concatenate([np.zeros((g, *shape), dtype) if isinstance(g, int) else g for g in loaded])


# ---------------------------------------------------------------- the job


def centroid(image, threshold=None):
    """Center of mass (y, x): sum of weighted positions / sum of weights; (0, 0) for a black image."""
    if threshold is not None:
        image = np.where(image < threshold, np.zeros((), image.dtype), image)
    sum_as, number = (np.float64, float) if image.dtype.kind == "f" else (np.int64, int)
    rows, columns = image.sum(axis=1, dtype=sum_as), image.sum(axis=0, dtype=sum_as)
    total = number(rows.sum())
    if total <= 0:
        return 0.0, 0.0
    # Python rounds the quotient of integers of any size to the nearest float64
    return (
        number((rows * np.arange(rows.size)).sum()) / total,
        number((columns * np.arange(columns.size)).sum()) / total,
    )


def recenter(raw, crop, threshold):
    size = raw.shape[1:]
    centroids = np.array([centroid(image, threshold) for image in raw], np.float64).reshape(-1, 2)
    corners = [[min(max(int(c) - k // 2, 0), n - k) for c, k, n in zip(row, crop, size)] for row in centroids]
    offsets = np.array(corners, np.int32).reshape(-1, 2)
    cut = [image[y : y + crop[0], x : x + crop[1]] for image, (y, x) in zip(raw, offsets)]
    return np.stack(cut), centroids, offsets


def transform(stack, fft):
    import scipy.signal

    if fft.get("axis", 0) != 0:
        raise SystemExit("the reference supports only a transform over axis 0")
    x = stack.astype(np.float64)
    detrend, window = fft.get("detrend") or "none", fft.get("window") or "none"
    if detrend != "none":
        x = scipy.signal.detrend(x, axis=0, type=detrend)
    if window != "none":
        x = x * scipy.signal.get_window(window, len(x))[:, None, None]
    x = np.fft.fft(x, axis=0)
    output = fft.get("output") or "power"
    if output == "power":
        return abs(x**2)
    return abs(x) if output == "amplitude" else x


def compute(job, out, raw_from=None, within=0):
    spec = json.loads(Path(job).read_text())["spec"]
    raw = load(spec)
    if raw_from is not None:
        import zarr

        result = zarr.open_group(raw_from, mode="r")["raw"][...]
        if result.shape != raw.shape or result.dtype != raw.dtype:
            raise SystemExit(f"raw: {result.shape} {result.dtype}, decoded by the reference {raw.shape} {raw.dtype}")
        off = np.abs(result.astype(np.float64) - raw)
        if off.max(initial=0) > within:
            at = np.unravel_index(off.argmax(), off.shape)
            raise SystemExit(f"raw: at {tuple(map(int, at))} {result[at]}, decoded by the reference {raw[at]}, more than {within} apart")
        raw = result

    arrays = {"raw": raw}
    stack = raw
    if spec.get("recenter") is not None:
        crop = spec["recenter"].get("crop") or raw.shape[1:]
        crop = [crop, crop] if isinstance(crop, int) else list(crop)
        stack, arrays["centroids"], arrays["offsets"] = recenter(raw, crop, spec["recenter"].get("threshold"))
        arrays["recentered"] = stack
    keep, fft = spec.get("keep"), spec.get("fft")
    if spec.get("rechunk") is not None and (fft is None or "rechunked" in (keep or ())):
        arrays["rechunked"] = stack
    if fft is not None:
        arrays[TRANSFORMED[fft.get("output") or "power"]] = transform(stack, fft)
    for name in ("raw", "recentered", "power", "amplitude"):
        for op in spec.get("reduce") or ():
            if name in arrays:
                arrays[f"{name}_{op}_frame"] = REDUCTIONS[op](arrays[name], 0)
                arrays[f"{name}_{op}_trace"] = REDUCTIONS[op](arrays[name], (1, 2))

    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.npy"):
        old.unlink()
    for name, array in arrays.items():
        np.save(out / f"{name}.npy", array)
    about = {
        "fft_of": "recentered" if "recentered" in arrays else "raw",
        "not_kept": [] if keep is None else [n for n in BIG if n in arrays and n not in keep],
    }
    (out / "about.json").write_text(json.dumps(about))
    print(f"{len(arrays)} arrays written to {out}")


# ---------------------------------------------------------------- the comparison


RELATIVE = {"power": 1e-4, "amplitude": 5e-5, "spectrum": 5e-5}
DTYPES = {"power": "float32", "amplitude": "float32", "spectrum": "complex64", "centroids": "float64", "offsets": "int32"}


def parts(name):
    """raw_mean_frame -> (raw, mean, frame); raw -> (raw, None, None)"""
    found = re.fullmatch(rf"(\w+?)_({'|'.join(REDUCTIONS)})_(frame|trace)", name)
    return found.groups() if found else (name, None, None)


class Reference:
    def __init__(self, out):
        self.out = Path(out)
        self.about = json.loads((self.out / "about.json").read_text())
        self.names = sorted(path.stem for path in self.out.glob("*.npy"))
        self.raw = self.load("raw")
        self.integers = self.raw.dtype.kind in "ui"
        self.strongest = self.energy = None

    def load(self, name):
        return np.load(self.out / f"{name}.npy")

    def scale(self):
        """For each pixel, in units of power: the strongest bin except DC, and an upper bound of all bins (T · Σ x²)."""
        if self.strongest is None:
            base = next(name for name in RELATIVE if name in self.names)
            power = self.load(base) if base == "power" else np.abs(self.load(base)) ** 2
            self.strongest = power[1:].max(axis=0, initial=0.0)
            x = self.load(self.about["fft_of"]).astype(np.float64)
            self.energy = len(x) * (x**2).sum(axis=0)
        return self.strongest, self.energy

    def spectral(self, name, expected):
        """The tolerance of spectra. A relative error applies above a millionth of the strongest bin of the pixel. Below, an
        absolute error applies, because single precision adds noise in proportion to all values of the pixel."""
        base, op, kind = parts(name)
        strongest, energy = self.scale()
        times = 1
        if kind == "trace":
            times = strongest.size if op == "sum" else 1
            strongest, energy = strongest.max(initial=0.0), energy.max(initial=0.0)
        elif op == "sum":
            times = len(self.raw)
        exponent = (1.0 if base == "power" else 0.5) * (2.0 if op == "var" else 1.0)
        line, noise, nothing = ((k * s) ** exponent for k, s in ((1e-6, strongest), (1e-13, energy), (1e-20, energy)))
        size = np.abs(expected)
        if base == "spectrum":
            allowed = np.broadcast_to(5e-5 * strongest**0.5 + noise, expected.shape).copy()
            allowed[0] += 5e-5 * size[0]
            return allowed
        strong = (size > line) & (size > nothing)
        return np.where(strong, RELATIVE[base] * size, times * (line + noise))

    def allowed(self, name, expected):
        """The allowed difference of each element."""
        base, op, _ = parts(name)
        if base in RELATIVE:
            return self.spectral(name, expected)
        size = np.abs(expected.astype(np.float64))
        if name == "centroids":
            return 0.0 if self.integers else 1e-9 * size.max(initial=0.0)
        if op is None or op in ("min", "max"):
            return 0.0
        if self.integers:
            return {"sum": 0.0, "mean": 1e-12, "std": 1e-9, "var": 1e-9}[op] * size
        largest = np.abs(self.raw).max(initial=0.0).astype(np.float64)
        return 1e-9 * max({"std": largest, "var": largest**2}.get(op, 0.0), size.max(initial=0.0))

    def judge(self, name, found):
        """None, or one line that describes the difference."""
        expected = self.load(name)
        if found.shape != expected.shape:
            return f"{name}: shape {found.shape}, expected {expected.shape}"
        wanted = DTYPES.get(name, expected.dtype.name if name in ("raw", "recentered", "rechunked") else found.dtype.name)
        if found.dtype.name != wanted:
            return f"{name}: {found.dtype}, expected {wanted}"
        allowed = np.broadcast_to(self.allowed(name, expected), expected.shape)
        wide = np.complex128 if expected.dtype.kind == "c" else np.float64
        if expected.dtype.kind in "ui" and found.dtype.kind in "ui":
            differ = np.where(found > expected, found - expected, expected - found).astype(np.float64)
        else:
            differ = np.abs(found.astype(wide) - expected.astype(wide))
        bad = ~(differ <= allowed)  # a NaN is a difference
        if not bad.any():
            return None
        over = np.where(np.isfinite(differ), differ - allowed, np.inf)
        at = np.unravel_index(np.where(bad, over, -1.0).argmax(), bad.shape)
        return (
            f"{name}: {bad.sum()} of {bad.size} differ, worst at {tuple(map(int, at))}: "
            f"found {found[at]!s}, expected {expected[at]!s}, allowed difference {allowed[at]:.3g}"
        )


def compare(out, arrays_zarr, names, missing_ok):
    import zarr

    reference = Reference(out)
    group = zarr.open_group(arrays_zarr, mode="r")
    result = {name for name, _ in group.arrays()}
    optional = set(missing_ok) | set(reference.about["not_kept"])
    bad, equal = [], []
    for name in names or reference.names:
        if name not in reference.names:
            bad.append(f"{name}: not an array of the job")
        elif name in result:
            wrong = reference.judge(name, np.asarray(group[name][...]))
            bad.append(wrong) if wrong else equal.append(name)
        elif name in names or name not in optional:
            bad.append(f"{name}: missing from {arrays_zarr}")
    if not bad and not equal:
        bad.append(f"{arrays_zarr}: nothing to compare")
    if bad:
        print("\n".join(bad))
        return 1
    print(f"{len(equal)} arrays equal: {', '.join(equal)}")
    others = sorted(result - set(reference.names))
    if others and not names:
        print(f"not compared: {', '.join(others)}")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("compute")
    one.add_argument("job")
    one.add_argument("out_dir")
    one.add_argument("--raw-from", metavar="ARRAYS_ZARR")
    one.add_argument("--within", type=float, default=0, metavar="N")
    two = commands.add_parser("compare")
    two.add_argument("out_dir")
    two.add_argument("arrays_zarr")
    two.add_argument("names", nargs="*")
    two.add_argument("--missing-ok", action="append", default=[], metavar="NAME")
    args = parser.parse_args()
    if args.command == "compute":
        return compute(args.job, args.out_dir, args.raw_from, args.within)
    return compare(args.out_dir, args.arrays_zarr, args.names, args.missing_ok)


if __name__ == "__main__":
    sys.exit(main())
