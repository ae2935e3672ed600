"""An overlay as the YAML that would be applied, by kustomize."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_HOW = "neither kubectl nor kustomize is installed: install kubectl (https://kubernetes.io/docs/tasks/tools/)"


class RenderError(RuntimeError):
    """Kustomize refused the overlay, or is not there."""


def renderer() -> list[str] | None:
    """The command that renders a folder; None where there is none."""
    for command in (["kubectl", "kustomize"], ["kustomize", "build"]):
        if shutil.which(command[0]):
            return command
    return None


def render(overlay: Path) -> str:
    command = renderer()
    if command is None:
        raise RenderError(_HOW)
    done = subprocess.run([*command, str(overlay)], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RenderError(f"{overlay}: {done.stderr.strip()}")
    if "deprecated" in done.stderr:
        raise RenderError(f"{overlay}: {done.stderr.strip()}")
    return done.stdout
