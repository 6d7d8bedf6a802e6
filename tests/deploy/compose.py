"""docker-compose.yml: valid, closed, and in accord with the code and with what .docker/env.example tells operators."""

import re
import subprocess

import yaml
from podman_compose import rec_subs

from code_facts import Code
from deployed import DRAIN_S, Deployed, Secret, check_service, check_tokens, users

NOT_OURS = {"postgres", "nats"}
ONCE = {"migrate", "cross-schema-keys", "tools"}


def load(code: Code) -> dict:
    """The file with its anchors followed and its variables left as they are."""
    return yaml.safe_load((code.root / "docker-compose.yml").read_text())


def variables(code: Code) -> dict[str, str]:
    """What .docker/env.example holds."""
    lines = (code.root / ".docker/env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def check(code: Code) -> list[str]:
    problems = check_schema(code)
    if problems:
        return problems
    compose = load(code)
    containers = compose["services"]
    for name in code.services:
        if name not in containers:
            problems.append(f"{name} is not in it")
    for name in containers.keys() - code.services.keys() - NOT_OURS - ONCE:
        problems.append(f"{name} is none of Bramble's services")
    for name, container in containers.items():
        problems += check_container(name, container, compose)
    for service in code.services.values():
        container = containers.get(service.name)
        if container is None:
            continue
        env = {key: secret_or_text(value) for key, value in container["environment"].items()}
        deployed = Deployed(container.get("command"), env, f"/run/secrets/{service.name}.token", "/run/secrets/public.pem")
        problems += check_service(code, service, deployed)
        problems += check_door(service.name, service.port, service.http_port, container)
        mounted = [volume for volume in container.get("volumes", []) if volume.startswith("olap:")]
        if ("BRAMBLE_OLAP_DIR" in service.settings) != bool(mounted):
            problems.append(f"{service.name}: the volume of the materializations is not where BRAMBLE_OLAP_DIR is a setting")
        if not service.schema and "NatsConfig" not in service.shared and mounted and not mounted[0].endswith(":ro"):
            problems.append(f"{service.name} only reads the materializations, and may write them")
    problems += check_migrate(code, containers)
    problems += check_variables(code, compose)
    problems += check_tokens(code, "docker-compose.yml")
    return problems


def check_schema(code: Code) -> list[str]:
    command = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", code.root / "docker-compose.yml"]
    checked = subprocess.run(command, capture_output=True, text=True)
    return [] if checked.returncode == 0 else (checked.stdout + checked.stderr).splitlines()


def check_container(name: str, container: dict, compose: dict) -> list[str]:
    wanted = {
        "read_only": container.get("read_only") is True,
        "cap_drop: [ALL]": container.get("cap_drop") == ["ALL"],
        "no-new-privileges": "no-new-privileges:true" in container.get("security_opt", []),
        "a mem_limit": "mem_limit" in container,
        "a bound on its log": "max-size" in container.get("logging", {}).get("options", {}),
        "a version of its image": re.fullmatch(r"[a-z/]+:[0-9].*", container.get("image", "")),
    }
    if name not in ONCE:
        wanted |= {
            "a restart policy": container.get("restart") == "unless-stopped",
            "a health check": container.get("healthcheck", {}).get("test", [""])[0] == "CMD",
            "a grace period": seconds(container.get("stop_grace_period", "10s")) > (0 if name in NOT_OURS else DRAIN_S),
        }
    problems = [f"{name} has not: {what}" for what, there in wanted.items() if not there]
    for port in container.get("ports", []):
        if not str(port).startswith("127.0.0.1:"):
            problems.append(f"{name}: port {port} is open beyond loopback")
    if name in NOT_OURS and ("ports" in container or container.get("networks") != ["inside"]):
        problems.append(f"{name} can be reached from outside")
    for kind in ("secrets", "networks"):
        problems += [f"{name}: {kind} {used} is not declared" for used in container.get(kind, []) if used not in compose[kind]]
    for volume in container.get("volumes", []):
        source = volume.split(":")[0]
        if not source.startswith(".") and source not in compose["volumes"]:
            problems.append(f"{name}: volume {source} is not declared")
    problems += [f"{name} waits for {other}, which is not there" for other in container.get("depends_on", {}) if other not in compose["services"]]
    return problems


def check_door(name: str, port: int, http_port: int | None, container: dict) -> list[str]:
    problems = []
    if container.get("ports") != [f"127.0.0.1:{door}:{door}" for door in (port, http_port) if door]:
        problems.append(f"{name}: its ports are not published to loopback")
    if container["healthcheck"]["test"] != ["CMD", "bramble", "health", "--url", f"http://127.0.0.1:{port}"]:
        problems.append(f"{name}: its health check does not ask port {port}")
    for given, setting in (("public.pem", "BRAMBLE_AUTH_PUBLIC_KEY"), (f"{name}.token", "BRAMBLE_TOKEN_FILE")):
        if (given in container.get("secrets", [])) != (setting in container["environment"]):
            problems.append(f"{name}: secret {given} and {setting} do not go together")
    strangers = set(container.get("secrets", [])) - {"public.pem", f"{name}.token"}
    return problems + [f"{name} is given {secret}" for secret in strangers]


def check_migrate(code: Code, containers: dict) -> list[str]:
    problems = []
    env = containers["migrate"]["environment"]
    for service in code.services.values():
        password = f"BRAMBLE_{service.schema.upper()}_DB_PASSWORD" if service.schema else None
        if password and secret_or_text(env.get(password, "")) != Secret(password):
            problems.append(f"migrate: {password} is not handed on, and the role {service.schema}_svc would have its name as password")
    if containers["migrate"]["command"] != ["bramble", "migrate"]:
        problems.append("migrate does not migrate")
    if containers["nats"]["environment"].keys() - {"GOMEMLIMIT"} != set(users(code).values()):
        problems.append("nats: the passwords that it is given are not those that nats.conf asks for")
    return problems


def check_variables(code: Code, compose: dict) -> list[str]:
    """That each variable is explained, and that none that must be set can be forgotten."""
    text = (code.root / "docker-compose.yml").read_text()
    used = set(re.findall(r"\$\{(\w+)", text)) - {"BRAMBLE_LOG"}
    example = variables(code)
    problems = [f"{name} is not in .docker/env.example" for name in used - example.keys()]
    problems += [f"{name} of .docker/env.example is not used" for name in example.keys() - used]
    open_ended = {name for name, rest in re.findall(r"\$\{(\w+)(:\?)?", text) if not rest and not example.get(name)}
    problems += [f"{name} may be missing somewhere" for name in open_ended - {"BRAMBLE_LOG"}]
    filled = {name: value or "x" for name, value in example.items()}
    for missing in [name for name, value in example.items() if not value]:
        try:
            rec_subs(compose["services"], filled | {missing: ""})
            problems.append(f"it would start without {missing}")
        except ValueError:
            pass
    return problems


def interpolated(code: Code, values: dict[str, str]) -> dict:
    """The containers as they are with these values in .env."""
    return rec_subs(load(code)["services"], dict(values))


def secret_or_text(value: str | None) -> str | Secret:
    secret = re.fullmatch(r"\$\{(\w+_PASSWORD):\?[^}]+\}", value or "")
    return Secret(secret[1]) if secret else (value or "")


def seconds(duration: str) -> int:
    amount, unit = re.fullmatch(r"(\d+)([sm])", duration).groups()
    return int(amount) * {"s": 1, "m": 60}[unit]
