"""Google's interface of objects in XML in front of an S3 server, that of the environment's AWS_…: a token comes in, and a
signature goes out.

    gcs_gateway.py PORT TOKEN

A removal of what is not there is 404 to Google and nothing to S3; the rest are the same requests and the same answers.
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
ASKED = ("content-type", "range", "if-match", "if-none-match")
ANSWERED = ("content-type", "content-length", "content-range", "accept-ranges", "etag", "last-modified")


class Gateway:
    def __init__(self, token):
        self.token = f"Bearer {token}"
        self.store = os.environ["AWS_ENDPOINT_URL"]
        keys = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        self.signer = S3SigV4Auth(keys, "s3", os.environ["AWS_REGION"])

    async def run(self, app):
        async with ClientSession(auto_decompress=False) as self.client:
            yield

    async def pass_on(self, request):
        if request.headers.get("Authorization") != self.token:
            return web.Response(status=401, text=DENIED, content_type="application/xml")
        body = await request.read()
        if request.method == "DELETE" and not request.query:
            there, _, _ = await self.ask("HEAD", request, b"")
            if there == 404:
                return web.Response(status=404, text=ABSENT, content_type="application/xml")
        status, headers, data = await self.ask(request.method, request, body)
        return web.Response(status=status, headers=headers, body=None if request.method == "HEAD" else data)

    async def ask(self, method, request, body):
        path, _, query = request.raw_path.partition("?")
        # What is signed is the canonical form, so that is what is sent.
        query = urlencode(sorted(parse_qsl(query, keep_blank_values=True)), quote_via=quote)
        url = self.store + quote(unquote(path)) + (f"?{query}" if query else "")
        signed = AWSRequest(method, url, data=body)
        self.signer.add_auth(signed)
        headers = {name: value for name, value in request.headers.items() if name.lower() in ASKED} | dict(signed.headers)
        async with self.client.request(method, URL(url, encoded=True), headers=headers, data=body) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() in ANSWERED}
            return answer.status, kept, await answer.read()


def main(port, token):
    gateway = Gateway(token)
    app = web.Application(client_max_size=1 << 30)
    app.cleanup_ctx.append(gateway.run)
    app.router.add_route("*", "/{path:.*}", gateway.pass_on)
    web.run_app(app, host="127.0.0.1", port=int(port), print=None, access_log=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
