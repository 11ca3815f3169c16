#!/usr/bin/env python3
"""Makes a site with an older Millrace and packs its data directory: tests/upgrade/make.py BINARY OUT.tar.gz

Run it with the binary of a release (or of a commit) once, and commit what comes out. README.md says what is in it.
"""

import json
import os
import re
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zlib
from http.cookiejar import CookieJar

PASSWORD = "heron-violet-anchor-3"


def picture():
    """A red square of 16 by 16, as PNG."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = (b"\0" + b"\xff\0\0" * 16) * 16
    head = struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Person:
    """A browser of one person."""

    def __init__(self, site):
        self.site, self.jar = site, CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def ask(self, method, path, body=None, kind="application/json"):
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        csrf = next((cookie.value for cookie in self.jar if cookie.name.endswith("millrace_csrf")), "")
        headers = {"content-type": kind, "origin": self.site, "x-csrf-token": csrf}
        request = urllib.request.Request(self.site + path, data, headers, method=method)
        with self.opener.open(request, timeout=20) as answer:
            text = answer.read()
        return json.loads(text) if text else None


def main(binary, out):
    http = free_port()
    site = f"http://127.0.0.1:{http}"
    with tempfile.TemporaryDirectory() as data:
        environment = {
            "MILLRACE_DATA_DIR": data,
            "MILLRACE_HTTP_ADDR": f"127.0.0.1:{http}",
            "MILLRACE_RTMP_ADDR": f"127.0.0.1:{free_port()}",
            "MILLRACE_METRICS_ADDR": f"127.0.0.1:{free_port()}",
        }
        server = subprocess.Popen([os.path.abspath(binary), "serve"], cwd=data, env=environment,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            token = next(filter(None, (re.search(r"/setup#(\S+)", line) for line in server.stdout))).group(1)
            root, ada = Person(site), Person(site)
            root.ask("POST", "/api/v1/setup", {"token": token, "name": "root", "password": PASSWORD})
            root.ask("POST", "/api/v1/channels", {"name": "studio"})
            root.ask("PATCH", "/api/v1/channels/studio", {"title": "Before the upgrade", "language": "en"})
            key = root.ask("POST", "/api/v1/channels/studio/keys", {"name": "OBS"})["secret"]
            avatar = root.ask("PUT", "/api/v1/me/avatar", picture(), "image/png")["avatar_url"]
            ada.ask("POST", "/api/v1/auth/register", {"name": "ada", "password": PASSWORD})
            ada.ask("PUT", "/api/v1/channels/studio/follow")
            with urllib.request.urlopen(site + "/version", timeout=20) as answer:
                version = json.load(answer)
        finally:
            server.terminate()
            server.wait(60)
        about = {**version, "key": key, "avatar": avatar, "password": PASSWORD}
        with open(os.path.join(data, "about.json"), "w", encoding="utf-8") as file:
            json.dump(about, file, indent=2)
        with tarfile.open(out, "w:gz", compresslevel=9) as archive:
            for name in sorted(os.listdir(data)):
                archive.add(os.path.join(data, name), name)
    print(json.dumps(about, indent=2))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
