"""A real NATS with the file of the deployment: it takes the file, each service can do all that its code does, and nobody anything else."""

import asyncio
import json
import random
import re
import socket
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import nats
from nats.aio.client import Client

import cluster
import compose
from code_facts import Code
from deployed import users

# Each would be something else than a password in nats.conf, .env or a URL if it were not quoted where it has to be.
PASSWORDS = ["12345678", "p@ss:w/o?rd#1", 'a b"c\\d', "$HOME", "true", "3e5", "{x: y}", "$(NO)"]
# By its whole name, since it is started with an environment of its own.
SERVER = shutil.which("nats-server") or "nats-server"
WRONG_LAST_SEQUENCE = 10_071
KEPT = "store_dir: /data\n"
# Each answer that is waited for is due, be the disk as slow as it may.
PATIENCE_S = 30
# Who builds something beside Bramble may hear of these.
PUBLIC = {"orders", "inventory", "billing"}


def check(code: Code) -> list[str]:
    text = (code.root / "k3s/base/nats.conf").read_text()
    missing = [line for line in (KEPT, "sync_interval: always\n", "listen: \"0.0.0.0:4222\"\n") if text.count(line) != 1]
    if missing:
        return [f"nats.conf has not once: {line.strip()}" for line in missing]
    values = passwords(code)
    env = {
        name: value
        for name, value in compose.interpolated(code, values)["nats"]["environment"].items()
        if name in values
    }
    problems = []
    if env != cluster.bus_environment(code, values):
        problems.append("docker-compose.yml and k3s give NATS different passwords")
    with tempfile.TemporaryDirectory() as scratch:
        conf = configure(code, Path(scratch), "/data")
        tested = subprocess.run([SERVER, "-t", "-c", conf], env=env, capture_output=True, text=True)
        if tested.returncode != 0:
            return [*problems, f"nats-server: {tested.stderr.strip()}"]
        for name in users(code).values():
            without = {key: value for key, value in env.items() if key != name}
            if subprocess.run([SERVER, "-t", "-c", conf], env=without, capture_output=True).returncode == 0:
                problems.append(f"nats-server would start without {name}")
    with running(code, env) as (url, _):
        return problems + asyncio.run(try_all(code, url, values))


def passwords(code: Code) -> dict[str, str]:
    values = {name: value or "x" for name, value in compose.variables(code).items()}
    return values | dict(zip(users(code).values(), cycle(PASSWORDS), strict=False))


def configure(code: Code, folder: Path, store: str) -> Path:
    """The deployment's file, but for where it keeps its streams."""
    text = (code.root / "k3s/base/nats.conf").read_text()
    conf = folder / "nats.conf"
    conf.write_text(text.replace(KEPT, f"store_dir: {store}\n"))
    return conf


