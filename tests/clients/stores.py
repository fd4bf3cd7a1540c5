"""Checks ArrayJob's outputs in a store, and writes Zarr arrays as sources.

    stores.py compare ARRAYS_ZARR COMPARISONS.json    compares outputs with the arrays in the folder of the same run
    stores.py make FOLDER STACK.npy                   writes sources: FOLDER/v2.zarr and v3.zarr, each with the array "0"
    stores.py absent URL ...                          checks that no URL can be opened

COMPARISONS.json is a list of {"select": …, "url": …, "chunks": [...], "shards": [...]}; chunks and shards are optional. The
environment contains the addresses and keys of the stores of s3://, az:// and gs://, with the names of the vendors' tools. Prints a
line and exits with 0, or prints the differences and exits with 1.
"""

import io
import json
import os
import sys

import numpy as np


def zarr_store(url):
    """A store for zarr-python: obstore for az:// and gs://, the URL itself (for fsspec) otherwise."""
    if not url.startswith(("az://", "gs://")):
        return url
    from obstore.store import from_url
    from zarr.storage import ObjectStore

    # Zarr's error messages contain the store's representation, which fails without an explicit account name.
    account = {"account_name": os.environ["AZURE_STORAGE_ACCOUNT_NAME"]} if url.startswith("az://") else {}
    return ObjectStore(from_url(url, client_options={"allow_http": True}, **account), read_only=True)


def file_bytes(url):
    """The bytes of an object."""
    if url.startswith(("az://", "gs://")):
        folder, name = url.rsplit("/", 1)
        return bytes(zarr_store(folder).store.get(name).bytes())
    import fsspec

    with fsspec.open(url) as file:
        return file.read()


def is_file(url):
    """Whether an object exists."""
    if url.startswith(("az://", "gs://")):
        try:
            file_bytes(url)
        except FileNotFoundError:
            return False
        return True
    import fsspec

    files, path = fsspec.core.url_to_fs(url)
    return files.isfile(path)


def read(url):
    """Reads an array from a URL alone; returns the values, and the Zarr array or None."""
    import zarr

    kind = url.rsplit(".", 1)[-1]
    if kind == "zarr":
        array = zarr.open_array(zarr_store(url), mode="r")
        return array[...], array
    data = file_bytes(url)
    if kind == "npy":
        return np.load(io.BytesIO(data)), None
    if kind == "json":
        content = json.loads(data)
        return np.array(content["data"], content["dtype"]).reshape(content["shape"]), None
    import imageio.v3 as iio

    return iio.imread(data, extension=f".{kind}"), None


def judge(comparison, expected):
    """None, or a description of the difference."""
    found, array = read(comparison["url"])
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return f"{found.dtype} {found.shape}, expected {expected.dtype} {expected.shape}"
    if not np.array_equal(found, expected):
        return f"{(found != expected).sum()} of {found.size} values differ"
    whole = lambda sizes: tuple(n if size == -1 else min(size, n) for size, n in zip(sizes, expected.shape))
    if "chunks" in comparison and array.chunks != whole(comparison["chunks"]):
        return f"chunks {array.chunks}, expected {whole(comparison['chunks'])}"
    if "shards" in comparison and array.shards != whole(comparison["shards"]):
        return f"shards {array.shards}, expected {whole(comparison['shards'])}"
    if array is not None and "shards" not in comparison and array.shards is not None:
        return f"unexpected shards {array.shards}"
    return None


def compare(arrays, path):
    import zarr

    group = zarr.open_group(arrays, mode="r")
    with open(path, encoding="utf-8") as file:
        comparisons = json.load(file)
    bad = []
    for comparison in comparisons:
        name, bracket, items = comparison["select"].partition("[")
        whole = group[name][...]
        # `eval` is safe here, because the selection comes from the test.
        expected = eval(f"whole[{items}", {"whole": whole}) if bracket else whole
        try:
            wrong = judge(comparison, np.asarray(expected))
        except Exception as error:
            wrong = repr(error)
        if wrong:
            bad.append(f"{comparison['select']} at {comparison['url']}: {wrong}")
    print("\n".join(bad) if bad else f"{len(comparisons)} outputs equal")
    return 1 if bad else 0


def make(folder, stack):
    """Arrays in the style of other writers: compressed, with uneven chunks and with shards."""
    import numcodecs
    import zarr

    values = np.load(stack)
    two = zarr.open_group(f"{folder}/v2.zarr", mode="w", zarr_format=2)
    blosc = numcodecs.Blosc(cname="lz4", clevel=5, shuffle=numcodecs.Blosc.SHUFFLE)
    two.create_array("0", shape=values.shape, chunks=(5, 13, 17), dtype=values.dtype, compressors=blosc)[...] = values
    three = zarr.open_group(f"{folder}/v3.zarr", mode="w", zarr_format=3)
    zstd = zarr.codecs.ZstdCodec(level=3)
    three.create_array("0", shape=values.shape, chunks=(3, 10, 16), shards=(6, 40, 48), dtype=values.dtype, compressors=zstd)[...] = values
    print("created")
    return 0


def absent(*urls):
    import zarr

    found = []
    for url in urls:
        found += [key for key in (url, f"{url}/zarr.json") if is_file(key)]
        try:
            zarr.open(zarr_store(url), mode="r")
            found.append(f"{url}, as Zarr")
        except FileNotFoundError:
            pass  # the expected error
    print("\n".join(found) if found else f"{len(urls)} absent")
    return 1 if found else 0


def main():
    command, *arguments = sys.argv[1:]
    return {"compare": compare, "make": make, "absent": absent}[command](*arguments)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Exit without cleanup: threads of obstore may still free results at the end of the interpreter, which then aborts:
    # https://github.com/PyO3/pyo3-async-runtimes/issues/40.
    os._exit(code)
