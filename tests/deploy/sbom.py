"""Checks a bill of materials against the schema of CycloneDX, and that it is one of this program.

    python sbom.py path/to/millrace.cdx.json
"""

import json
import os
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
# What everybody who asks for one looks for: the C libraries that are in the program, its TLS, the player.
EXPECTED = ["pkg:cargo/rustls@", "pkg:cargo/aws-lc-sys@", "pkg:cargo/libsqlite3-sys@", "pkg:generic/librdkafka@",
            "pkg:generic/zstd@", "pkg:npm/hls.js@", "pkg:cargo/ffmpeg-sys-next@", "pkg:npm/react@", "pkg:cargo/millrace-http@"]
# What only builds or tests it.
UNEXPECTED = ["pkg:cargo/proptest@", "pkg:cargo/serde_derive@", "pkg:npm/vite@", "pkg:npm/vitest@"]


def environment():
    """A Python with the validator and the schemas, made once outside the clone."""
    wanted = os.path.join(os.path.dirname(os.path.abspath(__file__)), "requirements.txt")
    with open(wanted, "rb") as file:
        name = __import__("hashlib").sha256(file.read()).hexdigest()[:12]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    venv = os.path.join(cache, "millrace", f"venv-sbom-{name}")
    ready = os.path.join(venv, "ready")
    if not os.path.exists(ready):
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        subprocess.run([f"{venv}/bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", wanted],
                       check=True)
        open(ready, "w").close()
    return f"{venv}/bin/python"


def check(path):
    import cyclonedx.schema
    import jsonschema_rs

    folder = os.path.join(os.path.dirname(cyclonedx.schema.__file__), "_res")

    def schema(uri):
        name = uri.rpartition("/")[2].replace(".SNAPSHOT", "").replace(".schema.json", ".SNAPSHOT.schema.json")
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return json.load(file)

    with open(path, encoding="utf-8") as file:
        bom = json.load(file)
    validator = jsonschema_rs.validator_for(schema("bom-1.6.schema.json"), retriever=schema, validate_formats=True)
    problems = [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(bom)]
    known = {one["bom-ref"] for one in bom["components"]} | {bom["metadata"]["component"]["bom-ref"]}
    problems += [f"{start} is missing" for start in EXPECTED if not any(one.startswith(start) for one in known)]
    problems += [f"{one} is not in the program" for one in known if one.startswith(tuple(UNEXPECTED))]
    for one in bom["components"]:
        # Crates of this tree, and those of vendor/.
        is_ours = one["bom-ref"].startswith(("pkg:cargo/millrace-", "pkg:cargo/rdkafka-sys@"))
        if not one["bom-ref"].startswith("pkg:generic/") and not one.get("licenses"):
            problems.append(f"{one['bom-ref']} has no licence")
        if not is_ours and not one["bom-ref"].startswith("pkg:generic/") and not one.get("hashes"):
            problems.append(f"{one['bom-ref']} has no hash")
    reached, waiting = set(), [bom["metadata"]["component"]["bom-ref"]]
    needs = {one["ref"]: one["dependsOn"] for one in bom["dependencies"]}
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            waiting += needs[one]
    problems += [f"nothing needs {one}" for one in sorted(known - reached)]
    if problems:
        sys.exit("sbom: " + "\n  ".join(problems[:20]))
    print(f"sbom: good. {len(known)} components")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--inside":
        check(sys.argv[2])
    else:
        sys.exit(subprocess.run([environment(), os.path.abspath(__file__), "--inside", *sys.argv[1:]]).returncode)
