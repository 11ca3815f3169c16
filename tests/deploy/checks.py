"""What can be said of the files without running the server."""

import json
import os
import re
import shutil
import subprocess
import tempfile

COMPOSE = "docker_compose"
UNIT = "deploy/systemd/millrace.service"
# What systemd-analyze calls exposure, times ten: 0 to 20 is "OK".
EXPOSURE = 20
# Metrics of ours, of the process, and of the host; `up` is Prometheus' own.
METRIC = re.compile(r"\b(?:millrace|process|node)_[A-Za-z0-9_]+\b")
# Grafana puts these in.
VARIABLES = {"$instance": ".*", "$__rate_interval": "1m"}


def wrong(what):
    raise SystemExit(f"deploy: {what}")


def quiet(command, **more):
    """Runs it; what it printed is shown only when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **more)
    if done.returncode != 0:
        wrong(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def read(*path):
    with open(os.path.join(*path)) as file:
        return file.read()


def compose():
    """The Compose file as Docker Compose would understand it, or nothing where Go is missing."""
    if shutil.which("go") is None:
        print("deploy: go is missing; the Compose file was NOT checked")
        return None
    documented()
    projects = {}
    for file in ["all-in-one.yaml", "split.yaml"]:
        files = [os.path.abspath(os.path.join(COMPOSE, name)) for name in [file, ".env.example"]]
        projects[file] = json.loads(quiet(["go", "run", ".", *files], cwd="tests/deploy/compose"))
        for name, service in projects[file]["services"].items():
            hardened(name, service)
    split(projects["split.yaml"])
    return projects["all-in-one.yaml"]


def split(project):
    """Each role is there as often as it should be, with an address of its own, which Prometheus and the edge know."""
    services = project["services"]
    roles = {name: service["command"][2] for name, service in services.items() if "--roles" in (service.get("command") or [])}
    if sorted(roles.values()) != ["api", "api", "chat", "chat", "ingest", "ingest", "ingest", "worker"]:
        wrong(f"split.yaml has these roles: {roles}")
    for name in roles:
        settings = services[name]["environment"]
        if services[name]["hostname"] != name or settings["MILLRACE_NODE_URL"] != f"http://{name}:8080":
            wrong(f"split.yaml: others do not reach {name} by its name")
    scraped = set(re.findall(r"- ([\w-]+):9464", read(COMPOSE, "prometheus", "split.yml")))
    if scraped != set(roles):
        wrong(f"prometheus/split.yml and split.yaml disagree: {scraped ^ set(roles)}")
    api = [services[name] for name, role in roles.items() if role == "api"]
    if any(one["environment"]["AWS_SHARED_CREDENTIALS_FILE"] != "/run/secrets/s3" or "s3" not in [secret["source"] for secret in one["secrets"]] for one in api):
        wrong("split.yaml: the API does not find the credentials of S3")
    publishers = set(re.findall(r"server ([\w-]+):1935", read(COMPOSE, "nginx", "split.conf")))
    if publishers != {name for name, role in roles.items() if role == "ingest"}:
        wrong(f"nginx/split.conf has these processes for publishers: {publishers}")
    for variable, role in [("MILLRACE_ORIGIN", "api"), ("MILLRACE_CHAT", "chat")]:
        name, port = services["edge"]["environment"][variable].split(":")
        behind = {one for one, service in services.items() if name in ((service["networks"].get("front") or {}).get("aliases") or [])}
        if port != "8080" or behind != {one for one, its in roles.items() if its == role}:
            wrong(f"split.yaml: {variable} of the edge leads to {behind}")
    if not project["networks"]["data"]["internal"] or any("ports" in services[name] for name in [*roles, "kafka", "mongodb-1"]):
        wrong("split.yaml: more than the edge is reached from outside")


def hardened(name, service):
    """What every container of ours has."""
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    rules = {
        # Not ours: their images write beside their volumes, and MongoDB's begins as root to give its volume away.
        "read_only: true": service.get("read_only") or name.startswith(("mongodb", "kafka")),
        "cap_drop: [ALL]": service.get("cap_drop") == ["ALL"] and ("cap_add" not in service or name.startswith("mongodb")),
        "no-new-privileges": "no-new-privileges:true" in service.get("security_opt", []),
        "restart": service.get("restart") == "unless-stopped",
        "a limit of memory and of processes": int(limits.get("memory", 0)) > 0 and limits.get("pids", 0) > 0,
        # Millrace's is in the Dockerfile.
        "a health check": "healthcheck" in service or service["image"].startswith("millrace:"),
        "an image of one version": re.search(r":(?!latest$)[\w.-]+$", service["image"]),
        "no privileges": not service.get("privileged"),
    }
    for rule, kept in rules.items():
        if not kept:
            wrong(f"service {name} lacks {rule}")
    for volume in service.get("volumes", []):
        if volume["type"] == "bind" and not (volume.get("read_only") and os.path.exists(volume["source"])):
            wrong(f"service {name} mounts {volume['source']}, which is missing or can be written")
    for port in service.get("ports", []):
        if "monitoring" in service.get("profiles", []) and port.get("host_ip") != "127.0.0.1":
            wrong(f"service {name} is for this host only, and publishes {port}")
    for variable, value in (service.get("environment") or {}).items():
        if re.search("PASSWORD|SECRET|TOKEN", variable) and not str(value).startswith("/run/secrets/"):
            wrong(f"service {name} has a secret in its environment: {variable}")


def kubernetes():
    """The Kustomize folder as kubectl would apply it, read strictly into Kubernetes' own types; how many objects."""
    if shutil.which("go") is None:
        print("deploy: go is missing; deploy/kubernetes was NOT checked")
        return 0
    by_kind = built("tests/deploy/kubernetes/with-s3")
    cluster(by_kind)
    api = by_kind["Deployment"]["millrace-api"]["spec"]["template"]["spec"]
    if "PersistentVolumeClaim" in by_kind or {"secretName": "millrace-s3", "defaultMode": 0o440} not in [one.get("secret") for one in api["volumes"]]:
        wrong("deploy/kubernetes/s3 leaves storage that is shared, or has no credentials")
    by_kind = built("deploy/kubernetes/base")
    return cluster(by_kind)


