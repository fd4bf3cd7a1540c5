"""Opens a served job with every supported reader, and compares every value with the reference implementation.

    open_anywhere.py URL REFERENCE_DIR [--brief]

URL is the URL that `arrayjob serve` prints, http://HOST:PORT/?token=TOKEN. REFERENCE_DIR is the output folder of `reference.py
compute`. The program compares each array from zarr-python with the reference. Every other reader must return the same values,
types and axes as zarr-python. `--brief` omits the checks of HTTP itself.

Prints `N ways agree` with the names of the checks and exits with 0, or prints one line for each failed check and exits with 1.
"""

import argparse
import io
import json
import re
import sys
import traceback
import urllib.error
import urllib.parse
import urllib.request
import warnings

import numpy as np

SPECTRA = ("power", "amplitude", "spectrum")
LARGE = ("raw", "recentered", "rechunked", *SPECTRA)
VIEWS = {"spectrum_abs": np.abs, "spectrum_phase": np.angle}
COORDINATES = ("frequency",)  # not in the status

WAYS = []


def way(function):
    WAYS.append(function)
    return function


def same(found, expected, what):
    """Checks that values, shape and type are equal."""
    found = np.asarray(found)
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, expected {expected.shape}"
    assert found.dtype == expected.dtype, f"{what}: {found.dtype}, expected {expected.dtype}"
    differ = int((found != expected).sum())
    assert differ == 0, f"{what}: {differ} of {found.size} values differ"


