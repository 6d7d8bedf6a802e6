"""A sale behind closed doors: the real programs with the settings of docker-compose.yml, on a NATS that lets each do only its own, with the
keys and tokens that the file tells operators to make."""

import json
import os
import secrets
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pg8000.native

import bus
import compose
from code_facts import Code
from deployed import tokens

WAIT_S = 60
FILES = {
    "products": "sku,name,description,price\nTEA-1,Tea,,4.00\n",
    "customers": "customer_ref,name,email,phone\nC1,Ann,ann@example.com,\n",
    "stock": "sku,qty,reorder_point\nTEA-1,10,2\n",
    "orders": "order_ref,customer_ref,placed_at,sku,qty,unit_price\nO1,C1,2026-01-05T10:00:00Z,TEA-1,3,4.00\n",
}


def check(code: Code, programs: Path) -> list[str]:
    admin = os.environ.get("BRAMBLE_ADMIN_DATABASE_URL")
    if not admin:
        return ["BRAMBLE_ADMIN_DATABASE_URL names no Postgres"]
    missing = [name for name in [*code.services, "bramble"] if not (programs / name).exists()]
    if missing:
        return [f"{programs} has no {', '.join(missing)}"]
    database = f"deploy_{secrets.token_hex(6)}"
    in_postgres(admin, f"create database {database}")
    try:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as ports:
            fleet = Fleet(code, programs, Path(folder), urlsplit(admin), database, lambda: ports.enter_context(bus.port()))
            return fleet.sell()
    finally:
        in_postgres(admin, f"drop database {database} with (force)")


def in_postgres(url: str, statement: str) -> None:
    at = urlsplit(url)
    connection = pg8000.native.Connection(
        at.username or "postgres",
        host=at.hostname,
        port=at.port or 5432,
        password=unquote(at.password or "") or None,
        database=at.path.strip("/"),
    )
    connection.run(statement)
    connection.close()