def built(folder):
    """What a Kustomize folder makes, by kind and name."""
    objects = json.loads(quiet(["go", "run", ".", os.path.abspath(folder)], cwd="tests/deploy/kubernetes"))
    by_kind = {}
    for one in objects:
        by_kind.setdefault(one["kind"], {})[one["metadata"]["name"]] = one
    return by_kind


def cluster(by_kind):
    """The rules for all of it; how many objects."""
    workloads = {**by_kind["StatefulSet"], **by_kind["Deployment"]}
    if sorted(workloads) != [f"millrace-{role}" for role in ["api", "chat", "edge", "ingest", "worker"]]:
        wrong(f"deploy/kubernetes runs {sorted(workloads)}")
    for name, workload in workloads.items():
        pod(name, workload, by_kind)
    for name, scaler in by_kind["HorizontalPodAutoscaler"].items():
        if scaler["spec"]["scaleTargetRef"]["name"] not in workloads or "replicas" in workloads[name]["spec"]:
            wrong(f"{name} is scaled, and has replicas of its own")
        if scaler["spec"]["minReplicas"] < 2:
            wrong(f"{name}: one alone cannot go without anybody noticing")
    if set(by_kind["HorizontalPodAutoscaler"]) != {"millrace-api", "millrace-chat", "millrace-edge"}:
        wrong("api, chat and edge are what is scaled")
    everything = [policy for policy in by_kind["NetworkPolicy"].values() if not policy["spec"].get("ingress")]
    if not any(policy["spec"]["podSelector"]["matchLabels"] == {"app.kubernetes.io/part-of": "millrace"} for policy in everything):
        wrong("no NetworkPolicy closes what is not opened")
    return sum(len(names) for names in by_kind.values())