class Served:
    """The served job, its arrays from zarr-python, and the reference."""

    def __init__(self, url, reference):
        from reference import Reference

        parts = urllib.parse.urlsplit(url)
        self.host = parts.netloc
        self.base = f"http://{parts.netloc}"
        self.token = dict(urllib.parse.parse_qsl(parts.query))["token"]
        self.base_with_token = f"{self.base}/t/{self.token}"
        self.root = f"{self.base_with_token}/arrays.zarr"
        self.reference = Reference(reference)
        status = json.loads(self.get("/api/v1/status")[2])
        self.job = status["job"]
        self.axes = {array["name"]: array["axes"] for array in status["arrays"]}
        # xarray requires one length for each axis name, so that axes of uncropped frames have other names.
        for name in self.axes if "recentered" in self.reference.names else ():
            if name.startswith("raw"):
                self.axes[name] = [axis if axis == "t" else f"raw_{axis}" for axis in self.axes[name]]
        self.arrays = {}

    def get(self, path, headers=None, method="GET", token=True):
        """Status code, headers and body of a response, including errors."""
        with_token = {"Authorization": f"Bearer {self.token}"} if token else {}
        request = urllib.request.Request(self.base + path, headers={**with_token, **(headers or {})}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def kvstore(self, path):
        """A kvstore specification for TensorStore."""
        return {"driver": "http", "base_url": self.base, "path": f"/t/{self.token}/arrays.zarr/{path}/"}

    @property
    def large(self):
        """Names of the arrays with three axes."""
        return [name for name in LARGE if name in self.arrays]

    def has_spectra(self):
        return any(name in self.axes for name in SPECTRA)

    def spectra(self):
        """The name of the only array of spectra."""
        return next(name for name in SPECTRA if name in self.axes)

    def uneven(self, name):
        """A chunk shape that differs from the stored chunks: three chunks along each axis, with a shorter last chunk."""
        return tuple(size // 3 + 1 for size in self.arrays[name].shape)


# ---------------------------------------------------------------- zarr-python


@way
def zarr_v3(served):
    """The group contains exactly the arrays of the job. Values and axes equal the reference."""
    import zarr

    group = zarr.open_group(served.root, mode="r", zarr_format=3)
    for name, array in group.arrays():
        served.arrays[name] = np.asarray(array[...])
        assert array.dtype == served.arrays[name].dtype
    views = [view for view in VIEWS if "spectrum" in served.axes]
    expected = sorted([*served.axes, *views, *(name for name in COORDINATES if served.has_spectra())])
    assert sorted(served.arrays) == expected, f"arrays {sorted(served.arrays)}, expected {expected}"
    wrong = [served.reference.judge(name, values) for name, values in served.arrays.items() if name in served.reference.names]
    assert not any(wrong), "; ".join(filter(None, wrong))
    for name, axes in served.axes.items():
        found = list(group[name].metadata.dimension_names)
        assert found == axes, f"{name}: axes {found}, expected {axes}"
        assert name in served.reference.names, f"{name}: the reference has no such array"
    unlike = {name for name, array in group.arrays() if zarr.open_array(f"{served.root}/{name}", mode="r").metadata != array.metadata}
    assert not unlike, f"{sorted(unlike)}: the metadata of the array differs from the consolidated metadata"


@way
def zarr_default_version(served):
    """Opens arrays without a format version."""
    import zarr

    for name in served.large:
        same(zarr.open(f"{served.root}/{name}", mode="r")[...], served.arrays[name], name)


@way
def zarr_not_consolidated(served):
    """Finds the members with the directory listing."""
    import zarr

    group = zarr.open_group(served.root, mode="r", zarr_format=3, use_consolidated=False)
    missing = set(served.arrays) - {name for name, _ in group.arrays()}
    assert not missing, f"{sorted(missing)} are not in the listing"


@way
def zarr_obstore(served):
    """Opens the group and each array on an obstore store, without a format version."""
    import zarr
    from obstore.store import HTTPStore
    from zarr.storage import ObjectStore

    def store(url):
        return ObjectStore(HTTPStore(url, client_options={"allow_http": True}), read_only=True)

    group = zarr.open_group(store(served.root), mode="r")
    assert sorted(name for name, _ in group.arrays()) == sorted(served.arrays)
    for name, array in group.arrays():
        same(array[...], served.arrays[name], name)
        same(zarr.open(store(f"{served.root}/{name}"), mode="r")[...], served.arrays[name], f"{name} alone")


@way
def zarr_v2(served):
    import zarr

    three = zarr.open_group(served.root, mode="r", zarr_format=3)
    two = zarr.open_group(served.root, mode="r", zarr_format=2)
    assert sorted(name for name, _ in two.arrays()) == sorted(served.arrays)
    for name, array in two.arrays():
        same(array[...], served.arrays[name], name)
        attributes = dict(array.attrs)
        axes = attributes.pop("_ARRAY_DIMENSIONS")
        assert axes == list(three[name].metadata.dimension_names), f"{name}: axes {axes}"
        assert attributes == dict(three[name].attrs), f"{name}: {attributes}, in v3 {dict(three[name].attrs)}"
        assert array.metadata.fill_value is None, f"{name}: has a fill value, which xarray would treat as a mask"
        same(zarr.open_array(f"{served.root}/{name}", mode="r", zarr_format=2)[...], served.arrays[name], name)


@way
def zarr_parts(served):
    """Reads parts of arrays, so that readers fetch only some chunks."""
    import zarr

    for name in served.large:
        array, values = zarr.open_array(f"{served.root}/{name}", mode="r"), served.arrays[name]
        for items in (np.s_[3], np.s_[:, 2, 5], np.s_[4:9, ::3, -4:], np.s_[-1, -1, -1]):
            same(array[items], np.asarray(values[items]), f"{name}[{items}]")


@way
def grids(served):
    """`@`: the same array with another chunk shape, in both format versions, with `@` plain and escaped."""
    import zarr

    for name in served.large:
        values = served.arrays[name]
        whole = (1, *values.shape[1:])
        for written, chunks in (("1,-1,-1", whole), (",".join(map(str, served.uneven(name))), served.uneven(name))):
            for sign in ("@", "%40"):
                for version in (3, 2):
                    url = f"{served.root}/{name}{sign}{written}"
                    array = zarr.open_array(url, mode="r", zarr_format=version)
                    assert array.chunks == chunks, f"{name}@{written}: chunks {array.chunks}"
                    same(array[...], values, f"{name}@{written} in v{version}")


# ---------------------------------------------------------------- xarray, dask


@way
def xarray_v3(served):
    import xarray as xr

    dataset = xr.open_zarr(served.root)
    check_dataset(served, dataset)


@way
def xarray_v2(served):
    """Zeros stay zeros and uint8 stays uint8: no value is masked."""
    import xarray as xr

    check_dataset(served, xr.open_zarr(served.root, zarr_format=2))


@way
def xarray_not_consolidated(served):
    import xarray as xr

    check_dataset(served, xr.open_zarr(served.root, consolidated=False))


def check_dataset(served, dataset):
    missing = set(served.arrays) - set(dataset.variables)
    assert not missing, f"{sorted(missing)} are missing"
    for name, values in served.arrays.items():
        variable = dataset[name]
        same(variable.values, values, name)
        if name in served.axes:
            assert list(variable.dims) == served.axes[name], f"{name}: axes {variable.dims}"
    if served.has_spectra():
        assert "frequency" in dataset.coords, f"frequency is not a coordinate; coordinates are {list(dataset.coords)}"
        spectra = dataset[served.spectra()]
        expected = spectra.sel(frequency=dataset.frequency[2])
        same(expected.values, served.arrays[spectra.name][2], "selected by frequency")


@way
def frequency(served):
    """The coordinate equals np.fft.fftfreq."""
    if served.has_spectra():
        same(served.arrays["frequency"], np.fft.fftfreq(len(served.arrays[served.spectra()])), "frequency")


@way
def dask(served):
    import dask.array as da

    for name in served.large:
        _, height, width = served.uneven(name)
        for url in (f"{served.root}/{name}", f"{served.root}/{name}@-1,{height},{width}"):
            array = da.from_zarr(url)
            same(array.compute(), served.arrays[name], url.rsplit("/", 1)[1])
        same(array[:, 3, 4].compute(), served.arrays[name][:, 3, 4], name)


# ---------------------------------------------------------------- TensorStore


def tensorstore(served, driver):
    import tensorstore as ts

    for name, values in served.arrays.items():
        store = ts.open({"driver": driver, "kvstore": served.kvstore(name)}).result()
        same(store.read().result(), values, name)
        if driver == "zarr3":
            labels = list(store.domain.labels)
            assert name not in served.axes or labels == served.axes[name], f"{name}: axes {labels}"
    for name in served.large:
        uneven = ",".join(map(str, served.uneven(name)))
        for grid in (uneven, "1,-1,-1"):
            store = ts.open({"driver": driver, "kvstore": served.kvstore(f"{name}@{grid}")}).result()
            same(store[1:4, 2, :].read().result(), served.arrays[name][1:4, 2, :], f"{name}@{grid}")


@way
def tensorstore_zarr3(served):
    tensorstore(served, "zarr3")


@way
def tensorstore_zarr(served):
    tensorstore(served, "zarr")


# ---------------------------------------------------------------- other representations


@way
def views(served):
    """Real arrays of magnitude and phase, for viewers without complex numbers."""
    for view, of in VIEWS.items():
        if view in served.arrays:
            found, spectrum = served.arrays[view], served.arrays["spectrum"]
            assert found.dtype == np.float32 and found.shape == spectrum.shape, f"{view}: {found.dtype} {found.shape}"
            expected = of(spectrum.astype(np.complex128))
            off = np.abs(found - expected) / np.maximum(np.abs(expected), 1e-30)
            # Phases π and −π are equal.
            turned = np.abs(np.abs(found - expected) - 2 * np.pi) < 1e-6 if view.endswith("phase") else False
            bad = (off > 1e-6) & ~turned
            assert not bad.any(), f"{view}: {bad.sum()} of {bad.size} differ, by up to {off[bad].max()}"


@way
def ome(served):
    """Each real array with three axes is a valid OME-Zarr 0.5 image, and ome-zarr-py reads the same values."""
    import zarr
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader
    from ome_zarr_models.v05 import Image

    for name in (n for n in served.large if served.arrays[n].dtype.kind != "c"):
        url = f"{served.root}/ome/{name}"
        group = zarr.open_group(url, mode="r", zarr_format=3)
        Image.from_zarr(group)
        image = group.attrs["ome"]["multiscales"][0]
        axes = [axis.removeprefix("raw_") for axis in served.axes[name]]
        assert [axis["name"] for axis in image["axes"]] == axes, f"{name}: {image['axes']}, expected {axes}"
        same(group[image["datasets"][0]["path"]][...], served.arrays[name], f"ome/{name}")
        (node,) = Reader(parse_url(url))()
        same(node.data[0].compute(), served.arrays[name], f"ome/{name} from ome-zarr-py")


@way
def listing(served):
    """fsspec lists the group, and reads the metadata and a chunk."""
    import fsspec

    files = fsspec.filesystem("http")
    found = {entry.rstrip("/").rsplit("/", 1)[1] for entry in files.ls(served.root + "/", detail=False)}
    assert set(served.arrays) <= found, f"{sorted(set(served.arrays) - found)} are not listed"
    group = json.loads(files.cat(f"{served.root}/zarr.json"))
    for name in served.arrays:
        about = json.loads(files.cat(f"{served.root}/{name}/zarr.json"))
        assert about == group["consolidated_metadata"]["metadata"][name], f"{name}: metadata of the array differs from the consolidated metadata"
        inside = {entry.rstrip("/").rsplit("/", 1)[1] for entry in files.ls(f"{served.root}/{name}/", detail=False)}
        assert "zarr.json" in inside, f"{name}: zarr.json is not in the listing {sorted(inside)}"
    name = served.large[0]
    values = served.arrays[name]
    first = files.cat(f"{served.root}/{name}@1,-1,-1/c/0/0/0")
    assert first == values[0].astype(values.dtype.newbyteorder("<")).tobytes(), f"{name}: first chunk differs"
    assert not files.exists(f"{served.root}/nothing/zarr.json")


@way
def slices(served):
    """Slices in the .npy format."""
    for name in served.large:
        status, _, body = served.get(f"/slice/{name}?sel=2:9:3,:,::-1&format=npy")
        assert status == 200, f"{name}: {status} {body[:200]}"
        same(np.load(io.BytesIO(body)), served.arrays[name][2:9:3, :, ::-1], name)


@way
def dvid(served):
    """The DVID API: `skimage.io.imread(url)` for each frame, and several frames in one response."""
    import skimage.io

    for name in (n for n in served.large if served.arrays[n].dtype.kind != "c"):
        values = served.arrays[name]
        count, height, width = values.shape
        at = f"{served.base_with_token}/api/node/{served.job}/{name}"
        if values.dtype in (np.uint8, np.uint16):
            sample = np.stack([skimage.io.imread(f"{at}/raw/xy/{width}_{height}/0_0_{t}") for t in range(count)])
            same(sample, values, f"{name}, single frames")
            same(skimage.io.imread(f"{at}/raw/xy/{width - 5}_{height - 3}/4_2_7/png"), values[7, 2 : height - 1, 4 : width - 1], name)
        if values.dtype == np.uint8:
            for kind in ("jpg", "jpg:80"):
                lossy = skimage.io.imread(f"{at}/raw/xy/{width}_{height}/0_0_7/{kind}")
                assert lossy.shape == (height, width) and lossy.dtype == np.uint8, f"{name} as {kind}: {lossy.shape} {lossy.dtype}"
                off = np.abs(lossy.astype(float) - values[7]).mean()
                assert off < 6, f"{name} as {kind}: {off} gray levels off on average"
        status, headers, body = served.get(f"/api/node/{served.job}/{name}/raw/0_1_2/{width - 2}_{height - 1}_4/1_1_3")
        assert status == 200 and headers["Content-Type"] == "application/octet-stream", f"{name}: {status} {headers['Content-Type']}"
        expected = values[3:7, 1:, 1 : width - 1]
        same(np.frombuffer(body, values.dtype).reshape(expected.shape), expected, f"{name}, a volume")
        status, _, body = served.get(f"/api/node/{served.job}/{name}/info")
        extended = json.loads(body)["Extended"]
        assert status == 200 and extended["MaxPoint"] == [width - 1, height - 1, count - 1], f"{name}: {extended}"
    status, _, _ = served.get(f"/api/node/{served.job}/nothing/info")
    assert status == 404, f"info of a missing array: {status}"


# ---------------------------------------------------------------- HTTP


def full_only(function):
    function.full_only = True
    return way(function)


@full_only
def http_keys(served):
    """A nonexistent key is 404, and no other key is 404: readers treat 404 as zeros, and other errors as failures."""
    name = served.large[0]
    ranks = served.arrays[name].ndim
    beyond = "9999" + "/0" * (ranks - 1)
    for key in (
        "nothing",
        "nothing/zarr.json",
        "nothing/.zarray",
        "nothing/c/0/0/0",
        ".zarray",
        f"{name}/.zgroup",
        f"{name}/c/{beyond}",
        f"{name}/9999.0.0",
        f"{name}/c/0/0",
        f"{name}/c/0/0/0/0",
        f"{name}/c/-1/0/0",
        f"{name}/c/0/0/a",
        f"{name}@0,1,1/zarr.json",
        f"{name}@1,1/zarr.json",
        f"{name}@1,1,-2/zarr.json",
        f"{name}@a,b,c/zarr.json",
        "nothing@1,1,1/zarr.json",
        "ome/nothing/zarr.json",
    ):
        for method in ("GET", "HEAD"):
            status, _, _ = served.get(f"/arrays.zarr/{key}", method=method)
            assert status == 404, f"{method} {key}: {status}"
    for key in ("", "zarr.json", ".zmetadata", ".zgroup", ".zattrs", f"{name}/.zarray", f"{name}/.zattrs", f"{name}/0.0.0"):
        status, _, body = served.get(f"/arrays.zarr/{key}")
        assert status == 200 and body, f"{key}: {status}, {len(body)} bytes"


@full_only
def http_methods(served):
    """HEAD returns the headers of GET without a body. Writes are refused. CORS permits reads from other origins."""
    import http.client

    name = served.large[0]
    connection = http.client.HTTPConnection(served.host, timeout=60)
    bearer = {"Authorization": f"Bearer {served.token}"}
    # All requests share a connection: an unexpected body would be read as the next response.
    for key in ("zarr.json", f"{name}/zarr.json", f"{name}/c/0/0/0", f"{name}/0.0.0", f"{name}@2,3,4/c/0/0/0", ".zmetadata"):
        responses = []
        for method in ("HEAD", "GET"):
            connection.request(method, f"/arrays.zarr/{key}", headers=bearer)
            response = connection.getresponse()
            responses.append((response.status, response.headers, response.read()))
        (status, head, nothing), (_, headers, body) = responses
        assert status == 200 and nothing == b"", f"HEAD {key}: {status}, {len(nothing)} bytes"
        assert int(head["Content-Length"]) == len(body), f"HEAD {key}: length {head['Content-Length']}, GET gives {len(body)}"
        for header in ("Content-Type", "ETag", "Accept-Ranges"):
            assert head[header] == headers[header], f"{key}: {header} {head[header]}, of GET {headers[header]}"
        assert headers["Access-Control-Allow-Origin"] == "*", f"{key}: {headers['Access-Control-Allow-Origin']}"
    for method in ("PUT", "POST", "DELETE"):
        connection.request(method, f"/arrays.zarr/{name}/c/0/0/0", headers=bearer)
        response = connection.getresponse()
        response.read()
        assert response.status == 405, f"{method}: {response.status}"
    connection.close()
    # The CORS preflight request of a browser, which has no token.
    preflight = {"Origin": "http://elsewhere.example", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization, range"}
    status, headers, _ = served.get(f"/arrays.zarr/{name}/zarr.json", preflight, "OPTIONS", token=False)
    assert status in (200, 204) and headers["Access-Control-Allow-Origin"] == "*", f"OPTIONS: {status} {headers}"
    allowed = headers["Access-Control-Allow-Headers"].lower()
    assert "*" in headers["Access-Control-Allow-Methods"] or "GET" in headers["Access-Control-Allow-Methods"], f"OPTIONS: {headers}"
    # `*` does not include Authorization: https://fetch.spec.whatwg.org/#http-access-control-allow-headers.
    assert "authorization" in allowed and ("range" in allowed or "*" in allowed), f"OPTIONS: {allowed}"
    status, headers, _ = served.get(f"/arrays.zarr/{name}/c/9999/0/0", {"Origin": "http://elsewhere.example"})
    assert status == 404 and headers["Access-Control-Allow-Origin"] == "*", "a browser cannot read the status code 404"


@full_only
def http_ranges(served):
    name = served.large[0]
    for key in (f"{name}/c/0/0/0", "zarr.json"):
        path = f"/arrays.zarr/{key}"
        _, headers, body = served.get(path)
        size = len(body)
        assert headers["Accept-Ranges"] == "bytes", f"{key}: {headers['Accept-Ranges']}"
        for requested, first, last in (("0-9", 0, 9), ("5-", 5, size - 1), ("-7", size - 7, size - 1), (f"3-{size * 2}", 3, size - 1), ("0-0", 0, 0)):
            status, headers, part = served.get(path, {"Range": f"bytes={requested}"})
            assert status == 206 and part == body[first : last + 1], f"{key} {requested}: {status}, {len(part)} bytes"
            assert headers["Content-Range"] == f"bytes {first}-{last}/{size}", f"{key} {requested}: {headers['Content-Range']}"
        for requested in (f"{size}-", f"{size + 5}-{size + 9}"):
            status, headers, _ = served.get(path, {"Range": f"bytes={requested}"})
            assert status == 416 and headers["Content-Range"] == f"bytes */{size}", f"{key} {requested}: {status} {headers['Content-Range']}"
        # Invalid ranges are ignored: https://www.rfc-editor.org/rfc/rfc9110#section-14.2.
        for requested in ("lines=1-2", "bytes=a-b"):
            status, _, whole = served.get(path, {"Range": requested})
            assert status == 200 and whole == body, f"{key} {requested}: {status}"


@full_only
def http_tags(served):
    """A request with the current ETag returns 304 without a body."""
    name = served.large[0]
    for key in (f"{name}/c/0/0/0", f"{name}@2,3,4/c/0/0/0", "zarr.json"):
        path = f"/arrays.zarr/{key}"
        _, headers, body = served.get(path)
        tag = headers["ETag"]
        assert tag and re.fullmatch(r'(W/)?"[^"]+"', tag), f"{key}: ETag {tag}"
        for requested in (tag, f'"another", {tag}', "*"):
            status, headers, nothing = served.get(path, {"If-None-Match": requested})
            assert status == 304 and nothing == b"" and headers["ETag"] == tag, f"{key} {requested}: {status}, {len(nothing)} bytes"
        status, _, again = served.get(path, {"If-None-Match": '"another"'})
        assert status == 200 and again == body, f"{key}: {status}"
    tags = [served.get(f"/arrays.zarr/{name}@1,-1,-1/c/{t}/0/0")[1]["ETag"] for t in range(3)]
    assert len(set(tags)) == 3, f"chunks of one array have the ETags {tags}"


@full_only
def http_tokens(served):
    """Each of the four ways to send the token is accepted. Requests without the token or with a wrong token return 401."""
    import base64

    path = "/arrays.zarr/zarr.json"
    right = base64.b64encode(f"anyone:{served.token}".encode()).decode()
    another = "0" * len(served.token)
    for status, where, headers in (
        (200, path, {"Authorization": f"Bearer {served.token}"}),
        (200, path, {"Authorization": f"Basic {right}"}),
        (200, f"{path}?token={served.token}", {}),
        (200, f"/t/{served.token}{path}", {}),
        (401, path, {}),
        (401, path, {"Authorization": f"Bearer {another}"}),
        (401, path, {"Authorization": f"Basic {base64.b64encode(f'anyone:{another}'.encode()).decode()}"}),
        (401, path, {"Authorization": "Basic !"}),
        (401, path, {"Cookie": f"token={served.token}"}),
        (401, f"{path}?token={another}", {}),
        (401, f"/t/{another}{path}", {}),
        (401, "/arrays.zarr/nothing/zarr.json", {}),
        (401, f"/api/node/{served.job}/{served.large[0]}/info", {}),
    ):
        found, _, body = served.get(where, headers, token=False)
        assert found == status, f"{where.replace(served.token, 'TOKEN')} {sorted(headers)}: {found}, expected {status}"
        assert status == 200 or served.token.encode() not in body


# ----------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("reference")
    parser.add_argument("--brief", action="store_true")
    parser.add_argument("--only", help="run only this check, and zarr_v3, which the other checks need")
    args = parser.parse_args()
    # zarr-python warns for each array that both format versions exist.
    warnings.filterwarnings("ignore", message="Both zarr.json")
    served = Served(args.url, args.reference)
    agree, wrong = [], []
    for check in WAYS:
        if args.brief and getattr(check, "full_only", False) or args.only not in (None, check.__name__) and agree:
            continue
        try:
            check(served)
            agree.append(check.__name__)
        except AssertionError as error:
            wrong.append(f"{check.__name__}: {error}")
        except Exception:
            wrong.append(f"{check.__name__}: {traceback.format_exc(limit=-4)}")
        if check is zarr_v3 and wrong:
            break  # the other checks compare with zarr_v3
    text = "\n".join(wrong) if wrong else f"{len(agree)} ways agree: {', '.join(agree)}"
    print(text.replace(served.token, "TOKEN"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
