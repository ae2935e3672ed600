"""A virtual environment with Triton's client, which cannot be in one process with our own stubs of its protocol."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

VERSION = "2.73.0"


def triton_python() -> Path:
    """Its Python. Made once, in the user's cache; skips the test where packages cannot be had."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "learnfleet-tests" / f"tritonclient-{VERSION}-py{sys.version_info.major}{sys.version_info.minor}"
    python, done = folder / "bin" / "python", folder / "complete"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, timeout=120)
        install = [str(python), "-m", "pip", "install", "--quiet", f"tritonclient[grpc]=={VERSION}"]
        made = subprocess.run(install, capture_output=True, text=True, timeout=280, check=False)
        if made.returncode != 0:
            pytest.skip(f"tritonclient cannot be installed here: {made.stderr.strip()[-200:]}")
        done.touch()
    return python
