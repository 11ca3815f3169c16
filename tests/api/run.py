"""Asks a real server everything that its OpenAPI description allows, and much that it does not.

Starts the binary with an empty data folder, makes an admin and a viewer, and runs schemathesis as each of them and as
nobody. Fails on a server error, an answer that is not described, a body or header that is not as described, bad data
that is taken, and methods that are not there. The seed is fixed: the same code gets the same requests.

    python run.py path/to/millrace path/to/st
"""

import http.cookiejar
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

SEED = "7"
# Requests per operation and kind, beside one per edge of every parameter and field.
EXAMPLES = "2"
PATIENCE_S = 300
PASSWORD = "plover-quartz-lantern-7"
CHECKS = ",".join([
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
])
# They end the session that asks; the tests of the API have them.
NOT_SIGNED_IN = ["signOut", "endAllSessions"]
UNLIMITED = {
    f"MILLRACE_ACCOUNTS__LIMITS__{name}__BURST": "0"
    for name in ["LOGIN_ADDRESS", "LOGIN_ACCOUNT", "CODE_ACCOUNT", "REGISTER_ADDRESS", "LINK_ADDRESS", "MAIL_ACCOUNT"]
}


class Server:
    """The binary on free ports, with its data in `folder`."""

    def __init__(self, binary, folder):
        settings = {
            "MILLRACE_DATA_DIR": folder,
            "MILLRACE_HTTP_ADDR": "127.0.0.1:0",
            "MILLRACE_RTMP_ADDR": "127.0.0.1:0",
            "MILLRACE_METRICS_ADDR": "127.0.0.1:0",
            "MILLRACE_LOG_FORMAT": "json",
            **UNLIMITED,
        }
        self.log = open(os.path.join(folder, "log"), "w+b")
        command = [binary, "serve"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=folder, env=settings, stdout=pipe, stderr=self.log, text=True)
        self.url = self.setup = None
        self.told = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        if not self.told.wait(30):
            self.stop()
            raise SystemExit("the server did not print its set-up link")
        until = time.monotonic() + 30
        while not self._ready():
            if time.monotonic() > until:
                self.stop()
                raise SystemExit("the server did not become ready")
            time.sleep(0.05)

    def _read(self):
        for line in self.process.stdout:
            found = re.search(r"(https?://[^\s/]+)/setup#(\S+)", line)
            if found:
                self.url, self.setup = found.groups()
                self.told.set()

    def _ready(self):
        try:
            return urllib.request.urlopen(f"{self.url}/readyz", timeout=5).status == 200
        except (urllib.error.URLError, OSError):
            return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def print_log(self):
        self.log.seek(0)
        sys.stdout.write(self.log.read().decode(errors="replace")[-20_000:])


class Browser:
    """Somebody with cookies."""

    def __init__(self, url):
        self.url = url
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def cookie(self, name):
        return next((cookie.value for cookie in self.jar if cookie.name == name), "")

    def send(self, method, path, body=None):
        headers = {"Origin": self.url, "X-CSRF-Token": self.cookie("millrace_csrf")}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with self.opener.open(request, timeout=30) as answer:
            return answer.read()


def person(server, name, path="/api/v1/auth/register", **more):
    browser = Browser(server.url)
    browser.send("POST", path, {"name": name, "password": PASSWORD, **more})
    return browser


def populate(server):
    """People and things under the names of the examples; returns who asks."""
    admin = person(server, "site_owner", "/api/v1/setup", token=server.setup)
    viewer = person(server, "somebody_else")
    ada, bob = person(server, "ada"), person(server, "bob")
    ada.send("POST", "/api/v1/channels", {"name": "studio"})
    ada.send("PUT", "/api/v1/channels/studio/moderators/bob")
    ada.send("POST", "/api/v1/channels/studio/keys", {"name": "OBS at home"})
    bob.send("PUT", "/api/v1/channels/studio/follow")
    return {"an admin": admin, "a viewer": viewer, "nobody": None}


def description(server, folder):
    """The description without who may: each run is somebody, and who may do what has a test of its own."""
    with urllib.request.urlopen(f"{server.url}/api/openapi.json", timeout=10) as answer:
        document = json.load(answer)
    for path in document["paths"].values():
        for operation in path.values():
            operation.pop("security", None)
    document["components"].pop("securitySchemes")
    path = os.path.join(folder, "openapi.json")
    with open(path, "w") as file:
        json.dump(document, file)
    return path


def schemathesis(st, server, folder, path, who, browser, extra):
    command = [
        st, "run", path, "--url", server.url, "--checks", CHECKS, "--phases", "examples,coverage,fuzzing",
        "--max-examples", EXAMPLES, "--seed", SEED, "--workers", "1", "--generation-database", "none",
        "--continue-on-failure", "--warnings", "off", "--suppress-health-check", "all", "--request-timeout", "20",
    ]
    if browser is None:
        # Nobody: the origin of the site, but nobody's cookies.
        command += ["-H", f"Origin: {server.url}"]
    else:
        command += ["-H", f"Authorization: Bearer {browser.cookie('millrace_access')}"]
        for operation in NOT_SIGNED_IN:
            command += ["--exclude-operation-id", operation]
    began = time.monotonic()
    env = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(command + extra, capture_output=True, text=True, timeout=PATIENCE_S, env=env, cwd=folder)
    seconds = time.monotonic() - began
    last = [line for line in done.stdout.splitlines() if "generated" in line or "passed" in line][-1:]
    print(f"as {who}: {'good' if done.returncode == 0 else 'FAILED'} in {seconds:.0f} s {' '.join(last).strip()}", flush=True)
    if done.returncode != 0:
        print(done.stdout, done.stderr)
    return done.returncode == 0


def main():
    binary, st, *extra = sys.argv[1:]
    st = os.path.abspath(st)
    with tempfile.TemporaryDirectory(prefix="millrace-api-") as folder:
        server = Server(os.path.abspath(binary), folder)
        try:
            path = description(server, folder)
            people = populate(server).items()
            good = [schemathesis(st, server, folder, path, who, browser, extra) for who, browser in people]
            alive = server.process.poll() is None
            if not all(good) or not alive:
                server.print_log()
                raise SystemExit("the API does not answer as it is described" if alive else "the server died")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