def pod(name, workload, by_kind):
    """What every pod of ours has."""
    spec = workload["spec"]["template"]["spec"]
    labels = workload["spec"]["template"]["metadata"]["labels"]
    (container,) = spec["containers"]
    security, whole = container["securityContext"], spec["securityContext"]
    ports = {port["name"] for port in container["ports"]}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    environment = {one["name"]: one.get("value", "") for one in container["env"]}
    grace = spec["terminationGracePeriodSeconds"]
    budgets = [one for one in by_kind["PodDisruptionBudget"].values() if one["spec"]["selector"]["matchLabels"].items() <= labels.items()]
    rules = {
        "readOnlyRootFilesystem": security.get("readOnlyRootFilesystem") is True,
        "no privileges to gain": security.get("allowPrivilegeEscalation") is False,
        "no capabilities": security["capabilities"] == {"drop": ["ALL"]},
        "a user that is not root": whole.get("runAsNonRoot") is True and whole.get("runAsUser", 0) > 0,
        "seccomp": whole["seccompProfile"]["type"] == "RuntimeDefault",
        "no token of the cluster": spec.get("automountServiceAccountToken") is False,
        "requests and a limit of memory": "memory" in container["resources"].get("limits", {}) and "cpu" in container["resources"].get("requests", {}),
        "probes": all(probe in container for probe in ["startupProbe", "livenessProbe", "readinessProbe"]),
        "an image of one version": re.search(r":(?!latest$)[\w.-]+$", container["image"]),
        "one PodDisruptionBudget": len(budgets) == 1,
        "time to stop": grace >= 60,
        "its volumes": {mount["name"] for mount in container["volumeMounts"]} == set(volumes),
        "secrets by file": not any(re.search("PASSWORD|TOKEN|STORE$|BUS$", one) for one in environment),
    }
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"]:
        for kind in ["httpGet", "tcpSocket"]:
            if kind in container[probe]:
                rules[f"a port for its {probe}"] = container[probe][kind]["port"] in ports
    selector = workload["spec"]["selector"]["matchLabels"]
    rules["labels that it selects"] = selector.items() <= labels.items()
    if name == "millrace-ingest":
        hook = container["lifecycle"]["preStop"]["exec"]["command"]
        waits = int(re.fullmatch(r"(\d+)h", hook[hook.index("--within") + 1])[1]) * 3600
        rules["a hook that waits for broadcasts"] = hook[1] == "wait-idle" and grace >= waits + 45
        rules["a name for each node"] = workload["spec"]["serviceName"] in by_kind["Service"]
        rules["an address for other nodes"] = environment["MILLRACE_NODE_URL"] == "http://$(POD_NAME).millrace-ingest:8080"
    elif name != "millrace-worker":
        rules["a pause before it stops"] = container["lifecycle"]["preStop"]["sleep"]["seconds"] >= 5
    if name == "millrace-chat":
        spread = re.search(r'^reconnect_spread = "(\d+)s"$', read("docs", "millrace.toml"), re.M)[1]
        rules["time to send its pages away"] = grace >= 2 * int(spread) + 45
    if name == "millrace-edge":
        used = set(re.findall(r"\$\{(MILLRACE_\w+)\}", read(COMPOSE, "nginx", "millrace.conf.template")))
        rules["what its template needs"] = used <= set(environment)
        for variable, role in [("MILLRACE_ORIGIN", "api"), ("MILLRACE_CHAT", "chat")]:
            service, port = environment[variable].split(":")
            rules[f"{variable} that is there"] = service == f"millrace-{role}" and any(
                str(one["port"]) == port for one in by_kind["Service"][service]["spec"]["ports"])
            rules[f"a way to {role}"] = role in reached(by_kind["NetworkPolicy"]["millrace-edge"], "egress")
        rules["a way in for itself to chat"] = reached(by_kind["NetworkPolicy"]["millrace-chat"], "ingress") == {"edge"}
        config = next(volume["configMap"]["name"] for volume in volumes.values() if "configMap" in volume)
        rules["its configuration"] = config in by_kind["ConfigMap"]
    else:
        rules["a role"] = container["args"][-2:] == ["--roles", name.removeprefix("millrace-")]
    for rule, kept in rules.items():
        if not kept:
            wrong(f"deploy/kubernetes: {name} lacks {rule}")


def reached(policy, way):
    """The roles that a NetworkPolicy lets in or out."""
    roles = set()
    for rule in policy["spec"][way]:
        for peer in rule.get("from" if way == "ingress" else "to", []):
            selector = peer.get("podSelector", {})
            roles |= {selector.get("matchLabels", {}).get("millrace.role")} - {None}
            for expression in selector.get("matchExpressions", []):
                roles |= set(expression["values"])
    return roles


def documented():
    """Every variable of the Compose files is in .env.example, with the same default."""
    used = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", read(COMPOSE, "all-in-one.yaml") + read(COMPOSE, "split.yaml")))
    # `make up` sets it.
    used.pop("BUILD_COMMIT")
    told = dict(re.findall(r"^([A-Z_]+)=(.*)$", read(COMPOSE, ".env.example"), re.M))
    told.pop("COMPOSE_PROFILES")
    if used != told:
        wrong(f"all-in-one.yaml and .env.example disagree: {sorted(used.items() ^ told.items())}")


def dockerfile(hadolint):
    """It can be read, its shell too, and it ends as nobody in particular with a health check of ours."""
    path = os.path.join(COMPOSE, "Dockerfile")
    quiet([hadolint, "--no-color", path])
    image = read(path).rsplit("\nFROM ", 1)[1]
    for line in ["USER 65532:65532", 'CMD ["/usr/local/bin/millrace", "healthcheck"]']:
        if line not in image:
            wrong(f"{path}: the image lacks {line}")


