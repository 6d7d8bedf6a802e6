"""k3s/: what the overlay renders to is valid, contained, in accord with the code, and lets through only who has to get in."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import kubernetes_validate
import yaml

import compose
from code_facts import Code
from deployed import DRAIN_S, Deployed, Secret, check_service, check_tokens, users

KUBERNETES = "1.33"
NAME = "app.kubernetes.io/name"


def render(code: Code) -> list[dict]:
    """The overlay `single` with secrets such as an operator makes."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "k3s"
        shutil.copytree(code.root / "k3s", copy, ignore=shutil.ignore_patterns("secrets"))
        overlay = copy / "overlays/single"
        secrets = overlay / "secrets"
        secrets.mkdir()
        passwords = [f"{name}=x" for name, value in compose.variables(code).items() if not value]
        (secrets / "passwords.env").write_text("\n".join(passwords))
        for name in re.findall(r"secrets/([\w.-]+)", (overlay / "kustomization.yaml").read_text()):
            if not (secrets / name).exists():
                (secrets / name).write_text("x")
        rendered = subprocess.run(["kubectl", "kustomize", overlay], capture_output=True, text=True)
    if rendered.returncode != 0:
        raise ValueError(rendered.stderr.strip())
    return list(yaml.safe_load_all(rendered.stdout))


