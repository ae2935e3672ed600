"""`python -m deploycheck`: renders and checks every overlay and Dockerfile; what `make deploy-check` runs."""

from __future__ import annotations

import sys
from pathlib import Path

from deploycheck import locks
from deploycheck.check import check, summary
from deploycheck.dockerfiles import check_dockerfile
from deploycheck.objects import Finding, Manifests, load
from deploycheck.render import RenderError, render

DEPLOY = Path(__file__).parents[1]
OVERLAYS = DEPLOY / "kubernetes" / "overlays"
_SECRETS = DEPLOY / "kubernetes" / "secrets.txt"


def overlay_names() -> list[str]:
    return sorted(path.parent.name for path in OVERLAYS.glob("*/kustomization.yaml"))


def image_locks() -> list[Path]:
    return sorted(locks.FOLDER.glob("server.txt")) + sorted(locks.FOLDER.glob("worker-*.txt"))


def hand_made_secrets() -> frozenset[str]:
    """Names of the Secrets that whoever installs makes: no secret is in a manifest."""
    lines = (line.split("#")[0].split() for line in _SECRETS.read_text().splitlines())
    return frozenset(words[0] for words in lines if words)


def manifests_of(overlay: str) -> Manifests:
    """Raises RenderError."""
    versions = locks.agreed_versions(image_locks())
    return Manifests(load(render(OVERLAYS / overlay)), versions, hand_made_secrets())


def dockerfile_findings() -> list[Finding]:
    paths = sorted((DEPLOY / "images").glob("*.Dockerfile"))
    return [each for path in paths for each in check_dockerfile(path, DEPLOY.parent)]


def main() -> int:
    bad = 0
    for overlay in overlay_names():
        try:
            manifests = manifests_of(overlay)
        except (RenderError, ValueError) as error:
            sys.stdout.write(f"{error}\n")
            return 2
        bad += _tell(f"overlay {overlay}", summary(manifests), check(manifests))
    bad += _tell("Dockerfiles", "", dockerfile_findings())
    return 1 if bad else 0


def _tell(what: str, of: str, found: list[Finding]) -> int:
    sys.stdout.write(f"{what}: {of + ', ' if of else ''}{len(found)} findings\n")
    for each in found:
        sys.stdout.write(f"  {each}\n")
    return len(found)


if __name__ == "__main__":
    sys.exit(main())
