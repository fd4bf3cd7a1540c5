"""Reads a served job while a part of it is lost, held back, or failing: what comes is right, or comes with an error.

    partial.py waits URL MARKS     a part is held back: it is waited for, then 503; once it is there again, all is right
    partial.py reads URL MARKS     reads over and over, whatever happens meanwhile

It reads everything once before anything is lost. Then it makes the file MARKS/ready, and once it has seen what it was
started for, MARKS/seen. It ends after the next reading that begins after the file MARKS/over was made by somebody else.
Prints what it has seen as JSON and exits 0, or what was wrong and exits 1. Zeros in place of values are wrong.
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

LIMIT = 150  # seconds that all may take
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
                sys.exit(f"{name}[{empty[0]}] is zero to begin with: a test of zeros needs something else")

    def mark(self, name):
        (self.marks / name).touch()

    def marked(self, name):
        if time.monotonic() > self.deadline:
            sys.exit(f"waited {LIMIT} s for {name}; seen {dict(self.seen)}, wrong {self.wrong}")
        return (self.marks / name).exists()

    def check(self, what, found, expected):
        if np.array_equal(found, expected):
            self.seen[f"{what}: right"] += 1
        else:
            zeros = " of which zero" if not np.asarray(found)[found != expected].any() else ""
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
        """It asks again by itself, as long as it is told to."""
        import tensorstore as ts

        base = {"driver": "http", "base_url": f"http://{self.host}", "path": f"/t/{self.token}/arrays.zarr/{name}@1,-1,-1/"}
        retries = {"http_request_retries": {"max_retries": 1000, "initial_delay": "100ms", "max_delay": "1s"}}
        store = ts.open({"driver": "zarr3", "kvstore": base, "context": retries, "recheck_cached_data": False}).result()
        self.check("tensorstore", store.read().result(), self.expected[name])

    def chunk(self, name, t):
        """The status of one chunk, 0 where the connection ends."""
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

    # ------------------------------------------------------------ what there is to see

    def waits(self):
        self.mark("ready")
        while not self.marked("held"):
            time.sleep(0.01)  # nobody tells of files
        patient = threading.Thread(target=self.tensorstore, args=("power",))
        hasty = threading.Thread(target=self.zarr_or_error, args=("power",))
        patient.start(), hasty.start()
        # Every bin of a spectrum needs every frame.
        asked = time.monotonic()
        status = self.chunk("power", 3)
        waited = time.monotonic() - asked
        if status != 503 or not 20 < waited < 60:
            self.wrong.append(f"a chunk that is not there was answered {status} after {waited:.1f} s")
        hasty.join()
        if any(key == "zarr: right" for key in self.seen):
            self.wrong.append("the held frames were not needed: the test tests nothing")
        self.mark("seen")
        while not self.marked("over"):
            time.sleep(0.01)
        patient.join()
        for name in NAMES:
            self.zarr_or_error(name)
        self.chunk("power", 3)
        for what in ("zarr", "tensorstore", "chunk"):
            if not self.seen[f"{what}: right"]:
                self.wrong.append(f"{what} did not get it in the end")

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