class Fleet:
    def __init__(self, code: Code, programs: Path, folder: Path, admin, database: str, port: Callable[[], int]):
        self.code, self.programs, self.folder = code, programs, folder
        self.secrets = folder / "secrets"
        self.ports = {service.name: port() for service in code.services.values()}
        self.values = bus.passwords(code)
        for service in code.services.values():
            if service.schema:
                # The roles belong to all databases of a Postgres, and other tests make them so.
                self.values[f"BRAMBLE_{service.schema.upper()}_DB_PASSWORD"] = f"{service.schema}_svc"
        self.values["BRAMBLE_POSTGRES_PASSWORD"] = unquote(admin.password or "none")
        self.containers = compose.interpolated(code, self.values)
        there = f"{admin.hostname}:{admin.port or 5432}/{database}"
        self.replacements = {
            "postgres://postgres@postgres:5432/bramble": f"postgres://{admin.username or 'postgres'}@{there}",
            "@postgres:5432/bramble": f"@{there}",
            "/run/secrets": str(self.secrets),
            "/var/lib/bramble": str(folder),
        }
        for service in code.services.values():
            self.replacements[f"http://{service.name}:{service.port}"] = f"http://127.0.0.1:{self.ports[service.name]}"
            self.replacements[f"0.0.0.0:{service.port}"] = f"0.0.0.0:{self.ports[service.name]}"
            if service.http_port:
                self.dashboard = port()
                self.replacements[f"0.0.0.0:{service.http_port}"] = f"0.0.0.0:{self.dashboard}"

    def sell(self) -> list[str]:
        self.make_secrets()
        given = {name: value for name, value in self.containers["nats"]["environment"].items() if name in self.values}
        with bus.running(self.code, given) as (url, said):
            self.replacements["nats://nats:4222"] = url
            for once in ("migrate", "cross-schema-keys"):
                self.run(*self.containers[once]["command"][1:], env=self.environment(once))
            running = {name: self.start(name) for name in self.code.services}
            try:
                problems = self.sale()
                problems += [f"{name} has ended" for name, process in running.items() if process.poll() is not None]
            except RuntimeError as refusal:
                problems = [str(refusal)]
            finally:
                unwilling = self.stop(running)
            problems += unwilling + [f"NATS refused: {line}" for line in bus.violations(said)]
        return problems + self.warnings(running) if problems else []

    def make_secrets(self) -> None:
        self.run("keys", "--dir", str(self.secrets))
        for name, permissions in tokens((self.code.root / "docker-compose.yml").read_text()).items():
            given = [f"--permission={permission}" for permission in permissions] if permissions != {"--all"} else ["--all"]
            made = self.run("token", "--key", str(self.secrets / "private.pem"), "--subject", name, *given)
            (self.secrets / f"{name}.token").write_text(made)

    def environment(self, container: str) -> dict[str, str]:
        """As the container's, with what is elsewhere here."""
        env = {}
        for name, value in self.containers[container]["environment"].items():
            for theirs, ours in self.replacements.items():
                value = value and value.replace(theirs, ours)
            if value is not None:
                env[name] = value
        return env

    def start(self, name: str) -> subprocess.Popen:
        with (self.folder / f"{name}.log").open("w") as log:
            return subprocess.Popen([self.programs / name], env=self.environment(name), stdout=log, stderr=log)

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> str:
        done = subprocess.run([self.programs / "bramble", *arguments], env=env or {}, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"bramble {' '.join(arguments[:2])}: {done.stderr.strip()}")
        return done.stdout

    def sale(self) -> list[str]:
        urls = {f"BRAMBLE_{name.split('-')[0].upper()}_URL": f"http://127.0.0.1:{port}" for name, port in self.ports.items()}
        me = urls | {"BRAMBLE_TOKEN_FILE": str(self.secrets / "me.token")}
        for name in self.code.services.keys() - {"analytics-svc"}:
            self.run("health", "--url", f"http://127.0.0.1:{self.ports[name]}", "--wait", f"{WAIT_S}s")
        problems = []
        try:
            self.run("report", "trial-balance", env=urls)
            problems.append("the books are open to who has no token")
        except RuntimeError as refusal:
            if "Unauthenticated" not in str(refusal):
                problems.append(str(refusal))
        files = []
        for name, text in FILES.items():
            (self.folder / f"{name}.csv").write_text(text)
            files += [f"--{name}", str(self.folder / f"{name}.csv")]
        self.run("import", *files, "--refused-dir", str(self.folder / "refused"), env=me)

        def debtors() -> str | None:
            rows = json.loads(self.run("report", "trial-balance", "--format", "json", env=me))["rows"]
            return next((row["balance"] for row in rows if row["account"] == "1100"), None)

        problems += eventually("the order is in the books", lambda: debtors() == "12.00")
        # Once olap-consumer has written something, analytics-svc is ready.
        self.run("health", "--url", f"http://127.0.0.1:{self.ports['analytics-svc']}", "--wait", f"{WAIT_S}s")
        day = ("--from", "2026-01-05", "--to", "2026-01-06")
        problems += eventually("the order is among the sales", lambda: '"12.00"' in self.run("report", "sales", *day, "--format", "json", env=me))
        # Whose token is as it is told to be made.
        panels = ("sales", "receivables", "stock", "orders", "fleet")
        problems += [f"the dashboard shows {panel} to who has no token" for panel in panels if self.panel(panel, None)[0] != 401]
        token = (self.secrets / "me.token").read_text().strip()
        problems += [f"the dashboard: {panel}: {answer}" for panel in panels for answer in [self.panel(panel, token)] if answer[0] != 200]

        def all_is_well() -> bool:
            services = self.panel("fleet", token)[1].get("services", [])
            return len(services) == len(self.code.services) and all(
                service["state"] == "serving" and not service.get("error") for service in services)

        return problems + eventually("the dashboard says that all is well", all_is_well)

    def panel(self, name: str, token: str | None) -> tuple[int, dict]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.dashboard}/api/{name}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            return refusal.code, json.load(refusal)

    def stop(self, running: dict[str, subprocess.Popen]) -> list[str]:
        problems = []
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        for name, process in running.items():
            try:
                ended = process.wait(timeout=compose.seconds(self.containers[name]["stop_grace_period"]))
                if ended != 0:
                    problems.append(f"{name} ended with {ended}")
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                problems.append(f"{name} did not end when it was told to")
        return problems

    def warnings(self, running: dict[str, subprocess.Popen]) -> list[str]:
        """What the services said that is not as it always is."""
        said = [(name, line) for name in running for line in (self.folder / f"{name}.log").read_text().splitlines()]
        return [f"{name}: {line}" for name, line in said if '"level":"INFO"' not in line][-20:]


def eventually(what: str, holds) -> list[str]:
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        if holds():
            return []
        time.sleep(0.2)
    return [f"not within {WAIT_S} s: {what}"]
