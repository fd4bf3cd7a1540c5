"""Reads a served job while a part of the job is lost, held or failing. Each read must return the right values or an error.

    partial.py waits URL MARKS     a part is held: requests wait and then return 503; after the release, all reads succeed
    partial.py reads URL MARKS     reads repeatedly during a fault

The program reads all arrays once before the fault. Then it creates the file MARKS/ready, and after the expected observation the
file MARKS/seen. The test creates the file MARKS/over; the program ends after the next complete read. Prints the counts of
observations as JSON and exits with 0, or prints the errors and exits with 1. Zeros instead of values are an error.
"""

import collections
import http.client
import json
import sys
import threading
import time
import urllib.parse
from pathlib import Path

import numpy as np

LIMIT = 150  # time limit for the whole program, in seconds
NAMES = ("recentered", "power")


class Reader:
    def __init__(self, url, marks):
        parts = urllib.parse.urlsplit(url)
        self.host, self.token = parts.netloc, dict(urllib.parse.parse_qsl(parts.query))["token"]
        self.root = f"http://{self.host}/t/{self.token}/arrays.zarr"
        self.marks = Path(marks)
        self.seen = collections.Counter()
        self.wrong = []
        self.deadline = time.monotonic() + LIMIT
        self.expected = {name: self.zarr(name) for name in NAMES}
        for name, values in self.expected.items():
            empty = [t for t in range(len(values)) if not values[t].any()]
            if empty:
                sys.exit(f"{name}[{empty[0]}] is zero before the fault, so that the test cannot detect missing values")

    def mark(self, name):
        (self.marks / name).touch()

    def marked(self, name):
        if time.monotonic() > self.deadline:
            sys.exit(f"timeout after {LIMIT} s: {name}; seen {dict(self.seen)}, wrong {self.wrong}")
        return (self.marks / name).exists()

    def check(self, what, found, expected):
        if np.array_equal(found, expected):
            self.seen[f"{what}: right"] += 1
        else:
            zeros = ", all zero" if not np.asarray(found)[found != expected].any() else ""
            self.wrong.append(f"{what}: {(found != expected).sum()} of {found.size} values differ{zeros}")

    # ------------------------------------------------------------ three ways to read

    def zarr(self, name):
        import zarr

        return zarr.open_array(f"{self.root}/{name}@1,-1,-1", mode="r", zarr_format=3)[...]

    def zarr_or_error(self, name):
        try:
            found = self.zarr(name)
        except Exception as error:
            self.seen[f"zarr: {type(error).__name__}"] += 1
            return
        self.check("zarr", found, self.expected[name])

    def tensorstore(self, name):
        """TensorStore retries up to the configured number of retries."""
        import tensorstore as ts

        base = {"driver": "http", "base_url": f"http://{self.host}", "path": f"/t/{self.token}/arrays.zarr/{name}@1,-1,-1/"}
        retries = {"http_request_retries": {"max_retries": 1000, "initial_delay": "100ms", "max_delay": "1s"}}
        store = ts.open({"driver": "zarr3", "kvstore": base, "context": retries, "recheck_cached_data": False}).result()
        self.check("tensorstore", store.read().result(), self.expected[name])

    def chunk(self, name, t):
        """Requests one chunk; returns the status code, or 0 if the connection fails."""
        expected = self.expected[name][t]
        connection = http.client.HTTPConnection(self.host, timeout=90)
        try:
            connection.request("GET", f"/arrays.zarr/{name}@1,-1,-1/c/{t}/0/0", headers={"Authorization": f"Bearer {self.token}"})
            response = connection.getresponse()
            status, headers, body = response.status, response.headers, response.read()
        except (OSError, http.client.HTTPException):
            self.seen["chunk: 0"] += 1
            return 0
        finally:
            connection.close()
        if status == 200:
            self.check("chunk", np.frombuffer(body, expected.dtype).reshape(expected.shape), expected)
            return status
        self.seen[f"chunk: {status}"] += 1
        if status == 503 and not headers["Retry-After"]:
            self.wrong.append("503 without Retry-After")
        if status not in (409, 503):
            self.wrong.append(f"chunk {t} of {name}: {status} {body[:200]}")
        return status

    # ------------------------------------------------------------ the two modes

    def waits(self):
        self.mark("ready")
        while not self.marked("held"):
            time.sleep(0.01)  # the standard library has no notification for files
        retrying = threading.Thread(target=self.tensorstore, args=("power",))
        failing = threading.Thread(target=self.zarr_or_error, args=("power",))
        retrying.start(), failing.start()
        # Every bin of a spectrum needs every frame.
        start = time.monotonic()
        status = self.chunk("power", 3)
        waited = time.monotonic() - start
        if status != 503 or not 20 < waited < 60:
            self.wrong.append(f"a request for a missing chunk returned {status} after {waited:.1f} s")
        failing.join()
        if any(key == "zarr: right" for key in self.seen):
            self.wrong.append("a read succeeded without the held frames, so that the test has no effect")
        self.mark("seen")
        while not self.marked("over"):
            time.sleep(0.01)
        retrying.join()
        for name in NAMES:
            self.zarr_or_error(name)
        self.chunk("power", 3)
        for what in ("zarr", "tensorstore", "chunk"):
            if not self.seen[f"{what}: right"]:
                self.wrong.append(f"{what} never succeeded")

    def reads(self):
        count, last = 0, False
        while not last:
            last = self.marked("over")
            for name in NAMES:
                self.zarr_or_error(name)
                for t in range(0, len(self.expected[name]), 5):
                    self.chunk(name, t)
            count += 1
            self.mark("ready")
            if any(not key.endswith(": right") for key in self.seen):
                self.mark("seen")


def main():
    how, url, marks = sys.argv[1:]
    reader = Reader(url, marks)
    {"waits": reader.waits, "reads": reader.reads}[how]()
    print("\n".join(sorted(set(reader.wrong))) if reader.wrong else json.dumps(reader.seen))
    return 1 if reader.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
