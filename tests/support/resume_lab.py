"""Jobs that are killed at given places and started again, and what came of them.

`python -m support.resume_lab <folder>` reads scenarios from its standard input, a JSON object a line, and answers each
with one. Every attempt at a job runs in processes forked from it, after the slow imports, and every kill is a SIGKILL.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

TESTS = Path(__file__).parents[1]
JOB = "job"
_TIMELESS = ("time", "time_s", "epoch_time_s", "samples_per_s", "eta_s", "size_bytes")


@dataclass
class Scenario:
    """A job, and where it is interrupted.

    Args:
        stages: as `stage_to_json` gives them.
        callbacks: of the learner, as (name, arguments).
        learner: further arguments of the learner, see `_learner_of`.
        data: "memory" or "pictures".
        files: what is in the job's folder before it begins, by name.
        every_steps: a checkpoint after so many steps.
        waits: training waits for each checkpoint to be written, so that a kill finds it there.
        kills: one an attempt: [place, when, rank]. Place is the name of an event, or "validation", at global step
            `when` or the first after it; "write" is the `when`-th durable write of a checkpoint; "stop" is a polite
            request to stop at that step.
        worlds: the number of ranks of each attempt; empty: `world_size` of all.
        notes_order: tell which items each training step had, in their order in the global batch.
    """

    stages: list[dict[str, Any]]
    callbacks: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    learner: dict[str, Any] = field(default_factory=dict)
    data: str = "memory"
    files: dict[str, str] = field(default_factory=dict)
    world_size: int = 1
    every_steps: int | None = 2
    waits: bool = False
    kills: list[tuple[str, int, int]] = field(default_factory=list)
    worlds: list[int] = field(default_factory=list)
    notes_order: bool = False

    def world_of(self, attempt: int) -> int:
        """Attempts are counted from 1."""
        return self.worlds[attempt - 1] if self.worlds else self.world_size


class Lab:
    """The client's end of such a process."""

    def __init__(self, folder: Path) -> None:
        path = os.pathsep.join([str(TESTS), str(TESTS.parent / "trainer"), os.environ.get("PYTHONPATH", "")])
        self._folder, self._count = folder, 0
        self._wholes: dict[str, dict[str, Any]] = {}
        self._log = (folder / "lab.log").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.resume_lab", str(folder)],
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._log.close()

    def run(self, scenario: Scenario) -> dict[str, Any]:
        """What came of the job with the kills. Raises AssertionError with the log where an attempt failed by itself."""
        self._count += 1
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([f"{self._count}", asdict(scenario)]) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline() or '{"error": "the lab has died"}')
        assert "error" not in answer, f"{answer['error']}\n{(self._folder / 'lab.log').read_text()[-4000:]}"
        return answer

    def whole(self, scenario: Scenario) -> dict[str, Any]:
        """What comes of the job without kills."""
        undisturbed = Scenario(**{**asdict(scenario), "kills": []})
        key = json.dumps(asdict(undisturbed), sort_keys=True)
        if key not in self._wholes:
            self._wholes[key] = self.run(undisturbed)
        return self._wholes[key]

    def check(self, scenario: Scenario) -> dict[str, Any]:
        """Assert that the kills have left no trace. Returns what came of the killed job."""
        whole, killed = self.whole(scenario), self.run(scenario)
        for name in ("model", "optimizer", "metrics", "exact"):
            assert [rank[name] for rank in killed["ranks"]] == [rank[name] for rank in whole["ranks"]], name
        assert all(rank["exact"] for rank in killed["ranks"])
        assert killed["events"] == whole["events"]
        assert killed["files"] == whole["files"]
        for position, saved in killed["checkpoints"].items():
            expected = whole["checkpoints"].get(position, saved)
            for part in saved:
                found = differing(saved[part], expected[part])
                assert not found, f"{part} of the checkpoint at {position}: {json.dumps(found, indent=1)}"
        return killed


