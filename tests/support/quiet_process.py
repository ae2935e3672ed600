"""A quiet server as a process of its own: `python -m support.quiet_process URL FOLDER`, until its input ends."""

from __future__ import annotations

import sys
from pathlib import Path

from support.quiet_server import QuietServer, until


def main(url: str, folder: str) -> None:
    server = QuietServer("one", Path(folder), url)
    server.cluster.finishes.set()
    until(server.leads)
    sys.stdout.write("leads\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
