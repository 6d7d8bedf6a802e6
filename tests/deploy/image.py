"""The Dockerfile: well-formed, builds what the workspace has, with the DuckDB that the tests run with, and lets no secret in."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from code_facts import Code


def check(code: Code) -> list[str]:
    file = code.root / ".docker/Dockerfile"
    linted = subprocess.run(["hadolint", "--no-color", file], capture_output=True, text=True)
    problems = (linted.stdout + linted.stderr).splitlines()
    text = file.read_text()

    programs = code.services.keys() | {"bramble"}
    for what, found in {
        "builds": set(re.findall(r"--bin ([\w-]+)", text)),
        "copies": set((re.search(r"for bin in ([\w -]+);", text) or ["", ""])[1].split()),
    }.items():
        if found != programs:
            problems.append(f"it {what} {sorted(found)} instead of {sorted(programs)}")

    parts = (code.root / "crates/stack/src/parts.rs").read_text()
    tried = set(re.findall(r'"(@duckdb/\S+)",\s+sha256: "(\w+)"', parts))
    taken = set(re.findall(r"package=(@duckdb/\S+) sha256=(\w+)", text))
    if len(tried) != 2 or taken != tried:
        problems.append(f"it takes DuckDB {sorted(taken)}, and crates/stack {sorted(tried)}")

    rust = re.search(r"rust:([\d.]+)-", text)
    if not rust or rust[1] != code.rust_version:
        problems.append(f"it compiles with Rust {rust and rust[1]}, and the workspace wants {code.rust_version}")
    last = text[text.rindex("\nFROM "):]
    if not re.search(r"^USER [1-9]\d*:[1-9]\d*$", last, re.MULTILINE):
        problems.append("its last stage runs as root")
    if re.search(r"^RUN", last, re.MULTILINE):
        problems.append("its last stage runs something, which needs an emulator for another processor")
    return problems + check_context(code)


def check_context(code: Code) -> list[str]:
    """That what the build is given is a workspace, and nothing that is a secret."""
    rules = [line for line in (code.root / ".docker/Dockerfile.dockerignore").read_text().splitlines() if line and line[0] != "#"]
    if rules[0] != "*" or not all(rule.startswith("!") for rule in rules[1:]):
        return [".docker/Dockerfile.dockerignore lets in more than it names"]
    given = [rule[1:] for rule in rules[1:]]
    problems = [f".docker/Dockerfile.dockerignore lets in {path}" for path in given if re.match(r"\.env|\.docker|\.git|\.bramble|k3s|target", path)]
    with tempfile.TemporaryDirectory() as scratch:
        for path in given:
            source, copy = code.root / path, Path(scratch) / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, copy)
            elif source.exists():
                shutil.copy(source, copy)
            else:
                problems.append(f"there is no {path} to build from")
        metadata = ["cargo", "metadata", "--format-version=1", "--no-deps", "--offline", "--locked"]
        read = subprocess.run(metadata, cwd=scratch, capture_output=True, text=True)
        if read.returncode != 0:
            problems.append(f"what the build is given is no workspace: {read.stderr.strip()}")
        # Statements and migrations are read at compile time.
        problems += [f"the build is not given {path}" for path in (".sqlx", "migrations", "proto") if not (Path(scratch) / path).exists()]
    return problems
