#!/usr/bin/env python3
"""Proves that check.py can fail: plants one fault at a time in a copy of the checkout, and wants each found and named.

Some minutes; by hand, after check.py was changed. Takes words that the faults to plant must hold, or none for all of them.
"""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMPOSE, CONF, DOCKERFILE = "docker-compose.yml", "k3s/base/nats.conf", ".docker/Dockerfile"
EVERY, SINGLE = "k3s/base/every-service.yaml", "k3s/overlays/single/kustomization.yaml"
IGNORE = ".docker/Dockerfile.dockerignore"


@dataclass
class Fault:
    file: str
    was: str
    becomes: str
    # What the check has to say.
    said: str


FAULTS = [
    Fault(COMPOSE, '"127.0.0.1:50051:50051"', '"50051:50051"', "open beyond loopback"),
    Fault(COMPOSE, "BRAMBLE_INVENTORY_URL:", "BRAMBLE_INVENTROY_URL:", "BRAMBLE_INVENTORY_URL is not set"),
    Fault(COMPOSE, "      BRAMBLE_TIME_ZONE: ${BRAMBLE_TIME_ZONE:-Europe/London}\n", "", "BRAMBLE_TIME_ZONE is not set"),
    Fault(COMPOSE, "http://billing-svc:50053", "http://billing-svc:50054", "BRAMBLE_BILLING_URL is"),
    Fault(COMPOSE, "postgres://orders_svc@", "postgres://postgres@", "DATABASE_URL is"),
    Fault(COMPOSE, "PGPASSWORD: ${BRAMBLE_HR_DB_PASSWORD:", "PGPASSWORD: ${BRAMBLE_ORDERS_DB_PASSWORD:", "hr-svc: PGPASSWORD is"),
    Fault(COMPOSE, "${BRAMBLE_POSTGRES_PASSWORD:?see .docker/env.example}", "${BRAMBLE_POSTGRES_PASSWORD}", "BRAMBLE_POSTGRES_PASSWORD may be missing"),
    Fault(COMPOSE, "  hr-svc:\n", "  hrm-svc:\n", "hr-svc is not in it"),
    Fault(COMPOSE, "read_only: true", "read_only: false", "read_only"),
    Fault(COMPOSE, "  mem_limit: 96m\n  pids_limit", "  pids_limit", "orders-svc has not: a mem_limit"),
    Fault(COMPOSE, "    healthcheck:\n", "    healthchek:\n", "healthchek"),
    Fault(COMPOSE, "[CMD, bramble, health, --url, \"http://127.0.0.1:50052\"]", "[CMD, bramble, health, --url, \"http://127.0.0.1:50051\"]", "inventory-svc: its health check"),
    Fault(COMPOSE, "secrets: [public.pem, orders-svc.token]", "secrets: [public.pem, ledger-svc.token]", "orders-svc is given ledger-svc.token"),
    Fault(COMPOSE, "stop_grace_period: 45s", "stop_grace_period: 10s", "orders-svc has not: a grace period"),
    Fault(COMPOSE, "olap:/var/lib/bramble/olap:ro", "olap:/var/lib/bramble/olap", "may write them"),
    Fault(COMPOSE, "\"'${BRAMBLE_NATS_ORDERS_PASSWORD:?see .docker/env.example}'\"", "${BRAMBLE_NATS_ORDERS_PASSWORD:?see .docker/env.example}", "different passwords"),
    Fault(COMPOSE, "--permission products.read --permission stock.reserve", "--permission stock.reserve", "orders-svc is given a token for"),
    Fault(COMPOSE, "token billing-svc   --permission log.read", "token billing-svc   --permission log.read --permission orders.write", "billing-svc is given a token for"),
    Fault(COMPOSE, "token analytics-svc --permission log.status", "token analytics-svc --permission log.read", "analytics-svc is given a token for"),
    Fault(COMPOSE, '"127.0.0.1:8080:8080"', '"127.0.0.1:8081:8080"', "analytics-svc: its ports are not published"),
    Fault(COMPOSE, "BRAMBLE_HTTP_ADDR: 0.0.0.0:8080", "BRAMBLE_HTTP_ADDR: 127.0.0.1:8080", "BRAMBLE_HTTP_ADDR is"),
    Fault(COMPOSE, "    networks: [inside]\n    restart", "    networks: [inside, doors]\n    restart", "can be reached from outside"),
    Fault(".docker/env.example", "BRAMBLE_HR_DB_PASSWORD=\n", "", "BRAMBLE_HR_DB_PASSWORD is not in .docker/env.example"),
    Fault("k3s/base/orders-svc.yaml", "readinessProbe:", "readynessProbe:", "readynessProbe"),
    Fault("k3s/base/orders-svc.yaml", "livenessProbe: {grpc: {port: 50051, service: live}", "livenessProbe: {grpc: {port: 50051}", "its livenessProbe asks"),
    Fault("k3s/base/orders-svc.yaml", "          resources: {limits: {memory: 96Mi}}\n", "", "a limit of memory"),
    Fault("k3s/base/orders-svc.yaml", "key: BRAMBLE_ORDERS_DB_PASSWORD", "key: BRAMBLE_ORDER_DB_PASSWORD", "there is no Secret"),
    Fault("k3s/base/orders-svc.yaml", "port: 50051, targetPort: grpc", "port: 50052, targetPort: grpc", "orders-svc: its Service leads to"),
    Fault("k3s/base/orders-svc.yaml", "{key: orders-svc.token,", "{key: ledger-svc.token,", "orders-svc is given ['ledger-svc.token']"),
    Fault(EVERY, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "readOnlyRootFilesystem"),
    Fault(EVERY, "automountServiceAccountToken: false", "automountServiceAccountToken: true", "automountServiceAccountToken"),
    Fault(EVERY, "runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot"),
    Fault(EVERY, "terminationGracePeriodSeconds: 45", "terminationGracePeriodSeconds: 30", "killed while it drains"),
    Fault("k3s/base/network.yaml", "values: [orders-svc, ledger-svc, olap-consumer,", "values: [orders-svc, olap-consumer,", "inventory-svc: ["),
    Fault("k3s/base/network.yaml", "values: [inventory-svc, billing-svc, olap-consumer,", "values: [inventory-svc, billing-svc, olap-consumer, hr-svc,", "orders-svc: ["),
    Fault("k3s/base/network.yaml", "  podSelector: {}\n  policyTypes: [Ingress, Egress]", "  podSelector: {}\n  policyTypes: [Ingress]", "not closed to begin with"),
    Fault("k3s/base/olap-consumer.yaml", "type: Recreate", "type: RollingUpdate", "may run twice"),
    Fault("k3s/base/analytics-svc.yaml", "{app.kubernetes.io/name: olap-consumer}", "{app.kubernetes.io/name: orders-svc}", "another node"),
    Fault("k3s/base/analytics-svc.yaml", "port: 8080, targetPort: http", "port: 8080, targetPort: grpc", "analytics-svc: its Service leads to"),
    Fault("k3s/base/namespace.yaml", "enforce: restricted", "enforce: baseline", "enforces baseline"),
    Fault("k3s/base/nats.yaml", "\"'$(ORDERS)'\"", "$(ORDERS)", "different passwords"),
    Fault(SINGLE, "2.15.1-alpine", "2.14.0-alpine", "instead of nats:2.15.1-alpine"),
    Fault(SINGLE, "newTag: 0.1.0", "newTag: latest", "a version of its image"),
    Fault(".gitignore", "/.docker/secrets\n", "", "git does not ignore .docker/secrets"),
    Fault("k3s/overlays/single/secrets/passwords.env", "", "BRAMBLE_POSTGRES_PASSWORD=x\n", "is committed"),
    Fault(CONF, "sync_interval: always", "sync_interval: 2m", "has not once: sync_interval: always"),
    Fault(CONF, "authorization {", "authorization", "nats-server:"),
    Fault(CONF, "password: $BRAMBLE_NATS_HR_PASSWORD", "password: secret", "the passwords that it is given are not those"),
    Fault(CONF, '"bramble.orders.>"', '"bramble.>"', "orders may publish bramble.hr.order.placed.v1"),
    Fault(CONF, '"bramble.billing.>"\n', '"bramble.billing.invoice.>"\n', "billing published a batch and heard"),
    Fault(CONF, '"_INBOX.ledger-svc.>"', '"_INBOX.>"', "ledger may subscribe _INBOX.hr-svc.>"),
    Fault(CONF, '"_INBOX.ledger-svc.>"', '"_INBOX.ledger.>"', "ledger may not subscribe _INBOX.ledger-svc.>"),
    Fault(CONF, '"$JS.API.CONSUMER.CREATE.INVENTORY", ', '"$JS.API.CONSUMER.CREATE.INVENTORY", "$JS.API.CONSUMER.CREATE.HR", ', "olap may publish $JS.API.CONSUMER.CREATE.HR"),
    Fault(CONF, '"$JS.API.STREAM.UPDATE.BILLING", ', "", "billing cannot make its stream"),
    Fault(CONF, '"$JS.API.CONSUMER.MSG.NEXT.BILLING.*", ', "", "orders reads [] from BILLING"),
    Fault(CONF, "  users: [", "  default_permissions: {publish: \"bramble.>\"}\n  users: [", "admin may not publish"),
    Fault(CONF, "authorization {", "no_auth_user: reader\nauthorization {", "None gets in"),
    Fault(DOCKERFILE, "sha256=1b9f", "sha256=2b9f", "it takes DuckDB"),
    Fault(DOCKERFILE, " --bin hr-svc", "", "it builds"),
    Fault(DOCKERFILE, "hr-svc ledger-svc olap-consumer analytics-svc bramble; do", "ledger-svc olap-consumer analytics-svc bramble; do", "it copies"),
    Fault(DOCKERFILE, "USER 65532:65532", "USER 0:0", "runs as root"),
    Fault(DOCKERFILE, "rust:1.95-slim", "rust:1.90-slim", "it compiles with Rust 1.90"),
    Fault(DOCKERFILE, "LABEL ", "MAINTAINER nobody\nLABEL ", "DL4000"),
    Fault(IGNORE, "!proto\n", "", "not given proto"),
    Fault(IGNORE, "!crates\n", "", "no workspace"),
    Fault(IGNORE, "!proto\n", "!proto\n!.docker\n", "lets in .docker"),
    Fault("services/hr-svc/src/config.rs", "    #[command(flatten)]\n    pub server:", '    #[arg(long, env = "BRAMBLE_TAX_TABLES")]\n    pub tax_tables: String,\n    #[command(flatten)]\n    pub server:', "hr-svc: BRAMBLE_TAX_TABLES is not set"),
    Fault("services/hr-svc/src/lib.rs", "DEFAULT_PORT: u16 = 50054", "DEFAULT_PORT: u16 = 50064", "BRAMBLE_GRPC_ADDR is"),
    Fault("services/ledger-svc/src/lib.rs", 'name: "billing"', 'name: "orders"', "ledger reads [] from ORDERS"),
    Fault("services/tax-svc/Cargo.toml", "", "[package]\nname = \"tax-svc\"\n", "tax-svc is not in it"),
    Fault("crates/log/src/nats.rs", 'env = "BRAMBLE_NATS_USER"', 'env = "BRAMBLE_BUS_USER"', "BRAMBLE_NATS_USER is no setting of it"),
    Fault("proto/bramble/inventory/v1/inventory.proto", '{permission: "stock.reserve"}', '{permission: "stock.hold"}', "orders-svc is given a token for"),
]


