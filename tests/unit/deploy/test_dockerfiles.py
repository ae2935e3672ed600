"""Dockerfiles: the project's own, and an error planted for each rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploycheck.__main__ import DEPLOY, dockerfile_findings
from deploycheck.dockerfiles import check_dockerfile

_SERVER = (DEPLOY / "images" / "server.Dockerfile").read_text()

_PLANTED = [
    ("python:3.11.14-slim-bookworm", "python", "pinned-base"),
    ("python:3.11.14-slim-bookworm", "python:latest", "pinned-base"),
    ("--from=build", "--from=0", "named-stage"),
    ("RUN deploy/images/make-venv.sh", "RUN pip install mlflow && deploy/images/make-venv.sh", "run-script"),
    ("/images/add-user.sh", "useradd learnfleet", "run-script"),
    ("/images/add-user.sh", "/images/add-users.sh", "mounted-script"),
    ("RUN --mount=type=bind,source=deploy/images,target=/images ", "RUN ", "mounted-script"),
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


def test_pods_run_as_the_user_that_images_make() -> None:
    made = (DEPLOY / "images" / "add-user.sh").read_text()
    told = [
        line.split()[1]
        for line in (DEPLOY / "kubernetes/base/server.yaml").read_text().splitlines()
        if "runAsUser" in line
    ]

    assert told
    assert all(f"--uid {user} " in made for user in told)
