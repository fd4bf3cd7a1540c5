"""The XML API of Google Cloud Storage in front of the S3 server of the variables AWS_…. The gateway checks a bearer token, and
signs the request for S3.

    gcs_gateway.py PORT TOKEN

The deletion of a missing object is 404 in Google's API and succeeds in S3. All other requests and responses are equal.
"""

import os
import sys
from urllib.parse import parse_qsl, quote, unquote, urlencode

from aiohttp import ClientSession, web
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from yarl import URL

DENIED = '<?xml version="1.0"?><Error><Code>AuthenticationRequired</Code><Message>Authentication required.</Message></Error>'
ABSENT = '<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>'
REQUEST_HEADERS = ("content-type", "range", "if-match", "if-none-match")
RESPONSE_HEADERS = ("content-type", "content-length", "content-range", "accept-ranges", "etag", "last-modified")


class Gateway:
    def __init__(self, token):
        self.token = f"Bearer {token}"
        self.store = os.environ["AWS_ENDPOINT_URL"]
        keys = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        self.signer = S3SigV4Auth(keys, "s3", os.environ["AWS_REGION"])

    async def run(self, app):
        async with ClientSession(auto_decompress=False) as self.client:
            yield

    async def handle(self, request):
        if request.headers.get("Authorization") != self.token:
            return web.Response(status=401, text=DENIED, content_type="application/xml")
        body = await request.read()
        if request.method == "DELETE" and not request.query:
            found, _, _ = await self.forward("HEAD", request, b"")
            if found == 404:
                return web.Response(status=404, text=ABSENT, content_type="application/xml")
        status, headers, data = await self.forward(request.method, request, body)
        return web.Response(status=status, headers=headers, body=None if request.method == "HEAD" else data)

    async def forward(self, method, request, body):
        path, _, query = request.raw_path.partition("?")
        # The signature covers the canonical query, so that the request must contain the same form.
        query = urlencode(sorted(parse_qsl(query, keep_blank_values=True)), quote_via=quote)
        url = self.store + quote(unquote(path)) + (f"?{query}" if query else "")
        signed = AWSRequest(method, url, data=body)
        self.signer.add_auth(signed)
        headers = {name: value for name, value in request.headers.items() if name.lower() in REQUEST_HEADERS} | dict(signed.headers)
        async with self.client.request(method, URL(url, encoded=True), headers=headers, data=body) as response:
            kept = {name: value for name, value in response.headers.items() if name.lower() in RESPONSE_HEADERS}
            return response.status, kept, await response.read()


def main(port, token):
    gateway = Gateway(token)
    app = web.Application(client_max_size=1 << 30)
    app.cleanup_ctx.append(gateway.run)
    app.router.add_route("*", "/{path:.*}", gateway.handle)
    web.run_app(app, host="127.0.0.1", port=int(port), print=None, access_log=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
