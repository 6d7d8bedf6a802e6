"""A service as a deployment runs it, by containers or by k3s, held against what its code says."""

import re
from dataclasses import dataclass

from code_facts import PG_PASSWORD, Code, Service

DRAIN_S = 40
"""How long a service may take to end: DRAIN_MAX of crates/rpc/src/server.rs, for calls and then for background work."""


@dataclass
class Secret:
    """A value that comes from the operator's passwords."""

    name: str


@dataclass
class Deployed:
    command: list[str]
    env: dict[str, str | Secret]
    # Where the service's token and the public key are inside the container; the token's file is named after the service.
    token_file: str
    key_file: str


def users(code: Code) -> dict[str, str]:
    """The users of the bus and the variables of their passwords."""
    conf = (code.root / "k3s/base/nats.conf").read_text()
    return dict(re.findall(r"user: (\w+), password: \$(\w+)", conf))


def tokens(text: str) -> dict[str, set[str]]:
    """Whom an operator is told to give a token, and for what: `token orders-svc --permission log.read`."""
    told = re.findall(r"^[# ] +token ([\w-]+) +(--(?:all|permission).*)$", text, re.MULTILINE)
    return {name: set(permissions.split()) - {"--permission"} for name, permissions in told}


def check_tokens(code: Code, file: str) -> list[str]:
    """That each service's token is for what it calls, and for nothing else."""
    told = tokens((code.root / file).read_text())
    needed = {service.name: code.needs(service) for service in code.services.values() if service.calls()} | {"me": {"--all"}}
    return [
        f"{file}: {name} is given a token for {sorted(told.get(name, set()))}, and needs {sorted(needed.get(name, set()))}"
        for name in sorted(told.keys() | needed.keys())
        if told.get(name) != needed.get(name)
    ]


def check_service(code: Code, service: Service, deployed: Deployed) -> list[str]:
    problems = []
    env = deployed.env

    def expect(name: str, value: str | Secret) -> None:
        if name in env and env[name] != value:
            problems.append(f"{service.name}: {name} is {env[name]!r} instead of {value!r}")

    if deployed.command != [service.name]:
        problems.append(f"{service.name}: its container runs {deployed.command}")
    problems += [f"{service.name}: {name} is not set" for name in sorted(service.must_be_set() - env.keys())]
    problems += [f"{service.name}: {name} is no setting of it" for name in sorted(env.keys() - service.may_be_set())]
    expect("BRAMBLE_GRPC_ADDR", f"0.0.0.0:{service.port}")
    expect("BRAMBLE_HTTP_ADDR", f"0.0.0.0:{service.http_port}")
    expect("BRAMBLE_PLAINTEXT", "true")
    expect("BRAMBLE_AUTH_PUBLIC_KEY", deployed.key_file)
    expect("BRAMBLE_TOKEN_FILE", deployed.token_file)
    for called in service.calls():
        if called not in code.services:
            problems.append(f"{service.name} calls {called}, which does not exist")
            continue
        expect(f"BRAMBLE_{called.split('-')[0].upper()}_URL", f"http://{called}:{code.services[called].port}")
    if service.schema:
        schema = service.schema
        expect("DATABASE_URL", f"postgres://{schema}_svc@postgres:5432/bramble")
        expect(PG_PASSWORD, Secret(f"BRAMBLE_{schema.upper()}_DB_PASSWORD"))
    if "BRAMBLE_NATS_USER" in env:
        user = service.name.split("-")[0]
        expect("BRAMBLE_NATS_USER", user)
        expect("BRAMBLE_NATS_URL", "nats://nats:4222")
        expect("BRAMBLE_NATS_PASSWORD", Secret(users(code).get(user, f"of a user {user} in nats.conf")))
    expect("BRAMBLE_OLAP_DIR", "/var/lib/bramble/olap")
    return problems
