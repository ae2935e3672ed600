"""Generates the Python code of protos/learnfleet/{v1,oip} beside the .proto files (`make proto`)."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
PACKAGES = ("v1", "oip")


def generate(out: Path) -> None:
    """Write *_pb2.py, *_pb2.pyi and *_pb2_grpc.py of every .proto under `out`."""
    files = [path for package in PACKAGES for path in (ROOT / "learnfleet" / package).glob("*.proto")]
    protos = sorted(str(path.relative_to(ROOT)) for path in files)
    include = resources.files("grpc_tools") / "_proto"
    outputs = [f"--{kind}={out}" for kind in ("python_out", "pyi_out", "grpc_python_out")]
    if protoc.main(["protoc", f"-I{ROOT}", f"-I{include}", *outputs, *protos]) != 0:
        sys.exit("protoc failed")


if __name__ == "__main__":
    generate(ROOT)
