"""Arrays that ArrayJob wrote to a store, and arrays that it reads from one.

    stores.py compare ARRAYS_ZARR QUESTIONS.json    what was written is what a run of the same job left in its folder
    stores.py make FOLDER STACK.npy                 Zarr arrays for a job to read: FOLDER/v2.zarr, v3.zarr, each with "0"
    stores.py absent URL ...                        nothing is there that can be opened

QUESTIONS.json is a list of {"select": …, "url": …, "chunks": [...], "shards": [...]}, the last two where they were asked
for. The stores of s3://, az:// and gs:// are those of the environment, as the vendors' own tools find them. Prints a line
and exits 0, or what is wrong and exits 1.
"""

import io
import json
import os
import sys

import numpy as np


def zarr_store(url):
    """What zarr-python opens: by fsspec what it knows by itself, and by obstore the others."""
    if not url.startswith(("az://", "gs://")):
        return url
    from obstore.store import from_url
    from zarr.storage import ObjectStore

    # Zarr's errors show the store, whose own name of itself wants the account in so many words.
    account = {"account_name": os.environ["AZURE_STORAGE_ACCOUNT_NAME"]} if url.startswith("az://") else {}
    return ObjectStore(from_url(url, client_options={"allow_http": True}, **account), read_only=True)


def file_bytes(url):
    """What an object holds."""
    if url.startswith(("az://", "gs://")):
        folder, name = url.rsplit("/", 1)
        return bytes(zarr_store(folder).store.get(name).bytes())
    import fsspec

    with fsspec.open(url) as file:
        return file.read()


def is_file(url):
    """Whether there is an object."""
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
    """What somebody finds who knows nothing but the URL, and the array's metadata where it has some."""
    import zarr

    kind = url.rsplit(".", 1)[-1]
    if kind == "zarr":
        array = zarr.open_array(zarr_store(url), mode="r")
        return array[...], array
    data = file_bytes(url)
    if kind == "npy":
        return np.load(io.BytesIO(data)), None
    if kind == "json":
        said = json.loads(data)
        return np.array(said["data"], said["dtype"]).reshape(said["shape"]), None
    import imageio.v3 as iio

    return iio.imread(data, extension=f".{kind}"), None


def judge(question, expected):
    """None, or what is wrong."""
    found, array = read(question["url"])
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return f"{found.dtype} {found.shape}, should be {expected.dtype} {expected.shape}"
    if not np.array_equal(found, expected):
        return f"{(found != expected).sum()} of {found.size} values differ"
    whole = lambda sizes: tuple(n if size == -1 else min(size, n) for size, n in zip(sizes, expected.shape))
    if "chunks" in question and array.chunks != whole(question["chunks"]):
        return f"chunks {array.chunks}, should be {whole(question['chunks'])}"
    if "shards" in question and array.shards != whole(question["shards"]):
        return f"shards {array.shards}, should be {whole(question['shards'])}"
    if array is not None and "shards" not in question and array.shards is not None:
        return f"shards {array.shards} that nobody asked for"
    return None


def compare(arrays, questions):
    import zarr

    group = zarr.open_group(arrays, mode="r")
    with open(questions, encoding="utf-8") as file:
        asked = json.load(file)
    bad = []
    for question in asked:
        name, bracket, items = question["select"].partition("[")
        whole = group[name][...]
        # The selection is the test's own, not a stranger's.
        expected = eval(f"whole[{items}", {"whole": whole}) if bracket else whole
        try:
            wrong = judge(question, np.asarray(expected))
        except Exception as error:
            wrong = repr(error)
        if wrong:
            bad.append(f"{question['select']} at {question['url']}: {wrong}")
    print("\n".join(bad) if bad else f"{len(asked)} outputs equal")
    return 1 if bad else 0


def make(folder, stack):
    """As other people write them: compressed, in chunks that fit nothing, and small ones in large ones."""
    import numcodecs
    import zarr

    values = np.load(stack)
    two = zarr.open_group(f"{folder}/v2.zarr", mode="w", zarr_format=2)
    blosc = numcodecs.Blosc(cname="lz4", clevel=5, shuffle=numcodecs.Blosc.SHUFFLE)
    two.create_array("0", shape=values.shape, chunks=(5, 13, 17), dtype=values.dtype, compressors=blosc)[...] = values
    three = zarr.open_group(f"{folder}/v3.zarr", mode="w", zarr_format=3)
    zstd = zarr.codecs.ZstdCodec(level=3)
    three.create_array("0", shape=values.shape, chunks=(3, 10, 16), shards=(6, 40, 48), dtype=values.dtype, compressors=zstd)[...] = values
    print("made")
    return 0


def absent(*urls):
    import zarr

    there = []
    for url in urls:
        there += [key for key in (url, f"{url}/zarr.json") if is_file(key)]
        try:
            zarr.open(zarr_store(url), mode="r")
            there.append(f"{url}, as Zarr")
        except FileNotFoundError:
            pass  # what readers are told of nothing
    print("\n".join(there) if there else f"{len(urls)} absent")
    return 1 if there else 0


def main():
    command, *arguments = sys.argv[1:]
    return {"compare": compare, "make": make, "absent": absent}[command](*arguments)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # obstore's threads may still let go of what the last read returned when the interpreter ends, which then aborts:
    # https://github.com/PyO3/pyo3-async-runtimes/issues/40.
    os._exit(code)
