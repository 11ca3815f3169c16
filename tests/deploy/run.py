"""Checks what people deploy: the image, the Compose file, nginx, the systemd unit, alerts and dashboards.

Nothing here runs containers. The Compose file is read by the library of Docker Compose, Prometheus' own tool checks the
rules and tests when they fire, and then the real server, Prometheus and the exporter of the host run on free ports while
ffmpeg publishes: every panel must show something, and every metric that a panel or an alert names must be there.

    python run.py path/to/millrace path/to/folder-of-prometheus path/to/hadolint
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import checks

PATIENCE_S = 60
PICTURE = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30", "-f", "lavfi", "-i", "sine=frequency=440"]
ENCODE = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30", "-pix_fmt", "yuv420p", "-c:a", "aac"]


class Processes:
    """Started here, and ended here in the opposite order."""

    def __init__(self, folder):
        self.folder = folder
        self.all = []

    def start(self, name, command, **env):
        log = open(os.path.join(self.folder, f"{name}.log"), "w+b")
        environment = {"PATH": os.environ["PATH"], "HOME": self.folder, **env}
        process = subprocess.Popen(command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.all.append((name, process, log))

    def stop(self):
        for _, process, _ in reversed(self.all):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    def dead(self):
        return [name for name, process, _ in self.all if process.poll() is not None]

    def logs(self):
        for name, _, log in self.all:
            log.seek(0)
            print(f"--- {name}\n{log.read().decode(errors='replace')[-4000:]}")


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def until(what, ask):
    """Asks until there is an answer; the last one is told when time is up."""
    end = time.monotonic() + PATIENCE_S
    last = None
    while time.monotonic() < end:
        try:
            done, last = ask()
            if done:
                return last
        except (urllib.error.URLError, OSError) as error:
            last = error
        time.sleep(0.2)
    raise SystemExit(f"deploy: waited {PATIENCE_S} s for {what}: {last}")


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def answers(url):
    return until(url, lambda: (True, fetch(url)))


def query(prometheus, expression):
    asked = urllib.parse.urlencode({"query": expression})
    try:
        return json.loads(fetch(f"{prometheus}/api/v1/query?{asked}"))["data"]["result"]
    except urllib.error.HTTPError as error:
        raise SystemExit(f"deploy: {expression}\n{error.read().decode()}") from error


def configuration(millrace, host, folder):
    """Ours, with the addresses of this run and without its patience."""
    source = checks.read(checks.COMPOSE, "prometheus", "prometheus.yml")
    rules = os.path.abspath(os.path.join(checks.COMPOSE, "prometheus", "rules", "*.yml"))
    for ours, here in [
        ("millrace:9464", millrace), ("node-exporter:9100", host), ("rules/*.yml", json.dumps(rules)),
        ("scrape_interval: 10s", "scrape_interval: 2s"), ("scrape_timeout: 5s", "scrape_timeout: 2s"),
        ("evaluation_interval: 15s", "evaluation_interval: 1s"),
    ]:
        if ours not in source:
            checks.wrong(f"prometheus.yml has no {ours}")
        source = source.replace(ours, here)
    path = os.path.join(folder, "prometheus.yml")
    with open(path, "w") as file:
        file.write(source)
    return path


def automatic_https(folder):
    """A certificate that an ACME server gave, so that there is something to measure; and the settings for it."""
    name, kept = "live.millrace.test", os.path.join(folder, "acme", "127.0.0.1-9-directory")
    os.makedirs(kept)
    pem = os.path.join(kept, "certificate.pem")
    checks.quiet(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                  "-days", "90", "-subj", "/CN=test", "-addext", f"subjectAltName=DNS:{name}",
                  "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", f"{pem}.key", "-out", f"{pem}.chain"])
    with open(pem, "w") as whole:
        for part in ["key", "chain"]:
            whole.write(checks.read(f"{pem}.{part}"))
            os.remove(f"{pem}.{part}")
    return {"MILLRACE_ACME_DOMAINS": name, "MILLRACE_ACME_DIRECTORY": "https://127.0.0.1:9/directory"}


def live(binary, tools, expressions, named, folder):
    """Runs it all, and asks Prometheus what each panel asks."""
    http, https, rtmp, metrics, host, own = (free_port() for _ in range(6))
    started = Processes(folder)
    try:
        started.start("millrace", [binary, "serve"], MILLRACE_DATA_DIR=folder, MILLRACE_PUBLISH_AUTH="open",
                      MILLRACE_HTTP_ADDR=f"127.0.0.1:{http}", MILLRACE_RTMP_ADDR=f"127.0.0.1:{rtmp}",
                      MILLRACE_METRICS_ADDR=f"127.0.0.1:{metrics}", MILLRACE_HTTPS_ADDR=f"127.0.0.1:{https}",
                      **automatic_https(folder))
        answers(f"http://127.0.0.1:{http}/readyz")
        publish = ["ffmpeg", "-v", "error", "-re", *PICTURE, *ENCODE, "-f", "flv"]
        started.start("ffmpeg", [*publish, f"rtmp://127.0.0.1:{rtmp}/live/studio"])
        started.start("exporter", [f"{tools}/usr/bin/prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{host}"])
        config = configuration(f"127.0.0.1:{metrics}", f"127.0.0.1:{host}", folder)
        started.start("prometheus", [f"{tools}/usr/bin/prometheus", f"--config.file={config}",
                                     f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address=127.0.0.1:{own}"])
        # Somebody is turned away, so that the counter of that begins: the name of a channel cannot be that short.
        refused = subprocess.run([*publish, f"rtmp://127.0.0.1:{rtmp}/live/no"], capture_output=True, timeout=PATIENCE_S)
        if refused.returncode == 0:
            checks.wrong("a publisher with a bad key was not turned away")
        prometheus = f"http://127.0.0.1:{own}"
        answers(f"{prometheus}/-/ready")
        master = answers(f"http://127.0.0.1:{http}/live/studio/index.m3u8")
        playlist = re.search(r"^[^#\s].*$", master, re.M)[0]

        def panels():
            fetch(f"http://127.0.0.1:{http}/live/studio/{playlist}")
            empty = [where for where, expression in expressions.items() if not query(prometheus, expression)]
            return not empty, f"panels that show nothing: {empty}"

        until("every panel", panels)
        shown = {name for expression in expressions.values() for name in checks.METRIC.findall(expression)}

        # A scrape that was late on a busy machine leaves a hole.
        def known():
            absent = sorted(name for name in shown | named if not query(prometheus, name))
            return not absent, f"metrics that nobody has: {absent}"

        until("every metric", known)
        undescribed = undocumented(fetch(f"http://127.0.0.1:{metrics}/metrics"))
        if undescribed:
            checks.wrong(f"docs/operations.md says nothing of {undescribed}")
        rules = json.loads(fetch(f"{prometheus}/api/v1/rules"))["data"]["groups"]
        sick = [rule["name"] for group in rules for rule in group["rules"] if rule["health"] == "err"]
        if sick:
            checks.wrong(f"rules that cannot be evaluated: {sick}")
        dead = started.dead()
        if dead:
            checks.wrong(f"ended by themselves: {dead}")
        return sum(len(group["rules"]) for group in rules)
    except SystemExit:
        started.logs()
        raise
    finally:
        started.stop()


def undocumented(exposed):
    """Metrics of the server that docs/operations.md does not name."""
    names = set(re.findall(r"^# TYPE (\w+) ", exposed, re.M))
    text = checks.read("docs", "operations.md")
    return sorted(name for name in names if f"`{name}" not in text)


def main():
    binary, tools, hadolint = (os.path.abspath(path) for path in sys.argv[1:])
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    with tempfile.TemporaryDirectory(prefix="millrace-deploy-") as folder:
        project = checks.compose()
        if project is not None:
            checks.settings(binary, project["services"]["millrace"], folder)
            checks.edge(project["services"]["edge"], folder)
        objects = checks.kubernetes()
        checks.dockerfile(hadolint)
        checks.unit(binary, folder)
        named = checks.alerts()
        expressions = checks.prometheus(f"{tools}/usr/bin/promtool")
        rules = live(binary, tools, expressions, named, folder)
    print(f"deploy: good. {len(expressions)} expressions of dashboards, {rules} alerts, {objects} objects of Kubernetes")


if __name__ == "__main__":
    main()
