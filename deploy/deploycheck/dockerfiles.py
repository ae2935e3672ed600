"""Rules of Dockerfiles, after those of hadolint that matter here, and of this project.

| rule | what it wants | hadolint |
|---|---|---|
| pinned-base | each FROM has a tag other than latest, or a digest | DL3006, DL3007 |
| named-stage | stages are copied from by name | DL3022 |
| run-script | RUN starts a script of deploy/images, which `make` runs as well: no shell text here | DL3015, DL3042 |
| mounted-script | a script that RUN starts is mounted or copied before, and is there | |
| packages-apart | packages are installed where only a lock and a script are, and are a layer of the last stage | |
| not-root | the last USER of the last stage is a number above 0 | DL3002 |
| absolute-workdir | WORKDIR is absolute | DL3000 |
| copy-not-add | COPY, never ADD | DL3020 |
| exec-form | ENTRYPOINT and CMD are JSON lists, so that signals reach the process | DL3025 |
| one-entrypoint | one ENTRYPOINT, one CMD a stage | DL4003, DL4004 |
| no-secret | no ARG or ENV called after a secret | |
| labelled | the last stage says licence and source | |
| known-instruction | nothing that is deprecated or misspelt | DL4000 |
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from deploycheck.objects import Finding

_KNOWN = frozenset(
    ("FROM", "ARG", "ENV", "LABEL", "RUN", "COPY", "ADD", "WORKDIR", "USER", "EXPOSE", "ENTRYPOINT", "CMD")
)
_KNOWN_MORE = frozenset(("STOPSIGNAL", "VOLUME", "SHELL", "HEALTHCHECK", "ONBUILD"))
_SECRET = re.compile(r"(?i)(password|passwd|secret|token|api_?key|credential)")
_LABELS = ("org.opencontainers.image.licenses", "org.opencontainers.image.source")
_FLAG = re.compile(r"--\w+=\S+")
_PACKAGES = "deploy/images/install-packages.sh"
_LOCK = re.compile(r"deploy/locks/[\w.${}-]+\.txt")


@dataclass
class Stage:
    """One FROM and what follows it."""

    base: str
    name: str
    line: int
    instructions: list[tuple[int, str, str]] = field(default_factory=list)

    def all(self, *words: str) -> list[tuple[int, str]]:
        return [(line, rest) for line, word, rest in self.instructions if word in words]


def check_dockerfile(path: Path, root: Path) -> list[Finding]:
    """What is wrong in a Dockerfile whose build context is `root`."""
    lines = list(_instructions(path.read_text()))
    arguments, stages = _stages(lines)
    found = [
        _found("known-instruction", path, line, f"unknown {word}")
        for line, word, _ in lines
        if word not in _KNOWN | _KNOWN_MORE
    ]
    found += [each for stage in stages for each in _check_stage(path, root, stage, stages, arguments)]
    if not stages:
        return [*found, _found("pinned-base", path, 1, "has no FROM")]
    found += _check_last(path, stages[-1])
    found += _check_layers(path, stages)
    for line, word, rest in lines:
        if word in ("ARG", "ENV") and _SECRET.search(rest.split("=")[0]):
            found.append(_found("no-secret", path, line, f"{rest.split('=')[0]}: what is built in can be read by all"))
        if word == "ADD":
            found.append(_found("copy-not-add", path, line, "use COPY"))
    return found


def _check_stage(
    path: Path, root: Path, stage: Stage, stages: list[Stage], arguments: dict[str, str]
) -> Iterator[Finding]:
    base = re.sub(r"\$\{?(\w+)\}?", lambda name: arguments.get(name[1], ""), stage.base)
    earlier = {each.name for each in stages if each.line < stage.line}
    tag = base.rpartition(":")[2] if ":" in base.rpartition("/")[2] else ""
    if base not in earlier and "@sha256:" not in base and tag in ("", "latest"):
        yield _found("pinned-base", path, stage.line, f"{stage.base} needs a tag or a digest")
    for line, rest in stage.all("COPY"):
        source = re.search(r"--from=(\S+)", rest)
        if source and source[1] not in earlier:
            yield _found("named-stage", path, line, f"--from={source[1]} is no earlier stage's name")
    for line, rest in stage.all("WORKDIR"):
        if not rest.startswith("/"):
            yield _found("absolute-workdir", path, line, f"{rest} is not absolute")
    for word in ("ENTRYPOINT", "CMD"):
        given = stage.all(word)
        if len(given) > 1:
            yield _found("one-entrypoint", path, given[1][0], f"a second {word}")
        for line, rest in given:
            if not _is_list(rest):
                yield _found("exec-form", path, line, f"{word} must be a JSON list")
    for line, rest in stage.all("RUN"):
        yield from _check_run(path, root, stage, line, rest)


def _check_run(path: Path, root: Path, stage: Stage, line: int, rest: str) -> Iterator[Finding]:
    words = _FLAG.sub("", rest).split()
    script = next((word for word in words if "=" not in word), "")
    if re.search(r"[;&|`]|\$\(", _FLAG.sub("", rest)) or not re.fullmatch(r"[\w./-]+\.sh", script):
        yield _found(
            "run-script", path, line, f"'{' '.join(words)}' must start a script of deploy/images, and nothing more"
        )
        return
    here = root / "deploy" / "images" / Path(script).name
    mounted = "source=deploy/images" in rest
    copied = {source for _, each in stage.all("COPY") for source in _sources(each)}
    if not here.is_file() or not (mounted or copied & {".", "deploy", "deploy/images", script}):
        yield _found("mounted-script", path, line, f"{script} is not there, or not mounted for this RUN")


def _check_last(path: Path, stage: Stage) -> Iterator[Finding]:
    users = stage.all("USER")
    if not users or not re.fullmatch(r"[1-9]\d*(:\d+)?", users[-1][1]):
        yield _found("not-root", path, stage.line, "the last stage must end as USER with a number, as in 10001:10001")
    labels = " ".join(rest for _, rest in stage.all("LABEL"))
    for label in _LABELS:
        if label not in labels:
            yield _found("labelled", path, stage.line, f"the last stage needs LABEL {label}")


def _check_layers(path: Path, stages: list[Stage]) -> Iterator[Finding]:
    """A layer is made anew, and shipped again, when a file has changed that its stage has: sources change each time."""
    installing = [stage for stage in stages if any(_PACKAGES in rest for _, rest in stage.all("RUN"))]
    for stage in installing:
        for line, rest in stage.all("COPY"):
            for source in _sources(rest):
                if source != _PACKAGES and not _LOCK.fullmatch(source):
                    yield _found(
                        "packages-apart", path, line, f"{source}: a change of it would ship all packages again"
                    )
    last = stages[-1]
    if not any(f"--from={stage.name} " in rest for stage in installing for _, rest in last.all("COPY")):
        yield _found("packages-apart", path, last.line, f"copies nothing from the stage that runs {_PACKAGES}")


def _sources(copy: str) -> list[str]:
    """What a COPY copies."""
    return _FLAG.sub("", copy).split()[:-1]


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    begun, kept = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if not kept and (not line.strip() or line.lstrip().startswith("#")):
            continue
        if line.lstrip().startswith("#"):
            continue
        begun = begun if kept else number
        kept = f"{kept} {line.strip()}".strip()
        if kept.endswith("\\"):
            kept = kept[:-1].rstrip()
            continue
        word, _, rest = kept.partition(" ")
        yield begun, word.upper(), rest.strip()
        kept = ""


def _stages(lines: list[tuple[int, str, str]]) -> tuple[dict[str, str], list[Stage]]:
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for line, word, rest in lines:
        if word == "FROM":
            parts = re.sub(r"--platform=\S+\s*", "", rest).split()
            stages.append(Stage(parts[0], parts[2] if len(parts) == 3 else str(len(stages)), line))
        elif stages:
            stages[-1].instructions.append((line, word, rest))
        elif word == "ARG":
            name, _, value = rest.partition("=")
            arguments[name] = value
    return arguments, stages


def _is_list(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list)
    except ValueError:
        return False


def _found(rule: str, path: Path, line: int, message: str) -> Finding:
    return Finding(rule, f"{path.name}:{line}", message)
