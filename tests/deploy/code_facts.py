"""What the code says of the services: their ports, their settings, whom they follow."""

import re
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

# Read by the Postgres client itself.
PG_PASSWORD = "PGPASSWORD"


@dataclass
class Setting:
    """An environment variable that a program takes."""

    name: str
    # What it is when nobody sets it; none when somebody must.
    default: str | None


@dataclass
class Service:
    """One of the programs under services/."""

    name: str
    port: int | None
    settings: dict[str, Setting]
    # The parts of the configuration that it shares with others, such as NatsConfig.
    shared: set[str]
    # The services whose events it applies.
    follows: set[str]
    source: str = field(repr=False)

    @property
    def schema(self) -> str | None:
        """The schema that is its own, and the name of its stream; none for those that own no data."""
        return self.name.removesuffix("-svc") if "PgConfig" in self.shared else None

    def must_be_set(self) -> set[str]:
        """What a deployment beyond one machine's loopback has to say."""
        names = {
            setting.name
            for setting in self.settings.values()
            if setting.default is None or "127.0.0.1" in setting.default or setting.default.startswith(".")
        }
        # Services that differ in it would date the same sale on two days.
        names |= {setting.name for setting in self.settings.values() if setting.name == "BRAMBLE_TIME_ZONE"}
        names |= {"BRAMBLE_GRPC_ADDR", "BRAMBLE_AUTH_PUBLIC_KEY", "BRAMBLE_PLAINTEXT"}
        if "NatsConfig" in self.shared:
            names |= {"BRAMBLE_NATS_USER", "BRAMBLE_NATS_PASSWORD"}
        if "PgConfig" in self.shared:
            names.add(PG_PASSWORD)
        if self.calls():
            names.add("BRAMBLE_TOKEN_FILE")
        return names

    def may_be_set(self) -> set[str]:
        return set(self.settings) | ({PG_PASSWORD} if "PgConfig" in self.shared else set())

    def calls(self) -> set[str]:
        """The services that it calls."""
        if "ClientConfig" not in self.shared:
            return set()
        urls = (re.fullmatch(r"BRAMBLE_(\w+)_URL", name) for name in self.settings)
        return {called_by(url[1]) for url in urls if url and url[1] != "NATS"}

    @property
    def http_port(self) -> int | None:
        """Where it has pages for people."""
        address = self.settings.get("BRAMBLE_HTTP_ADDR")
        return int(address.default.rsplit(":", 1)[1]) if address else None


def called_by(word: str) -> str:
    """The service that BRAMBLE_<word>_URL names."""
    return "olap-consumer" if word == "OLAP" else f"{word.lower()}-svc"


@dataclass
class Code:
    root: Path
    services: dict[str, Service]
    # The rpcs of each service, such as GetOrder, with the permission that each needs.
    rpcs: dict[str, dict[str, str]]
    rust_version: str

    def check(self) -> list[str]:
        """That the facts were found at all: a check that looks for nothing finds no fault."""
        problems = []
        for service in self.services.values():
            if service.port is None:
                problems.append(f"{service.name}: no DEFAULT_PORT in its code")
            if "ServerConfig" not in service.shared:
                problems.append(f"{service.name}: its Config has no rpc::ServerConfig")
            if "NatsConfig" in service.shared and not (service.follows or service.schema):
                problems.append(f"{service.name} is at the bus and follows nobody: how it names its sources is not understood here")
        ports = [service.port for service in self.services.values()]
        if len(set(ports)) != len(ports):
            problems.append(f"two services have one port: {ports}")
        for name, rpcs in self.rpcs.items():
            if not rpcs:
                problems.append(f"{name}: no rpc with a permission was found in the protos")
        return problems

    def needs(self, service: Service) -> set[str]:
        """The permissions of the rpcs that it calls; who follows others asks for what it missed."""
        calls = (
            permission
            for called in service.calls()
            for rpc, permission in self.rpcs[called].items()
            # A call takes a request: flush() is something else.
            if re.search(rf"\.{re.sub('(?<!^)(?=[A-Z])', '_', rpc).lower()}\((?!\))", service.source)
        )
        tells = {"log.status"} if ".get_log_status(" in service.source else set()
        return set(calls) | tells | ({"log.read"} if service.follows else set())

    def tracked(self) -> list[str]:
        """The files that git keeps."""
        listed = subprocess.run(["git", "-C", self.root, "ls-files"], capture_output=True, text=True, check=True)
        return listed.stdout.splitlines()


def read(root: Path) -> Code:
    shared = {}
    for file in root.glob("crates/*/src/**/*.rs"):
        shared |= structs(file.read_text())
    services = {}
    for folder in sorted(root.glob("services/*/Cargo.toml")):
        service = read_service(folder.parent, shared)
        services[service.name] = service
    protos = {file: file.read_text() for file in root.glob("proto/bramble/**/*.proto")}
    rpcs: dict[str, dict[str, str]] = {name: {} for name in services}
    for file, text in protos.items():
        of = next((name for name in services if name.split("-")[0] == file.parts[-3]), None)
        for rpc, permission in re.findall(r'rpc (\w+)\([^{]+\{\s+option \(bramble\.auth\.v1\.access\) = \{permission: "([a-z.]+)"\}', text):
            if of:
                rpcs[of][rpc] = permission
    workspace = tomllib.loads((root / "Cargo.toml").read_text())["workspace"]["package"]
    return Code(root, services, rpcs, workspace["rust-version"])


def read_service(folder: Path, shared: dict) -> Service:
    source = "\n".join(file.read_text() for file in sorted(folder.glob("src/**/*.rs")))
    port = re.search(r"DEFAULT_PORT: u16 = ([0-9_]+);", source)
    settings, parts = structs((folder / "src/config.rs").read_text())["Config"]
    for part in parts:
        settings = settings | shared[part][0]
    follows = set(re.findall(r'(?:Source\s*\{\s*name|Followed\s*\{\s*source):\s*"(\w+)"', source))
    return Service(folder.name, int(port[1].replace("_", "")) if port else None, settings, parts, follows, source)


def structs(source: str) -> dict[str, tuple[dict[str, Setting], set[str]]]:
    """The structs of a file that clap fills: their settings, and the types that they take in."""
    found = {}
    for struct in re.finditer(r"#\[derive\([^)]*clap::(?:Args|Parser)[^)]*\)\][^{]*?struct (\w+) \{\n(.*?)\n\}", source, re.DOTALL):
        settings, parts, attributes = {}, set(), ""
        for line in struct[2].splitlines():
            declared = re.match(r"\s*(?:pub(?:\(\w+\))? )?(\w+): (?:\w+::)*(.+),$", line)
            if not declared or line.lstrip().startswith(("#", "//")):
                attributes += line
                continue
            name, kind = declared.groups()
            variable = re.search(r'\benv(?: = "(\w+)")?[,)]', attributes)
            if "flatten" in attributes:
                parts.add(kind)
            elif variable:
                given = re.search(r'default_value(?:_t)? = "?([^,")]*)', attributes)
                optional = kind.startswith(("Option", "bool"))
                default = given[1] if given else "" if optional else None
                setting = Setting(variable[1] or name.upper(), default)
                settings[setting.name] = setting
            attributes = ""
        found[struct[1]] = (settings, parts)
    return found
