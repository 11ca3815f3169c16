#!/usr/bin/env python3
"""Writes the bill of materials of the program, and of the transcoder beside it, as CycloneDX 1.6 JSON.

    scripts/sbom.py path/to/millrace.cdx.json [target]

Rust: what `cargo tree` says the binary is made of for this target (normal dependencies; of procedural macros only what they
make is in it), with licences from `cargo metadata` and hashes from Cargo.lock. The web app: what web/package-lock.json has
that is not for development only. Libraries in C that a crate builds and names in its version are listed too. The same
tree gives the same file: the time is SOURCE_DATE_EPOCH.
"""

import base64
import datetime
import json
import os
import re
import subprocess
import sys
import tomllib
import uuid
from urllib.parse import quote

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
# Crates whose version has that of the library they build behind a plus sign.
BUILT_IN = {"rdkafka-sys": "librdkafka", "zstd-sys": "zstd"}
HASHES = {"sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def output(*command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def licences(expression):
    """An SPDX expression as CycloneDX has it. Old crates write a slash for OR."""
    return [{"expression": re.sub(r"\s*/\s*", " OR ", expression.strip())}] if expression else []


def rust(target):
    """The crates of the binary, and who needs whom."""
    tree = output("cargo", "tree", "--locked", "--package", "millrace", "--package", "millrace-transcoder", "--edges", "normal,no-proc-macro",
                  "--target", target, "--prefix", "none", "--format", "{p}")
    wanted = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    wanted = {(name, version.removeprefix("v")) for name, version in wanted}
    metadata = json.loads(output("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    with open(os.path.join(ROOT, "Cargo.lock"), "rb") as file:
        sums = {(one["name"], one["version"]): one.get("checksum") for one in tomllib.load(file)["package"]}
    packages = {one["id"]: one for one in metadata["packages"] if (one["name"], one["version"]) in wanted}
    found = {(one["name"], one["version"]) for one in packages.values()}
    if found != wanted:
        sys.exit(f"sbom: cargo tree and cargo metadata differ: {sorted(found ^ wanted)}")
    components, needs = [], {}
    for package in packages.values():
        name, version = package["name"], package["version"]
        component = {
            "type": "application" if name in ("millrace", "millrace-transcoder") else "library",
            "bom-ref": crate(package),
            "name": name,
            "version": version,
            "description": " ".join((package["description"] or "").split()),
            "licenses": licences(package["license"]),
            "purl": crate(package),
        }
        checksum = sums[name, version]
        if package["source"] == REGISTRY:
            if not checksum:
                sys.exit(f"sbom: Cargo.lock has no checksum of {name} {version}")
            component["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        elif package["source"] is not None:
            sys.exit(f"sbom: {name} is from {package['source']}, which this script does not know")
        if package["repository"]:
            component["externalReferences"] = [{"type": "vcs", "url": package["repository"].strip()}]
        components.append({key: value for key, value in component.items() if value})
        needs[crate(package)] = set()
        if name in BUILT_IN and "+" in version:
            # rdkafka-sys 4.10.0+2.12.1, zstd-sys 2.0.16+zstd.1.5.7
            library, own = BUILT_IN[name], version.split("+")[1].removeprefix("zstd.")
            reference = f"pkg:generic/{library}@{own}"
            components.append({"type": "library", "bom-ref": reference, "name": library, "version": own, "purl": reference})
            needs[crate(package)].add(reference)
            needs[reference] = set()
    for node in metadata["resolve"]["nodes"]:
        if node["id"] not in packages:
            continue
        for dependency in node["deps"]:
            is_normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if is_normal and dependency["pkg"] in packages:
                needs[crate(packages[node["id"]])].add(crate(packages[dependency["pkg"]]))
    return components, needs


def crate(package):
    return f"pkg:cargo/{package['name']}@{quote(package['version'], safe='')}"


def npm():
    """What the web app is made of, and who needs whom."""
    with open(os.path.join(ROOT, "web", "package-lock.json"), encoding="utf-8") as file:
        lock = json.load(file)["packages"]
    shipped = {path: one for path, one in lock.items() if path and not one.get("dev") and not one.get("devOptional")}
    components, needs = {}, {}
    for path, package in sorted(shipped.items()):
        name = package.get("name") or path.rpartition("node_modules/")[2]
        reference = purl(name, package["version"])
        algorithm, _, digest = package["integrity"].partition("-")
        group, _, short = name.rpartition("/")
        component = {
            "type": "library",
            "bom-ref": reference,
            "group": group,
            "name": short,
            "version": package["version"],
            "hashes": [{"alg": HASHES[algorithm], "content": base64.b64decode(digest).hex()}],
            "licenses": licences(package.get("license")),
            "purl": reference,
        }
        components[reference] = {key: value for key, value in component.items() if value}
        needs.setdefault(reference, set()).update(filter(None, (
            resolved(shipped, path, other) for other in package.get("dependencies", {}))))
    top = {resolved(shipped, "", name) for name in lock[""].get("dependencies", {})}
    return list(components.values()), needs, top - {None}


def resolved(shipped, path, name):
    """The package that `name` means inside `path`: the nearest folder that has it."""
    while True:
        place = f"{path}/node_modules/{name}" if path else f"node_modules/{name}"
        if place in shipped:
            return purl(shipped[place].get("name") or name, shipped[place]["version"])
        if not path:
            return None
        path = path.rpartition("/node_modules/")[0] if "/node_modules/" in path else ""


def purl(name, version):
    return f"pkg:npm/{quote(name, safe='/')}@{quote(version, safe='')}"


def main(out, target="x86_64-unknown-linux-gnu"):
    crates, needs = rust(target)
    modules, web_needs, top = npm()
    program = next(one for one in crates if one["name"] == "millrace")
    transcoder = next(one for one in crates if one["name"] == "millrace-transcoder")
    needs[program["bom-ref"]] |= top | {transcoder["bom-ref"]}
    needs.update(web_needs)
    components = sorted((one for one in crates + modules if one is not program), key=lambda one: one["bom-ref"])
    made = int(os.environ.get("SOURCE_DATE_EPOCH") or output("git", "log", "-1", "--format=%ct"))
    bom = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.datetime.fromtimestamp(made, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lifecycles": [{"phase": "build"}],
            "component": program,
            "properties": [{"name": "millrace:target", "value": target}],
        },
        "components": components,
        "dependencies": [{"ref": name, "dependsOn": sorted(others)} for name, others in sorted(needs.items())],
    }
    # The same materials have the same number.
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bom, sort_keys=True))
    bom["serialNumber"] = f"urn:uuid:{number}"
    with open(out, "w", encoding="utf-8") as file:
        json.dump(bom, file, indent=1, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
