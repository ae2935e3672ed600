"""Dockerfiles: the project's own, and an error planted for each rule."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deploycheck.__main__ import DEPLOY, dockerfile_findings
from deploycheck.dockerfiles import check_dockerfile

_SERVER = (DEPLOY / "images" / "server.Dockerfile").read_text()

_PLANTED = [
    ("python:3.11.14-slim-bookworm", "python", "pinned-base"),
    ("python:3.11.14-slim-bookworm", "python:latest", "pinned-base"),
    ("--from=project", "--from=3", "named-stage"),
    (
        "RUN deploy/images/install-project.sh",
        "RUN pip install mlflow && deploy/images/install-project.sh",
        "run-script",
    ),
    ("/images/add-user.sh", "useradd learnfleet", "run-script"),
    ("/images/add-user.sh", "/images/add-users.sh", "mounted-script"),
    ("RUN --mount=type=bind,source=deploy/images,target=/images ", "RUN ", "mounted-script"),
    ("COPY deploy/images/install-packages.sh deploy/images/\n", "", "mounted-script"),
    ("COPY deploy/locks/server.txt deploy/locks/\n", "COPY . .\n", "packages-apart"),
    ("COPY deploy/locks/server.txt deploy/locks/\n", "COPY deploy/locks/server.txt README.md ./\n", "packages-apart"),
    ("--from=packages", "--from=project", "packages-apart"),
    ("USER 10001:10001", "", "not-root"),
    ("USER 10001:10001", "USER root", "not-root"),
    ("USER 10001:10001", "USER 10001\nUSER 0", "not-root"),
    ("WORKDIR /src", "WORKDIR src", "absolute-workdir"),
    ("COPY . .", "ADD . .", "copy-not-add"),
    ('ENTRYPOINT ["learnfleet"]', "ENTRYPOINT learnfleet", "exec-form"),
    ('CMD ["serve"]', 'CMD ["serve"]\nCMD ["demo"]', "one-entrypoint"),
    ("EXPOSE 8470", "ENV MLFLOW_TRACKING_PASSWORD=x", "no-secret"),
    ("image.licenses", "image.licences", "labelled"),
    ("EXPOSE", "EXPOSES", "known-instruction"),
]


def test_nothing_is_found_in_the_projects_own() -> None:
    assert [str(each) for each in dockerfile_findings()] == []


@pytest.mark.parametrize(("good", "bad", "rule"), _PLANTED)
def test_a_planted_error_is_found(tmp_path: Path, good: str, bad: str, rule: str) -> None:
    path = tmp_path / "planted.Dockerfile"
    path.write_text(_SERVER.replace(good, bad))

    found = check_dockerfile(path, DEPLOY.parent)

    assert good in _SERVER
    assert rule in {each.rule for each in found}, [str(each) for each in found]


def test_both_images_begin_with_the_same_python() -> None:
    """A Ray client and its cluster must have the same one."""
    first = {
        line
        for path in (DEPLOY / "images").glob("*.Dockerfile")
        for line in path.read_text().splitlines()
        if "ARG PYTHON_IMAGE" in line
    }

    assert len(first) == 1


def test_make_runs_every_script_of_the_images() -> None:
    """Without a container, so that a script that fails is seen here and not where images are built."""
    made = (DEPLOY.parent / "Makefile").read_text()
    scripts = {f"deploy/images/{path.name}" for path in (DEPLOY / "images").glob("*.sh")}

    assert scripts
    assert {script for script in scripts if f"{script} " not in made} == set()


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("useradd") is None, reason="gives folders to another user")
def test_pods_run_as_the_user_that_images_make(tmp_path: Path) -> None:
    """And find the folders that their volumes are mounted on, theirs where they write."""
    (tmp_path / "etc").mkdir()
    for name in ("passwd", "group"):
        (tmp_path / "etc" / name).touch()
    subprocess.run([DEPLOY / "images" / "add-user.sh", tmp_path], check=True, capture_output=True)
    user = (tmp_path / "etc" / "passwd").read_text().split(":")[2]
    server = next(yaml.safe_load_all((DEPLOY / "kubernetes" / "base" / "server.yaml").read_text()))
    pod = server["spec"]["template"]["spec"]
    mounts = {each["mountPath"]: each for each in pod["containers"][0]["volumeMounts"]}
    writable = [path for path, each in mounts.items() if path.startswith("/var/") and not each.get("readOnly")]

    assert user == str(pod["securityContext"]["runAsUser"])
    assert len(writable) == 2
    assert {(tmp_path / path[1:]).stat().st_uid for path in writable} == {int(user)}