@contextmanager
def running(code: Code, env: dict[str, str]) -> Iterator[tuple[str, Path]]:
    """A NATS with these passwords in its environment: its address, and the file of what it says."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        conf = configure(code, folder, str(folder / "streams"))
        said = folder / "said"
        with port() as serving, port() as monitor:
            command = [SERVER, "-c", conf, "-a", "127.0.0.1", "-p", str(serving), "-m", str(monitor), "-l", said]
            with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
                try:
                    yield f"nats://127.0.0.1:{serving}", said
                finally:
                    server.terminate()


@contextmanager
def port() -> Iterator[int]:
    """A port that no other launcher is given meanwhile: crates/stack/src/port.rs says how, and why."""
    while True:
        number = random.randrange(20_000, 30_000)
        with socket.socket(type=socket.SOCK_DGRAM) as held, socket.socket() as tried:
            try:
                held.bind(("127.0.0.1", number))
                tried.bind(("127.0.0.1", number))
            except OSError:
                continue
            tried.close()
            yield number
            return


class User:
    """One who is connected, and hears of each refusal."""

    def __init__(self, name: str, client: Client, refusals: list[str]):
        self.name, self.client, self.refusals = name, client, refusals

    @classmethod
    async def connect(cls, url: str, name: str, inbox: str, password: str) -> "User":
        refusals: list[str] = []

        async def refused(error: Exception) -> None:
            refusals.append(str(error))

        for attempt in range(100):
            try:
                client = await nats.connect(
                    url, user=name, password=password, inbox_prefix=inbox, error_cb=refused, allow_reconnect=False, connect_timeout=PATIENCE_S
                )
                return cls(name, client, refusals)
            except (OSError, nats.errors.NoServersError):
                # It is just starting.
                if attempt == 99:
                    raise
                await asyncio.sleep(0.05)
        raise AssertionError

    async def may_publish(self, subject: str) -> bool:
        # A reply address, since for some subjects a message without one is no request.
        await self.client.publish(subject, b"", reply=f"{self.client._inbox_prefix.decode()}.none")
        return await self._was_not_refused()

    async def may_subscribe(self, subject: str) -> bool:
        subscription = await self.client.subscribe(subject)
        may = await self._was_not_refused()
        if may:
            await subscription.unsubscribe()
        return may

    async def _was_not_refused(self) -> bool:
        self.refusals.clear()
        # The server answers in order, so that with the answer to a ping all refusals are here; but the client's first ping may overtake.
        await self.client.flush()
        await self.client.flush()
        return not self.refusals

    async def ask(self, subject: str, body: dict) -> dict:
        return await self.send(subject, json.dumps(body).encode(), {})

    async def send(self, subject: str, body: bytes, headers: dict[str, str]) -> dict:
        try:
            answer = await self.client.request(subject, body, headers=headers, timeout=PATIENCE_S)
        except nats.errors.TimeoutError:
            # As to one who may not ask.
            return {"error": {"description": f"no answer from {subject}"}}
        return json.loads(answer.data)


async def try_all(code: Code, url: str, values: dict[str, str]) -> list[str]:
    names = users(code)
    inboxes = {
        name: next((f"_INBOX.{service}" for service in code.services if service.split("-")[0] == name), f"_INBOX.{name}") for name in names
    }
    expected = {service.name.split("-")[0] for service in code.services.values() if "NatsConfig" in service.shared} | {"reader", "admin"}
    if expected != names.keys():
        return [f"the users of the bus are {sorted(names)} instead of {sorted(expected)}"]
    owners = [service.schema for service in code.services.values() if service.schema]
    follows = {service.name.split("-")[0]: service.follows for service in code.services.values()} | {"reader": PUBLIC}

    problems = await strangers_are_refused(url)
    connected = {name: await User.connect(url, name, inboxes[name], values[names[name]]) for name in names}
    everybody = list(connected.values())
    for owner in owners:
        problems += await works(connected[owner], owner, [user for user in everybody if owner in follows.get(user.name, set())])
    tried = 0
    # Whoever may do everything comes last: it takes away what the others look at.
    for user in sorted(everybody, key=lambda user: user.name == "admin"):
        for subject, may in rights(user.name, owners, follows.get(user.name, set()), inboxes):
            tried += 1
            verb, _, what = subject.partition(" ")
            found = await (user.may_publish(what) if verb == "publish" else user.may_subscribe(what))
            if found != may:
                problems.append(f"{user.name} {'may' if found else 'may not'} {subject}")
    for user in everybody:
        await user.client.close()
    print(f"  {tried} permissions of {len(everybody)} users tried")
    return problems


def rights(user: str, owners: list[str], follows: set[str], inboxes: dict[str, str]) -> Iterator[tuple[str, bool]]:
    """Every subject that matters, and whether this user may use it."""
    admin = user == "admin"
    for owner in owners:
        stream, own, reads = owner.upper(), owner == user, owner in follows
        yield f"publish bramble.{owner}.order.placed.v1", own or admin
        yield f"subscribe bramble.{owner}.>", (user == "reader" and reads) or admin
        for call, may in {
            f"STREAM.INFO.{stream}": own or reads,
            f"STREAM.CREATE.{stream}": own,
            f"STREAM.UPDATE.{stream}": own,
            # Reads all of a stream, so an integrator pulls instead.
            f"STREAM.MSG.GET.{stream}": own or (reads and user != "reader"),
            f"CONSUMER.CREATE.{stream}": reads,
            f"CONSUMER.CREATE.{stream}.one": reads,
            f"CONSUMER.MSG.NEXT.{stream}.one": reads,
            f"CONSUMER.DELETE.{stream}.one": reads,
            f"CONSUMER.CREATE.{stream}.one.bramble.>": False,
            f"CONSUMER.DURABLE.CREATE.{stream}.one": False,
            f"CONSUMER.NAMES.{stream}": False,
            f"CONSUMER.LIST.{stream}": False,
            f"DIRECT.GET.{stream}": False,
            f"STREAM.MSG.DELETE.{stream}": False,
            f"STREAM.PURGE.{stream}": False,
            f"STREAM.SNAPSHOT.{stream}": False,
            f"STREAM.RESTORE.{stream}": False,
            f"STREAM.DELETE.{stream}": False,
        }.items():
            yield f"publish $JS.API.{call}", may or admin
        yield f"publish $JS.ACK.{stream}.one.1.1.1.1.1", admin
    for call in ("INFO", "STREAM.NAMES", "STREAM.LIST", "STREAM.CREATE.OTHER"):
        yield f"publish $JS.API.{call}", admin
    for other, inbox in inboxes.items():
        yield f"subscribe {inbox}.>", other == user or admin
        yield f"publish {inbox}.guessed", admin
    for subject in (">", "*.>", "_INBOX.>", "bramble.>", "$JS.API.>", "$JS.EVENT.>"):
        yield f"subscribe {subject}", admin
    yield "publish bramble.other.thing.done.v1", admin


async def strangers_are_refused(url: str) -> list[str]:
    problems = []
    for name, password in ((None, None), ("orders", "wrong"), ("nobody", "12345678"), ("orders", "'12345678'")):
        try:
            client = await nats.connect(url, user=name, password=password, allow_reconnect=False, connect_timeout=PATIENCE_S, error_cb=ignore)
            await client.close()
            problems.append(f"{name} gets in with {password}")
        except nats.errors.Error as error:
            # Else it would be refused because nobody is there.
            if "authorization" not in str(error).lower():
                problems.append(f"{name} with {password}: {error!r}")
    return problems


async def ignore(_: Exception) -> None:
    pass


async def works(relay: User, source: str, readers: list[User]) -> list[str]:
    """The way of an event, as crates/log goes it: a stream made, looked at and changed, a batch published whole, and read by all who follow."""
    stream = source.upper()
    config = {
        "name": stream,
        "subjects": [f"bramble.{source}.>"],
        "storage": "file",
        "retention": "limits",
        "discard": "old",
        "max_bytes": 1 << 28,
        "allow_direct": True,
        "allow_atomic": True,
        "compression": "s2",
    }
    made = await relay.ask(f"$JS.API.STREAM.CREATE.{stream}", config)
    changed = await relay.ask(f"$JS.API.STREAM.UPDATE.{stream}", config)
    if "error" in made or "error" in changed:
        return [f"{relay.name} cannot make its stream: {made.get('error')} {changed.get('error')}"]
    problems = []
    if (acknowledged := await publish_batch(relay, source, 0)).get("seq") != 3:
        problems.append(f"{relay.name} published a batch and heard {acknowledged}")
    refused = (await publish_batch(relay, source, 0)).get("error", {})
    if refused.get("err_code") != WRONG_LAST_SEQUENCE:
        problems.append(f"{relay.name} is not fenced: {refused}")
    for user in [relay, *(reader for reader in readers if reader.name != "reader")]:
        last = await user.ask(f"$JS.API.STREAM.MSG.GET.{stream}", {"last_by_subj": f"bramble.{source}.>"})
        if last.get("message", {}).get("seq") != 3:
            problems.append(f"{user.name} cannot read the tail of {stream}: {last}")
    for reader in readers:
        asked = {"deliver_policy": "by_start_sequence", "opt_start_seq": 1, "ack_policy": "none", "mem_storage": True, "inactive_threshold": 5_000_000_000}
        consumer = await reader.ask(f"$JS.API.CONSUMER.CREATE.{stream}", {"stream_name": stream, "config": asked})
        read = await pull(reader, stream, consumer.get("name", "none"))
        if read != [b"event 1", b"event 2", b"event 3"]:
            problems.append(f"{reader.name} reads {read} from {stream}")
    return problems


async def publish_batch(relay: User, source: str, expected_last: int) -> dict:
    for number in (1, 2, 3):
        headers = {"Nats-Batch-Id": f"{source}-{expected_last}", "Nats-Batch-Sequence": str(number)}
        if number == 1:
            headers["Nats-Expected-Last-Sequence"] = str(expected_last)
        subject, body = f"bramble.{source}.thing.done.v1", f"event {number}".encode()
        if number < 3:
            await relay.client.publish(subject, body, headers=headers)
            continue
        return await relay.send(subject, body, headers | {"Nats-Batch-Commit": "1"})
    raise AssertionError


async def pull(reader: User, stream: str, consumer: str) -> list[bytes]:
    inbox = reader.client.new_inbox()
    arrivals = await reader.client.subscribe(inbox)
    await reader.client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", json.dumps({"batch": 3}).encode(), reply=inbox)
    try:
        return [(await arrivals.next_msg(timeout=PATIENCE_S)).data for _ in range(3)]
    except nats.errors.TimeoutError:
        return []
    finally:
        await arrivals.unsubscribe()


def violations(said: Path) -> list[str]:
    """What a server refused, by its own account."""
    return [line for line in said.read_text().splitlines() if re.search(r"Violation|authorization error|\[ERR\]", line)]
