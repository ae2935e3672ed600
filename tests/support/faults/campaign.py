"""One run: a server with one fault in it, clients around it, and the history of both."""

from __future__ import annotations

import math
import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Event, Thread

import psutil
from support.faults.history import History
from support.faults.load import PATIENCE_S, Load, a_spec
from support.faults.scenes import BASE, FITS, LEARNER, Digests, References, Scene, Stage, exported, tracked
from support.faults.servers import DisturbedServer
from support.faults.validators import violations

from learnfleet.v1 import training_service_pb2

_LATE_S = 30.0  # what happens behind the clients' backs may come after their last answer
_LEAST_EVENTS = 8

SEED = int(os.environ.get("FAULTS_SEED", "1"))
ROUNDS = int(os.environ.get("FAULTS_ROUNDS", "1"))  # runs of each fault, each with a seed of its own


@dataclass(frozen=True)
class Disturbed:
    """The server, its workers, and what undisturbed fits come to."""

    server: DisturbedServer
    workers: Callable[[], list[psutil.Process]]  # that train
    references: References
    is_light: bool = False  # the workers are, and MLflow is told of what it is asked about afterwards

    def kill_a_worker(self) -> None:
        random.Random(SEED).choice(self.workers()).kill()


@dataclass(frozen=True)
class Drain:
    """How a server ended that was not killed."""

    status: int
    took_s: float  # since it said that it stops; infinite if it did not
    cut_off: bool  # whether it left calls without an answer


@dataclass(frozen=True)
class Run:
    """What came of it."""

    history: History
    deaths: int  # by SIGKILL
    drains: Sequence[Drain]  # other ends
    wrong: Mapping[str, list[str]]  # by validator

    def __str__(self) -> str:
        lines = [f"{name}: {item}" for name, items in self.wrong.items() for item in items]
        return "\n".join(lines)


@dataclass
class Keeper:
    """Starts the server again, undisturbed, each time it has ended, while clients go on."""

    server: DisturbedServer
    deaths: int = 0
    drains: list[Drain] = field(default_factory=list)
    died: Event = field(default_factory=Event)
    error: Exception | None = None

    def __post_init__(self) -> None:
        self._leaving = Event()
        self._thread = Thread(target=self._keep, daemon=True)

    def __enter__(self) -> Keeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _keep(self) -> None:
        try:
            since_s = math.inf
            while not self._leaving.is_set():
                status = self.server.ended(0.05)
                if since_s == math.inf and "stopping:" in self.server.said():
                    since_s = time.monotonic()
                if status is not None:
                    self._note(status, time.monotonic() - since_s)
                    since_s = math.inf
                    self.server.start()
                    self.died.set()
        except Exception as error:
            self.error = error

    def _note(self, status: int, took_s: float) -> None:
        if status == -signal.SIGKILL:
            self.deaths += 1
        else:
            self.drains.append(Drain(status, abs(took_s), "cut off" in self.server.said()))


def prepare(server: DisturbedServer) -> References:
    """Make LEARNER on a running server, name its state BASE, and fit it on undisturbed."""
    load = Load(server.address, server.data_dir, seed=0)
    first = load.train(a_spec(pretrained=False), name=LEARNER.removeprefix("learners/"))
    load.until_state(first, "succeeded")
    load.call(load.training.Save, training_service_pb2.SaveRequest(learner=LEARNER, checkpoint_id=BASE))
    found = {f"fit {nth}": _digests(load, load.train(LEARNER)) for nth in range(1, FITS + 1)}
    go_back(load)
    found["long fit"] = _digests(load, Stage(load, lambda: None).fit_long())
    load.close()
    return found


def _digests(load: Load, job: str) -> Digests:
    checkpoint = load.until_state(job, "succeeded").result.checkpoint
    return checkpoint.model_sha256, checkpoint.optimizer_sha256


def go_back(load: Load) -> None:
    """LEARNER is as every scene finds it."""
    load.call(load.training.Load, training_service_pb2.LoadRequest(checkpoint=f"{LEARNER}/checkpoints/{BASE}"))


def play(
    disturbed: Disturbed, failpoints: str, scene: Scene, seed: int, patience_s: float = PATIENCE_S, sabotage: str = ""
) -> Run:
    """One run against a server that is started with these faults in it, and again without when it dies of them."""
    load = begin(disturbed, seed, patience_s)
    disturbed.server.kill()
    disturbed.server.sabotage = sabotage
    disturbed.server.tells_mlflow = not disturbed.is_light or scene in (tracked, exported)
    disturbed.server.start(failpoints)
    with Keeper(disturbed.server) as keeper:
        stage = Stage(load, disturbed.kill_a_worker)
        _act(scene, stage)
        if "=kill" in failpoints or "=term" in failpoints:
            keeper.died.wait(_LATE_S)
        history = load.settle(with_points=scene is tracked)
    run = end(disturbed, stage, history, keeper.deaths)
    return replace(run, drains=tuple(keeper.drains))


def observe(disturbed: Disturbed, scene: Scene, seed: int) -> Run:
    """One run against a server that is left alone: the fault is the scene's."""
    stage = Stage(begin(disturbed, seed), disturbed.kill_a_worker)
    _act(scene, stage)
    return end(disturbed, stage, stage.load.settle(), 0)


def begin(disturbed: Disturbed, seed: int, patience_s: float = PATIENCE_S) -> Load:
    """Clients of a server that runs, with LEARNER as every scene finds it."""
    server = disturbed.server
    if not server.runs:
        server.start()
    load = Load(server.address, server.data_dir, seed, patience_s=patience_s)
    load.clear()
    go_back(load)
    load.forget()
    return load


def _act(scene: Scene, stage: Stage) -> None:
    try:
        scene(stage)
    except AssertionError as error:  # it did not come to what it waited for; the validators say what is wrong
        stage.load.refusals.append(str(error))


def end(disturbed: Disturbed, stage: Stage, history: History, deaths: int) -> Run:
    """What is wrong with it."""
    wrong = violations(history)
    wrong |= _not_empty("refused", stage.load.refusals)
    if not deaths:
        wrong |= _not_empty("let in and not answered", stage.load.unanswered)
    wrong |= _not_empty("tensors", _other_tensors(history, stage.expects, disturbed.references))
    stage.load.close()
    return Run(history, deaths, (), wrong)


def _not_empty(name: str, items: list[str]) -> dict[str, list[str]]:
    return {name: items} if items else {}


def _other_tensors(history: History, expects: Mapping[str, str], references: References) -> list[str]:
    ended = {item.job: item for item in history.ended}
    found = []
    for job, reference in expects.items():
        if job in ended and ended[job].digests != references[reference]:
            found.append(f"{job}: ends {ended[job].state} with other tensors than the undisturbed {reference}")
    return found


def progressed(history: History) -> bool:
    """Whether so much happened that the run says something."""
    events = sum(len(watched.events) for watched in history.watched)
    return events >= _LEAST_EVENTS and any(item.state == "succeeded" for item in history.ended)


def hits(failpoint: str, seed: int, most: int) -> int:
    """At which hit it acts: another one with another seed."""
    return random.Random(f"{failpoint}/{seed}").randint(1, most)


def wait_until(holds: Callable[[], bool], within_s: float) -> bool:
    """Whether it came to be."""
    until = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True