def unit(binary, folder):
    """systemd takes the unit and finds it closed; users and files are made as it needs them."""
    if shutil.which("systemd-analyze") is None:
        print("deploy: systemd-analyze is missing; the unit was NOT checked")
        return
    quiet(["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE}", UNIT])
    text = read(UNIT)
    grace = int(re.search(r"^TimeoutStopSec=(\d+)s$", text, re.M)[1])
    default = re.search(r'^shutdown_grace = "(\d+)s"$.*^drain_timeout = "(\d+)s"$', read("docs", "millrace.toml"), re.M | re.S)
    if grace <= 2 * int(default[1]) + int(default[2]):
        wrong(f"{UNIT}: TimeoutStopSec is not above what a stop may take")
    here = os.path.join(folder, "millrace.service")
    with open(here, "w") as file:
        file.write(text.replace("/usr/bin/millrace", binary))
    # Warnings have no exit code.
    said = subprocess.run(["systemd-analyze", "verify", "--man=no", here], capture_output=True, text=True, timeout=60)
    if said.returncode != 0 or "millrace.service" in said.stderr:
        wrong(f"systemd-analyze verify: {said.stderr}")
    quiet([binary, "config", "check", "--config", os.path.abspath("deploy/millrace.toml")], env={}, cwd=folder)


def dashboards():
    """Every expression of every dashboard, with the place where it stands."""
    folder = os.path.join(COMPOSE, "grafana", "dashboards")
    found = {}
    seen = set()
    for name in sorted(os.listdir(folder)):
        dashboard = json.loads(read(folder, name))
        if dashboard["uid"] in seen:
            wrong(f"{name}: the uid {dashboard['uid']} is taken")
        seen.add(dashboard["uid"])
        ids = [panel["id"] for panel in dashboard["panels"]]
        if len(ids) != len(set(ids)):
            wrong(f"{name}: two panels have one id")
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                if target["datasource"]["uid"] != "prometheus":
                    wrong(f"{name}: {panel['title']} asks another source than the one we provision")
                expression = target["expr"]
                for variable, value in VARIABLES.items():
                    expression = expression.replace(variable, value)
                found[f"{name}: {panel['title']} {target['refId']}"] = expression
    if "uid: prometheus" not in read(COMPOSE, "grafana", "provisioning", "datasources", "prometheus.yml"):
        wrong("grafana: the source that dashboards ask is not provisioned")
    return found


def alerts():
    """The rules as docs/operations.md tells them."""
    rules = read(COMPOSE, "prometheus", "rules", "millrace.yml")
    names = re.findall(r"- alert: (\w+)", rules)
    text = read("docs", "operations.md")
    missing = [name for name in names if f"`{name}`" not in text]
    if missing:
        wrong(f"docs/operations.md says nothing of the alerts {missing}")
    return set(METRIC.findall(rules))


def prometheus(promtool):
    """Configuration, rules and their tests, and the dashboards' expressions."""
    quiet([promtool, "check", "config", os.path.join(COMPOSE, "prometheus", "prometheus.yml")])
    quiet([promtool, "test", "rules", "tests/deploy/alerts_test.yml"])
    expressions = dashboards()
    rules = [{"record": f"panel:{index}", "expr": expr} for index, expr in enumerate(expressions.values())]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        # JSON is YAML.
        json.dump({"groups": [{"name": "dashboards", "rules": rules}]}, file)
        file.flush()
        quiet([promtool, "check", "rules", file.name])
    return expressions


def settings(binary, service, folder):
    """The server takes what the Compose file and the .env.example of it set."""
    secret = os.path.join(folder, "playback")
    with open(secret, "w") as file:
        file.write("0123456789abcdef0123456789abcdef\n")
    environment = {name: value.replace("/run/secrets/playback", secret) for name, value in service["environment"].items()}
    quiet([binary, "config", "check"], env=environment, cwd=folder)


def edge(service, folder):
    """nginx takes the configuration of the edge, with the paths of this machine in place of the container's."""
    environment = service["environment"]
    files = {volume["target"]: volume["source"] for volume in service["volumes"] if volume["type"] == "bind"}
    site = read(files["/etc/nginx/templates/millrace.conf.template"])
    for name, value in environment.items():
        site = site.replace("${" + name + "}", value)
    # The name of the origin is one of the container's network.
    site = site.replace("server millrace:8080", "server 127.0.0.1:8080").replace("/var/cache/nginx", folder)
    main = read(files["/etc/nginx/nginx.conf"])
    for theirs, ours in [("/tmp/", f"{folder}/"), ("modules/", "/usr/lib/nginx/modules/")]:
        main = main.replace(theirs, ours)
    main = main.replace("include mime.types", "include /etc/nginx/mime.types")
    for name, text in [("nginx.conf", main), ("millrace.conf", site), ("playback.js", read(files["/etc/nginx/playback.js"]))]:
        with open(os.path.join(folder, name), "w") as file:
            file.write(text)
    quiet(["/usr/sbin/nginx", "-t", "-c", os.path.join(folder, "nginx.conf"), "-p", folder])