def check(code: Code) -> list[str]:
    try:
        objects = render(code)
    except ValueError as error:
        return [f"kubectl kustomize: {error}"]
    problems = []
    for thing in objects:
        try:
            kubernetes_validate.validate(thing, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            problems.append(f"{thing['kind']} {thing['metadata']['name']}: {error.message}")
    if problems:
        return problems
    named = {(thing["kind"], thing["metadata"]["name"]): thing for thing in objects}
    problems += [f"{kind} {name} is in namespace {thing['metadata'].get('namespace')}"
                 for (kind, name), thing in named.items() if kind != "Namespace" and thing["metadata"].get("namespace") != "bramble"]
    level = named["Namespace", "bramble"]["metadata"]["labels"].get("pod-security.kubernetes.io/enforce")
    if level != "restricted":
        problems.append(f"the namespace enforces {level}")
    pods = {thing["metadata"]["name"]: thing for thing in objects if thing["kind"] in ("Deployment", "StatefulSet", "Job")}
    for name, owner in pods.items():
        problems += check_pod(name, owner, objects)
    problems += check_services(code, pods, named)
    problems += check_images(code, pods)
    problems += check_network(code, named)
    problems += check_secrets(code)
    problems += check_tokens(code, "k3s/README.md")
    return problems


def check_pod(name: str, owner: dict, objects: list[dict]) -> list[str]:
    pod = owner["spec"]["template"]["spec"]
    security = pod.get("securityContext", {})
    wanted = {
        "runAsNonRoot": security.get("runAsNonRoot") is True and security.get("runAsUser", 0) > 0,
        "seccomp RuntimeDefault": security.get("seccompProfile") == {"type": "RuntimeDefault"},
        "automountServiceAccountToken: false": pod.get("automountServiceAccountToken") is False,
        "enableServiceLinks: false": pod.get("enableServiceLinks") is False,
    }
    long_running = owner["kind"] != "Job"
    if long_running:
        wanted["a grace period"] = pod.get("terminationGracePeriodSeconds", 30) >= 30
    for container in pod.get("initContainers", []) + pod["containers"]:
        own, resources = container.get("securityContext", {}), container.get("resources", {})
        wanted |= {
            f"{container['name']}: readOnlyRootFilesystem": own.get("readOnlyRootFilesystem") is True,
            f"{container['name']}: allowPrivilegeEscalation: false": own.get("allowPrivilegeEscalation") is False,
            f"{container['name']}: capabilities: drop ALL": own.get("capabilities") == {"drop": ["ALL"]},
            f"{container['name']}: a limit of memory": "memory" in resources.get("limits", {}),
            f"{container['name']}: requests": {"cpu", "memory"} <= resources.get("requests", {}).keys(),
            f"{container['name']}: a version of its image": re.fullmatch(r"[a-z/]+:[0-9].*", container["image"]),
        }
        for probe in ("startupProbe", "readinessProbe", "livenessProbe") if long_running else ():
            wanted[f"{container['name']}: a {probe}"] = probe in container
    problems = [f"{name} has not: {what}" for what, there in wanted.items() if not there]
    return problems + dangling(name, owner, objects)


def dangling(name: str, owner: dict, objects: list[dict]) -> list[str]:
    """References to secrets, settings and volumes that are not there."""
    pod = owner["spec"]["template"]["spec"]
    keys = {(thing["kind"], thing["metadata"]["name"]): thing.get("data", {}).keys() for thing in objects}
    problems = []

    def need(kind: str, what: str, key: str | None = None) -> None:
        if (kind, what) not in keys or (key is not None and key not in keys[kind, what]):
            problems.append(f"{name}: there is no {kind} {what}" + (f" with {key}" if key else ""))

    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    claimed = {claim["metadata"]["name"] for claim in owner["spec"].get("volumeClaimTemplates", [])}
    for volume in volumes.values():
        if "secret" in volume:
            for item in volume["secret"].get("items", [{"key": None}]):
                need("Secret", volume["secret"]["secretName"], item["key"])
        if "configMap" in volume:
            need("ConfigMap", volume["configMap"]["name"])
        if "persistentVolumeClaim" in volume:
            need("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
    for container in pod.get("initContainers", []) + pod["containers"]:
        for variable in container.get("env", []):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference:
                need("Secret", reference["name"], reference["key"])
        for source in container.get("envFrom", []):
            need("ConfigMap", source["configMapRef"]["name"])
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes.keys() | claimed:
                problems.append(f"{name}: there is no volume {mount['name']}")
    return problems


def environment(container: dict, named: dict) -> dict[str, str | Secret]:
    env: dict[str, str | Secret] = {}
    for source in container.get("envFrom", []):
        env |= named["ConfigMap", source["configMapRef"]["name"]]["data"]
    for variable in container.get("env", []):
        env[variable["name"]] = variable["value"] if "value" in variable else Secret(variable["valueFrom"]["secretKeyRef"]["key"])
    return env


def check_services(code: Code, pods: dict, named: dict) -> list[str]:
    problems = [f"{name} is not in it" for name in code.services if name not in pods]
    problems += [f"{name} is none of Bramble's services" for name in pods.keys() - code.services.keys() - {"postgres", "nats", "migrate"}]
    for service in code.services.values():
        if service.name not in pods:
            continue
        spec = pods[service.name]["spec"]
        pod = spec["template"]["spec"]
        [container] = pod["containers"]
        # All know what the business is; who does not ask does not look.
        business = {"BRAMBLE_CURRENCY", "BRAMBLE_TIME_ZONE"} - service.settings.keys()
        env = {name: value for name, value in environment(container, named).items() if name not in business}
        deployed = Deployed(container.get("command"), env, "/run/bramble/token/token", "/run/bramble/key/public.pem")
        problems += check_service(code, service, deployed)
        problems += check_mounts(service.name, pod, container, env)
        probes = {
            "startupProbe": {"port": service.port, "service": "live"},
            "readinessProbe": {"port": service.port},
            # What is away does not come back by killing who waits for it.
            "livenessProbe": {"port": service.port, "service": "live"},
        }
        for probe, asks in probes.items():
            found = {key: value for key, value in container[probe].get("grpc", {}).items() if value != ""}
            if found != asks:
                problems.append(f"{service.name}: its {probe} asks {found} instead of {asks}")
        if pod["terminationGracePeriodSeconds"] <= DRAIN_S:
            problems.append(f"{service.name} is killed while it drains")
        door = named.get(("Service", service.name), {"spec": {"ports": [], "selector": {}}})["spec"]
        ports = {port["containerPort"]: port["name"] for port in container["ports"]}
        opened = [(port["port"], port["targetPort"]) for port in door["ports"]]
        wanted = [(port, ports.get(port)) for port in (service.port, service.http_port) if port]
        if opened != wanted or door["selector"] != spec["selector"]["matchLabels"]:
            problems.append(f"{service.name}: its Service leads to {opened} instead of {wanted}")
    return problems + check_shared_volume(pods)


def check_mounts(name: str, pod: dict, container: dict, env: dict) -> list[str]:
    problems = []
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    for setting in ("BRAMBLE_AUTH_PUBLIC_KEY", "BRAMBLE_TOKEN_FILE", "BRAMBLE_OLAP_DIR"):
        path = env.get(setting)
        if path and not mounts & {path, str(Path(path).parent)}:
            problems.append(f"{name}: nothing is mounted where {setting} points, {path}")
    keys = [item["key"] for volume in pod["volumes"] if "secret" in volume for item in volume["secret"].get("items", [])]
    if keys != ([f"{name}.token"] if "BRAMBLE_TOKEN_FILE" in env else []):
        problems.append(f"{name} is given {keys}")
    return problems


def check_shared_volume(pods: dict) -> list[str]:
    """olap-consumer alone writes, and analytics-svc is where the volume is."""
    problems = []
    writer, reader = pods["olap-consumer"]["spec"], pods["analytics-svc"]["spec"]["template"]["spec"]
    if writer["strategy"] != {"type": "Recreate"} or writer["replicas"] != 1:
        problems.append("olap-consumer may run twice")
    required = reader.get("affinity", {}).get("podAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", [])
    if [term["labelSelector"]["matchLabels"] for term in required] != [writer["selector"]["matchLabels"]]:
        problems.append("analytics-svc may be put on another node than the volume that it reads")
    mounts = {mount["name"]: mount for mount in reader["containers"][0]["volumeMounts"]}
    if mounts.get("olap", {}).get("readOnly") is not True:
        problems.append("analytics-svc may write the materializations")
    return problems


def check_images(code: Code, pods: dict) -> list[str]:
    """The same versions as docker-compose.yml."""
    containers = compose.load(code)["services"]
    problems = []
    for name, owner in pods.items():
        spec = owner["spec"]["template"]["spec"]
        for container in spec.get("initContainers", []) + spec["containers"]:
            wanted = containers[name if name in containers else "migrate"]["image"]
            if container["image"] != wanted:
                problems.append(f"{name}: {container['image']} instead of {wanted}")
    for name in ("postgres", "nats"):
        args = pods[name]["spec"]["template"]["spec"]["containers"][0]["args"]
        if args != containers[name]["command"]:
            problems.append(f"{name}: {args} instead of {containers[name]['command']}")
    return problems


def check_network(code: Code, named: dict) -> list[str]:
    """That each policy lets in those who call, and nobody else."""
    services = code.services.values()
    wanted = {service.name: {other.name for other in services if service.name in other.calls()} for service in services}
    wanted["postgres"] = {service.name for service in services if service.schema} | {"migrate"}
    wanted["nats"] = {service.name for service in services if "NatsConfig" in service.shared}
    ports = {service.name: "grpc" for service in services} | {"postgres": "postgres", "nats": "nats"}
    problems = []
    nobody = named.get(("NetworkPolicy", "nobody"), {}).get("spec")
    if nobody != {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}:
        problems.append("the network is not closed to begin with")
    for name, callers in wanted.items():
        policy = named.get(("NetworkPolicy", name), {}).get("spec", {"ingress": []})
        found = set()
        for rule in policy["ingress"]:
            if rule.get("ports") == [{"port": ports[name]}]:
                found |= {value for peer in rule["from"] for match in peer["podSelector"]["matchExpressions"] for value in match["values"]}
        if found != callers:
            problems.append(f"{name}: {sorted(found)} get in, and {sorted(callers)} call it")
        if callers and policy["podSelector"] != {"matchLabels": {NAME: name}}:
            problems.append(f"{name}: its policy is for {policy['podSelector']}")
    return problems


def check_secrets(code: Code) -> list[str]:
    """That no secret is in the repository, nor gets there by `git add .`."""
    kept = [file for file in code.tracked() if re.search(r"(^|/)(\.env|secrets/.*|.*\.token|private\.pem|passwords\.env)$", file)]
    problems = [f"{file} is committed" for file in kept]
    for path in (".env", ".docker/secrets/private.pem", "k3s/overlays/single/secrets/passwords.env"):
        ignored = subprocess.run(["git", "-C", code.root, "check-ignore", "--quiet", path])
        if ignored.returncode != 0:
            problems.append(f"git does not ignore {path}")
    return problems


def bus_environment(code: Code, values: dict[str, str]) -> dict[str, str]:
    """What NATS is given when the passwords are these."""
    objects = render(code)
    named = {(thing["kind"], thing["metadata"]["name"]): thing for thing in objects}
    container = named["StatefulSet", "nats"]["spec"]["template"]["spec"]["containers"][0]
    env: dict[str, str] = {}
    for name, value in environment(container, named).items():
        plain = values[value.name] if isinstance(value, Secret) else value
        env[name] = re.sub(r"\$\((\w+)\)", lambda match: env[match[1]], plain) if isinstance(value, str) else plain
    return {name: value for name, value in env.items() if name in users(code).values()}
