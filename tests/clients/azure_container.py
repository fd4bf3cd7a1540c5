"""Creates a container in the store of the variables AZURE_STORAGE_…. ArrayJob itself never creates containers.

    azure_container.py NAME
"""

import base64
import email.utils
import hashlib
import hmac
import os
import sys
import urllib.parse
import urllib.request

VERSION = "2023-11-03"


def main(name):
    endpoint, account, key = (os.environ[f"AZURE_STORAGE_{what}"] for what in ("ENDPOINT", "ACCOUNT_NAME", "ACCOUNT_KEY"))
    date = email.utils.formatdate(usegmt=True)
    # The string to sign: the method, empty lines for eleven absent headers, the present headers and the resource. Source:
    # https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
    headers = f"x-ms-date:{date}\nx-ms-version:{VERSION}\n"
    resource = f"/{account}{urllib.parse.urlsplit(endpoint).path}/{name}\nrestype:container"
    signed = "PUT" + "\n" * 12 + headers + resource
    signature = base64.b64encode(hmac.digest(base64.b64decode(key), signed.encode(), hashlib.sha256)).decode()
    headers = {"x-ms-date": date, "x-ms-version": VERSION, "Authorization": f"SharedKey {account}:{signature}"}
    request = urllib.request.Request(f"{endpoint}/{name}?restype=container", method="PUT", headers=headers)
    with urllib.request.urlopen(request, timeout=30):
        print("created")


if __name__ == "__main__":
    main(*sys.argv[1:])
