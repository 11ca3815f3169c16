"""Checks what `make release` made, and runs the server from the unpacked package.

    python release.py path/to/folder
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request

import checks
import run

# What the image has beside the program.
LIBRARIES = ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "libssl.so.3", "libcrypto.so.3", "ld-linux-x86-64.so.2"]


def one(folder, pattern):
    found = glob.glob(os.path.join(folder, pattern))
    if len(found) != 1:
        checks.wrong(f"{pattern}: {found or 'missing'}")
    return found[0]


def package(folder, work):
    """Unpacks it without installing; returns the tree."""
    deb = one(folder, "millrace_*.deb")
    if shutil.which("lintian"):
        checks.quiet(["lintian", "--fail-on", "error,warning", "--allow-root", deb])
    else:
        print("deploy: lintian is missing; the package was NOT checked by it")
    tree = os.path.join(work, "deb")
    checks.quiet(["dpkg-deb", "-x", deb, tree])
    checks.quiet(["dpkg-deb", "-e", deb, os.path.join(tree, "DEBIAN")])
    checks.quiet(["md5sum", "--quiet", "--check", "DEBIAN/md5sums"], cwd=tree)
    for script in ["postinst", "prerm", "postrm"]:
        checks.quiet(["sh", "-n", os.path.join(tree, "DEBIAN", script)])
    if shutil.which("systemd-sysusers"):
        checks.quiet(["systemd-sysusers", "--dry-run", os.path.join(tree, "usr/lib/sysusers.d/millrace.conf")])
    return tree


def same_program(folder, tree, work):
    """The archive holds the program of the package, with what is needed to debug it in its own archive."""
    for pattern in ["*-debug.tar.gz", f"millrace-*-linux-{architecture()}.tar.gz"]:
        checks.quiet(["tar", "-xzf", one(folder, pattern), "-C", work])
    program = os.path.join(tree, "usr/bin/millrace")
    other = one(work, "millrace-*[!g]/millrace")
    debug = one(work, "millrace-*-debug/millrace.debug")
    checks.quiet(["cmp", program, other])
    ids = {re.search(r"Build ID: (\w+)", checks.quiet(["readelf", "-n", path]))[1] for path in [program, debug]}
    if len(ids) != 1:
        checks.wrong("the debug information is of another program")
    return program


def transcoder(folder, work):
    """Its package unpacks, names the libraries that it needs, and runs where they are and nothing else is."""
    deb = one(folder, "millrace-transcoder_*.deb")
    if shutil.which("lintian"):
        checks.quiet(["lintian", "--fail-on", "error,warning", "--allow-root", deb])
    tree = os.path.join(work, "deb-transcoder")
    checks.quiet(["dpkg-deb", "-x", deb, tree])
    checks.quiet(["dpkg-deb", "-e", deb, os.path.join(tree, "DEBIAN")])
    checks.quiet(["md5sum", "--quiet", "--check", "DEBIAN/md5sums"], cwd=tree)
    if not re.search(r"^Depends: .*libavcodec\d", checks.read(tree, "DEBIAN", "control"), re.M):
        checks.wrong("the package of the transcoder depends on no libavcodec")
    program = os.path.join(tree, "usr/bin/millrace-transcoder")
    checks.quiet(["cmp", program, one(work, "millrace-*[!g]/millrace-transcoder")])
    if os.geteuid() != 0:
        return
    # As the image has them: scripts/libraries.sh, and the libraries of the base.
    root = os.path.join(work, "root-transcoder")
    checks.quiet(["scripts/libraries.sh", program, f"{root}/usr/lib"])
    for path in re.findall(r"(/\S+) \(0x", checks.quiet(["ldd", program])):
        place = f"{root}{path}" if "/ld-linux" in path else one(f"{root}/usr/lib", "*") + "/" + os.path.basename(path)
        if not os.path.exists(place):
            os.makedirs(os.path.dirname(place), exist_ok=True)
            shutil.copy(path, place)
    shutil.copy(program, f"{root}/millrace-transcoder")
    for arguments in ["--version"], ["ladder"]:
        checks.quiet(["chroot", "--userspec=65532:65532", root, "/millrace-transcoder", *arguments], stdin=subprocess.DEVNULL)


def architecture():
    return checks.quiet(["dpkg", "--print-architecture"]).strip()


def alone(program, work):
    """It runs where only the libraries of the image are. Only root may change the root."""
    if os.geteuid() != 0:
        print("deploy: not root; that the program needs nothing but the image's libraries was NOT checked")
        return
    root = os.path.join(work, "root")
    paths = dict(re.findall(r"^\s*(\S+) => (\S+)", checks.quiet(["ldd", program]), re.M))
    os.makedirs(f"{root}/lib64")
    os.makedirs(f"{root}/tmp")
    for name in LIBRARIES:
        if not name.startswith("ld-linux") and name not in paths:
            continue
        shutil.copy(paths.get(name, f"/lib64/{name}"), f"{root}/lib64/{name}")
    shutil.copy(program, f"{root}/millrace")
    user = ["chroot", "--userspec=65532:65532", root, "/millrace"]
    environment = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": "/lib64"}
    checks.quiet([*user, "config", "check"], env=environment)


def serves(program, tree, work):
    """With the package's own configuration, but for where it writes and listens."""
    http, rtmp, metrics = (run.free_port() for _ in range(3))
    settings = {"MILLRACE_DATA_DIR": os.path.join(work, "data"), "MILLRACE_HTTP_ADDR": f"127.0.0.1:{http}",
                "MILLRACE_RTMP_ADDR": f"127.0.0.1:{rtmp}", "MILLRACE_METRICS_ADDR": f"127.0.0.1:{metrics}"}
    config = ["--config", os.path.join(tree, "etc/millrace/millrace.toml")]
    started = run.Processes(work)
    try:
        started.start("packaged", [program, "serve", *config], **settings)
        run.answers(f"http://127.0.0.1:{http}/readyz")
        checks.quiet([program, "healthcheck", *config], env=settings, cwd=work)
        with urllib.request.urlopen(f"http://127.0.0.1:{http}/", timeout=10) as page:
            if b"<script" not in page.read():
                checks.wrong("the packaged program has no web app in it")
    finally:
        started.stop()


def main():
    folder = os.path.abspath(sys.argv[1])
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    subprocess.run(["sha256sum", "--quiet", "--check", "SHA256SUMS"], cwd=folder, check=True)
    listed = {line.split()[1] for line in checks.read(folder, "SHA256SUMS").splitlines()}
    if listed != set(os.listdir(folder)) - {"SHA256SUMS"}:
        checks.wrong(f"SHA256SUMS lists {sorted(listed)}")
    with tempfile.TemporaryDirectory(prefix="millrace-release-") as work:
        tree = package(folder, work)
        program = same_program(folder, tree, work)
        checks.quiet([sys.executable, "tests/deploy/sbom.py", one(folder, "*.cdx.json")])
        alone(program, work)
        transcoder(folder, work)
        serves(program, tree, work)
    print(f"release: good. {', '.join(sorted(listed))}")


if __name__ == "__main__":
    main()
