"""What docs/quickstart.md tells its reader to type, typed: every block, in its order, on two machines.

The machines are folders with a virtual environment each, that has this one's packages; `ssh` is a script that forwards
the port that the reader asks it to. Nothing else is changed but the ports, of which two machines would have one each.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.quickstart import LAPTOP, QUICKSTART, SERVER, Block, blocks

from learnfleet.server.commands.digits import write_digits

PROJECT = Path(__file__).parents[2]
STEP_S = 600
_SSH = f"""#!{sys.executable}
import re, socket, sys, threading
forward = re.search(r"-L ?(\\d+):127.0.0.1:(\\d+)", " ".join(sys.argv))
listener = socket.create_server(("127.0.0.1", int(forward[1])))
def pump(source, target):
    while data := source.recv(1 << 16):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)
while True:
    near, _ = listener.accept()
    far = socket.create_connection(("127.0.0.1", int(forward[2])))
    for pair in ((near, far), (far, near)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""


@dataclass
class Machine:
    """A reader's shell, in a folder of its own."""

    name: str
    home: Path
    port: int
    script: str = ""  # what the reader's Python session has been told
    staying: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home.mkdir()
        tools = self.home / "tools"
        tools.mkdir()
        (tools / "ssh").write_text(_SSH)
        (tools / "ssh").chmod(0o755)
        venv = self.home / "venv"
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        packages = next(venv.glob("lib/python*/site-packages"))
        (packages / "of-the-tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
        path = f"{venv / 'bin'}:{tools}:{os.environ['PATH']}"
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        self.environment = {**kept, "PATH": path, "HOME": str(self.home)}
        self.environment |= {"MPLBACKEND": "Agg", "LEARNFLEET_ADDRESS": f"127.0.0.1:{self.port}"}

    def run(self, block: Block, other: Machine) -> None:
        code = re.sub(r"-L 8470:127\.0\.0\.1:8470", f"-L {self.port}:127.0.0.1:{other.port}", block.code)
        code = re.sub(r"\b8470\b", str(self.port), code)
        code = code.replace("learnfleet serve", f"learnfleet serve --listen 127.0.0.1:{self.port}")
        if block.language == "python":
            self._python(code)
        elif block.stays:
            self._stay(code)
        else:
            self._end(["bash", "-euc", code])

    def _python(self, code: str) -> None:
        """A session goes on from block to block, so all before is told again, in a process that ends."""
        self.script += code

    def finish(self) -> None:
        """Run the Python session."""
        script = self.home / "session.py"
        script.write_text(self.script)
        self._end(["python", str(script)])

    def _end(self, command: list[str]) -> None:
        done = subprocess.run(
            command, cwd=self.home, env=self.environment, capture_output=True, text=True, timeout=STEP_S, check=False
        )
        assert done.returncode == 0, f"{command[-1]}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"

    def _stay(self, code: str) -> None:
        log = (self.home / "log").open("ab")
        command = ["bash", "-euc", f"exec {code}" if code.count("\n") == 1 else code]
        process = subprocess.Popen(
            command, cwd=self.home, env=self.environment, stdout=log, stderr=log, start_new_session=True
        )
        self.staying.append(process)
        until = time.monotonic() + STEP_S
        while not _answers(self.port):
            assert process.poll() is None, (self.home / "log").read_text()[-3000:]
            assert time.monotonic() < until, f"nothing listens after {STEP_S} s:\n{code}"
            time.sleep(0.1)

    def leave(self) -> None:
        for process in self.staying:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[dict[str, Machine]]:
    """The big machine has the project's sources; the laptop has them too, and the reader's pictures."""
    found = {name: Machine(name, tmp_path / name.replace(" ", "-"), _free_port()) for name in (SERVER, LAPTOP)}
    for machine in found.values():
        wanted = shutil.ignore_patterns(".git", ".venv", "*.egg-info", "__pycache__", ".*_cache", "demo-results")
        shutil.copytree(PROJECT, machine.home / "learnfleet", ignore=wanted)
    write_digits(found[LAPTOP].home / "digits", limit=400)
    _without_splits(found[LAPTOP].home / "digits", found[LAPTOP].home / "pictures")
    yield found
    for machine in found.values():
        machine.leave()


def _without_splits(digits: Path, pictures: Path) -> None:
    """One folder a class, as people keep pictures."""
    for path in [*digits.glob("train/*/*.png"), *digits.glob("valid/*/*.png")]:
        target = pictures / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)
    shutil.move(next(digits.glob("held_out/3/*.png")), pictures.parent / "new.png")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_command_of_the_quickstart_does_what_it_says(machines: dict[str, Machine]) -> None:
    found = blocks(QUICKSTART.read_text())
    assert {block.machine for block in found} == {SERVER, LAPTOP}
    others = {SERVER: machines[LAPTOP], LAPTOP: machines[SERVER]}
    previous: Block | None = None
    for block in found:
        if previous is not None and previous.language == "python" and block.language == "sh":
            machines[previous.machine].finish()
            machines[previous.machine].script = ""
        machines[block.machine].run(block, others[block.machine])
        previous = block
    if previous is not None and previous.language == "python":
        machines[previous.machine].finish()