def differing(one: Any, other: Any) -> dict[str, Any]:
    """The parts of two JSON-able values that are not alike."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        parts = {name: differing(one.get(name), other.get(name)) for name in {*one, *other}}
        return {name: part for name, part in parts.items() if part}
    return {} if one == other else {"here": one, "there": other}


# --- the lab's end


def _main(folder: Path) -> None:
    import support.resume_jobs as jobs

    jobs.pictures(folder)  # before ranks could make them side by side
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what callbacks print is no answer
    for line in sys.stdin:
        number, values = json.loads(line)
        scenario = Scenario(**values)
        own = folder / number
        try:
            answer = _answer(own, scenario, jobs.attempt)
        except Exception as error:  # the next scenario may do better
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


Attempt = Callable[[Path, int, int, Scenario, "tuple[str, int, int] | None"], None]


def _answer(folder: Path, scenario: Scenario, attempt: Attempt) -> dict[str, Any]:
    folder.mkdir()
    for name, content in scenario.files.items():
        (folder / name).write_text(content)
    for number, kill in enumerate([*scenario.kills, None], start=1):
        if _start(folder, number, scenario, kill, attempt) and (folder / "result0.json").exists():
            break
    ranks = [json.loads((folder / f"result{rank}.json").read_text()) for rank in range(scenario.world_of(number))]
    return {
        "ranks": ranks,
        "attempts": number,
        "events": _events(folder),
        "checkpoints": _checkpoints(folder / "checkpoints"),
        "files": _files(folder),
        "order": _order(folder, [scenario.world_of(attempt) for attempt in range(1, number + 1)]),
    }


def _start(folder: Path, number: int, scenario: Scenario, kill: Any, attempt: Attempt) -> bool:
    """One attempt. True when it ended by itself. Raises when a rank failed without having been killed."""
    from support.ranks import fork_ranks

    def body(rank: int) -> None:
        attempt(folder, number, rank, scenario, kill)

    ended = fork_ranks(scenario.world_of(number), body)
    if not ended and not (folder / f"killed{number}").exists():
        raise RuntimeError(f"attempt {number} of {folder.name} failed by itself")
    return ended


def kill_now(folder: Path, number: int) -> None:
    """End this process without a word, but for a file that tells the lab."""
    (folder / f"killed{number}").touch()
    os.kill(os.getpid(), signal.SIGKILL)


def timeless(value: Any) -> Any:
    """JSON-able data without what no clock repeats."""
    if isinstance(value, Mapping):
        if value.get("names") and "time" in value["names"]:  # an epoch event
            value = {**value, "values": value["values"][: value["names"].index("time")]}
        if "lines" in value:  # of a CSVLogger
            value = {**value, "lines": [_without_time(line) for line in value["lines"]]}
        return {name: timeless(item) for name, item in value.items() if name not in (*_TIMELESS, "KillAt")}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def _without_time(line: str) -> str:
    return line.rpartition(",")[0]


def _events(folder: Path) -> dict[str, Any]:
    """What was told on rank 0, by id. Batches are told by the clock, and checkpoints name their attempt."""
    lines = (folder / "events0.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    return {event_id: timeless(data) for event_id, kind, data in told if kind not in ("batch", "checkpoint")}


def _checkpoints(root: Path) -> dict[str, Any]:
    """Hashes and state of every checkpoint, by its position in the job."""
    found: dict[str, Any] = {}
    for folder in sorted(root.iterdir()):
        assert folder.suffix not in (".corrupt",), folder
        if folder.suffix:
            continue
        state = json.loads((folder / "state.json").read_text())
        files = json.loads((folder / "manifest.json").read_text())["files"]
        hashes = {name: entry["sha256"] for name, entry in files.items() if name.endswith(".safetensors")}
        found[json.dumps(state["job"]["position"])] = {**hashes, "state": timeless(state)}
    return found


def _order(folder: Path, worlds: Sequence[int]) -> dict[str, list[int]]:
    """The items of each step, put together from its ranks'; of a step that was done again, the last time."""
    steps: dict[str, list[int]] = {}
    for attempt, world_size in enumerate(worlds, start=1):
        paths = [folder / f"order{attempt}-{rank}.jsonl" for rank in range(world_size)]
        noted = [dict(json.loads(line) for line in path.read_text().splitlines()) for path in paths if path.exists()]
        for step in set.intersection(*map(set, noted)) if noted else ():  # a killed rank may be a step behind
            parts = [rank[step] for rank in noted]
            steps[step] = [part[place] for place in range(len(parts[0])) for part in parts if place < len(part)]
    return steps


def _files(folder: Path) -> dict[str, Any]:
    """Tables that callbacks have written, and the hashes of what they have saved."""
    tables = sorted(folder.glob("*.csv"))
    saves = sorted(folder.glob("models/*/*.safetensors"))
    return {
        **{path.name: [_without_time(line) for line in path.read_text().splitlines()] for path in tables},
        **{str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in saves},
    }


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