def main() -> int:
    wanted = [fault for fault in FAULTS if all(word in f"{fault.file} {fault.becomes} {fault.said}" for word in sys.argv[1:])]
    if not wanted:
        print("no fault is meant by that")
        return 1
    missed = 0
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        tracked = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines()
        for name in tracked:
            if (ROOT / name).exists():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, copy / name)
        subprocess.run(["git", "-C", copy, "init", "--quiet"], check=True)
        subprocess.run(["git", "-C", copy, "add", "--all"], check=True)
        said = look(copy)
        if said[0] != 0:
            print(f"without a fault: {said[1]}")
            return 1
        for fault in wanted:
            missed += not found(copy, fault)
    print(f"{len(wanted) - missed} passed, {missed} failed")
    return 1 if missed else 0


def found(copy: Path, fault: Fault) -> bool:
    file = copy / fault.file
    before = file.read_text() if file.exists() else None
    if fault.was and (before is None or fault.was not in before):
        print(f"FAILED {fault.file}: it has no {fault.was!r}")
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    if fault.file.startswith("services/tax-svc"):
        shutil.copytree(copy / "services/hr-svc/src", file.parent / "src")
    file.write_text(before.replace(fault.was, fault.becomes, 1) if before is not None else fault.becomes)
    subprocess.run(["git", "-C", copy, "add", "--force", fault.file], check=True)
    code, said = look(copy)
    if before is not None:
        file.write_text(before)
    else:
        shutil.rmtree(file.parent)
    subprocess.run(["git", "-C", copy, "add", "--all"], check=True)
    if code == 1 and fault.said in said and "Traceback" not in said:
        print(f"found {fault.file}: {fault.said}")
        return True
    print(f"FAILED {fault.file}: {fault.becomes!r} is not found, or not named: {code} {said}")
    return False


def look(root: Path) -> tuple[int, str]:
    done = subprocess.run([sys.executable, ROOT / "tests/deploy/check.py", "--root", root], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
