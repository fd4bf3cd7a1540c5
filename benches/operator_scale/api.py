"""A client of the API server, and of other servers that answer with JSON."""

import http.client
import json
import ssl
import time
import urllib.request


def wait_for(what, condition, seconds, pause=0.1):
    """The first true result of `condition`, which may raise OSError while a server starts."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            result = condition()
            if result:
                return result
        except (OSError, http.client.HTTPException) as error:
            result = error
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not after {seconds} s ({result})")
        time.sleep(pause)


def get_text(url):
    with urllib.request.urlopen(url, timeout=30) as response:
        return response.read().decode()


def get_json(url):
    return json.loads(get_text(url))


class Api:
    """Requests to the API server over one connection."""

    def __init__(self, host, port, authority, token):
        self.token = token
        self.connection = http.client.HTTPSConnection(
            host, port, context=ssl.create_default_context(cafile=authority), timeout=60
        )

    def request(self, method, path, body=None):
        """Sends a body as JSON, or as YAML if it is a text."""
        kind = "yaml" if isinstance(body, str) else "json"
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": f"application/{kind}"}
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        try:
            self.connection.request(method, path, text and text.encode(), headers)
            response = self.connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            raise
        if response.status >= 300:
            raise OSError(f"{method} {path}: HTTP {response.status}: {text[:500].decode(errors='replace')}")
        return json.loads(text) if text.startswith(b"{") else text

    def get(self, path):
        return self.request("GET", path)

    def create(self, path, body):
        return self.request("POST", path, body)

    def delete(self, path):
        """Deletes an object at once, as the loss of its node does."""
        return self.request("DELETE", path, {"gracePeriodSeconds": 0})
