"""Predictions over the wire: learnfleet, a loop in one process, LitServe, Ray Serve and BentoML with the same export.

    python tests/benchmarks/serving.py [--only learnfleet,bf16,litserve,ray-serve,bentoml,preds] [--rounds 3]
        [--threads 1] [--replicas 1]

resnet18 with random weights at 224 px, float32, each with so many threads of torch; JPEG photos in, probabilities out.
Clients live in processes of their own, at most four, and ask without a pause; each case has a warm-up that does not
count. The loop decodes and computes in one process without any server, in the fastest of ten ways (serial or decoding
ahead, batches of 1 to 32). It takes a turn before and after every round, since the machine's speed drifts; a round's
ratio is to the mean of the two, and that of a case is the median of its rounds. Servers are one after another; an idle
one computes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import photos
from serving_bento import bento_python
from serving_loop import Loop, loop_of
from serving_peers import THREADS
from timing import Row, report

from learnfleet.client import Client, DatasetType, ImageDataBunch, RemoteLearner
from learnfleet.server.commands.local_server import local_server

_HERE = Path(__file__).parent
_MODEL = "models/bench@best"
_MOST_PROCESSES = 4
# Ray Serve's own cluster, for its server and its clients. learnfleet's has a token of its own.
_PEER_ENVIRONMENT = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
_ALL = ("learnfleet", "bf16", "litserve", "ray-serve", "bentoml", "preds")


@dataclass
class Bench:
    """Where things are, and what was found."""

    scratch: Path
    seconds: float  # of a round
    rounds: int
    threads: int  # of torch, in whatever computes
    replicas: int  # of learnfleet, which share the threads
    export: Path = Path()
    own: dict[int, float] = field(default_factory=dict)  # learnfleet's ratio to the loop in float32, by clients
    rows: list[Row] = field(default_factory=list)

    @property
    def title(self) -> str:
        threads = f", {self.threads} threads" if self.threads > 1 else ""
        return f"Predictions over the wire{threads}{f' of {self.replicas} replicas' if self.replicas > 1 else ''}"

    @property
    def options(self) -> list[str]:
        """Of learnfleet's server."""
        replicas, threads = str(self.replicas), str(self.threads // self.replicas)
        return ["--replicas-min", replicas, "--replicas-max", replicas, "--replica-threads", threads]

    @property
    def pictures(self) -> Path:
        return self.scratch / "pictures"

    def note(
        self, case: str, name: str, unit: str, found: float | Sequence[float], ratios: Sequence[float] = ()
    ) -> None:
        """A figure, or one of each round."""
        values = [found] if isinstance(found, float) else found
        ratio = statistics.median(ratios) if ratios else None
        self.rows.append(Row(case, name, unit, statistics.median(values), min(values), max(values), ratio))
        print(self.rows[-1].text, flush=True)


def made_pictures(scratch: Path, to: Path, count: int = 64) -> None:
    to.mkdir()
    found = sorted((photos.real_photos(None, scratch) / "train").rglob("*.jpg"))[:count]
    for number, path in enumerate(found):
        shutil.copyfile(path, to / f"{number:03}.jpg")


def few(source: Path, to: Path, each: int = 8) -> None:
    """So many photos of each class, to train on and to validate on."""
    for folder in [folder for part in ("train", "val") for folder in sorted((source / part).iterdir())]:
        target = to / folder.parent.name / folder.name
        target.mkdir(parents=True)
        for path in sorted(folder.iterdir())[:each]:
            shutil.copyfile(path, target / path.name)


def asked(bench: Bench, kind: str, address: str, clients: int, model: str = _MODEL) -> tuple[float, list[float]]:
    """Pictures/s of so many clients, and the seconds of each call, sorted."""
    processes = min(clients, _MOST_PROCESSES)
    command = [sys.executable, str(_HERE / "serving_clients.py"), kind, address, str(bench.pictures)]
    command += ["--seconds", str(bench.seconds), "--model", model, "--clients", str(clients // processes)]
    environment = {**os.environ, **_PEER_ENVIRONMENT} if kind == "handle" else None
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(processes)]
    outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError(f"clients of the kind {kind} failed; what they say is above")
    found = [json.loads(output) for output in outputs]
    if sizes := sum((Counter(each["sizes"]) for each in found), Counter()):
        print(f"    pictures in batches of {dict(sorted(sizes.items(), key=lambda pair: int(pair[0])))}", flush=True)
    return sum(each["rate"] for each in found), sorted(took for each in found for took in each["took"])


def cases(
    bench: Bench, loop: Loop, name: str, kind: str, address: str, counts: Sequence[int] = (1, 8, 32)
) -> dict[int, float]:
    """Ratios to the loop, by clients: the median of the rounds."""
    found = {}
    for clients in counts:
        rates, p50s, p99s, ratios, to_single = [], [], [], [], []
        for _ in range(bench.rounds):
            rate, took = asked(bench, kind, address, clients)
            loop.turn(bench.seconds / 2)
            rates.append(rate)
            p50s.append(statistics.median(took) * 1e3)
            p99s.append(took[int(0.99 * (len(took) - 1))] * 1e3)
            ratios.append(rate / loop.rate)
            to_single.append(p50s[-1] / (loop.single_s * 1e3))
        case = f"{clients} client{'s'[: clients > 1]}"
        found[clients] = statistics.median(ratios)
        bench.note(case, name, "pictures/s, ratio to the loop", rates, ratios)
        bench.note(case, f"{name} p50", "ms, ratio to one in the loop", p50s, to_single if clients == 1 else ())
        to_p50 = [p99 / p50 for p99, p50 in zip(p99s, p50s, strict=True)]
        bench.note(case, f"{name} p99", "ms, ratio to p50", p99s, to_p50)
    return found


def chosen(bench: Bench, loop: Loop, name: str = "loop") -> None:
    """The fastest way to write the loop, and its first turn."""
    found = loop.choose(bench.seconds / 4)
    loop.turn(bench.seconds / 2)
    way, size = loop.best
    print({f"{way} {size}": round(rate, 1) for (way, size), rate in found.items()}, flush=True)
    bench.note("no server", f"{name}, {way} {size}", "pictures/s", loop.rate)
    bench.note("no server", f"{name}, one picture", "ms", loop.single_s * 1e3)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def peer(bench: Bench, what: str) -> Iterator[tuple[str, str]]:
    """Where it listens, and its HTTP."""
    port = free_port()
    if what == "bentoml":
        command = [str(bento_python()), str(_HERE / "serving_bento.py"), str(bench.export), str(port)]
    else:
        command = [sys.executable, str(_HERE / "serving_peers.py"), what, str(bench.export), str(port)]
    environment = {**os.environ, **_PEER_ENVIRONMENT, "OMP_NUM_THREADS": str(bench.threads)}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = ""
        while not line.startswith("ready "):
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("it did not come up")
        yield line.split()[1], f"127.0.0.1:{port}"
    finally:
        process.stdin.close()
        process.wait(60)


def trained(client: Client) -> RemoteLearner:
    """A learner that has seen sixteen photos: what it says is of no account here."""
    data = ImageDataBunch.from_folder("few", valid="val", size=224, bs=8)
    learner = client.cnn_learner(data, "resnet18", pretrained=False)
    learner.fit(1)
    return learner


@dataclass
class FirstPredictions:
    """After Export returns, in ms."""

    cold: float  # of a server that has not predicted yet
    loaded: list[float]  # of a model whose version before was loaded
    pauses_s: list[float]  # in which it was trained and exported, and nobody asked


def first_predictions(bench: Bench, learner: RemoteLearner, client: Client) -> FirstPredictions:
    content = next(iter(sorted(bench.pictures.iterdir()))).read_bytes()

    def first() -> float:
        made = learner.export("bench", aliases=["best"])
        began = time.perf_counter()
        answer = client.predict(_MODEL, content)
        took_ms = (time.perf_counter() - began) * 1e3
        assert answer.model_used == made.name, f"{answer.model_used} answered, not {made.name}"
        return took_ms

    def again() -> tuple[float, float]:
        began = time.perf_counter()
        learner.fit(1)
        took_ms = first()
        return took_ms, time.perf_counter() - began

    cold, found = first(), [again() for _ in range(5)]
    return FirstPredictions(cold, [took_ms for took_ms, _ in found], [pause_s for _, pause_s in found])


def note_first(bench: Bench, found: FirstPredictions, loop: Loop) -> None:
    """Beside what the loop takes when it has done nothing for as long."""
    paused = [took_s * 1e3 for took_s in loop.after_pauses_s(found.pauses_s)]
    cases = (
        ("cold", [found.cold]),
        ("of a model that is loaded", found.loaded),
        ("loop, after as long a pause", paused),
    )
    for name, took in cases:
        ratios = [took_ms / (loop.single_s * 1e3) for took_ms in took]
        bench.note("first prediction after Export", name, "ms, ratio to one in the loop", took, ratios)


def preds(bench: Bench, loop: Loop, client: Client) -> None:
    """GetPreds on 1,000 pictures, the workers warm, as many as the loop has threads: each takes one core."""
    photos.copies(photos.real_photos(None, bench.scratch), bench.scratch / "many", 1000)
    data = ImageDataBunch.from_folder("many", valid="val", size=224, bs=8)
    learner = client.cnn_learner(data, "resnet18", pretrained=False, num_workers=bench.threads)
    learner.get_preds(n_batch=1)
    loop.turn(bench.seconds / 2)
    rates, ratios = [], []
    for _ in range(bench.rounds):
        began = time.perf_counter()
        rows = len(learner.get_preds(DatasetType.Train)[0])
        rates.append(rows / (time.perf_counter() - began))
        loop.turn(bench.seconds / 2)
        ratios.append(rates[-1] / loop.rate)
    bench.note(f"GetPreds of {rows} pictures", "learnfleet", "pictures/s, ratio to the loop", rates, ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(_ALL))
    parser.add_argument("--seconds", type=float, default=6, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of torch, in whatever computes")
    parser.add_argument("--replicas", type=int, default=1, help="of learnfleet, which share the threads")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    os.environ[THREADS] = str(args.threads)  # for the loop and the peers
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), args.seconds, args.rounds, args.threads, args.replicas)
        run(bench, args.only.split(","))
        report(bench.title, bench.rows, args.json)


def run(bench: Bench, only: Sequence[str]) -> None:
    scratch = bench.scratch
    made_pictures(scratch, bench.pictures)
    few(photos.real_photos(None, scratch), scratch / "few")
    with contextlib.ExitStack() as held:
        with contextlib.ExitStack() as serving:
            options = [*bench.options, "--cpu-slots", str(bench.threads)]
            log = scratch / "server.log"
            server = serving.enter_context(local_server(scratch / "data", [scratch], log, options=options))
            client = serving.enter_context(Client.connect(server.address))
            firsts = first_predictions(bench, trained(client), client)
            bench.export = next((scratch / "data").glob("models/bench/1-*/spec.json")).parent
            loop = held.enter_context(loop_of(bench.export, bench.pictures))
            chosen(bench, loop)
            note_first(bench, firsts, loop)
            if "learnfleet" in only:
                bench.own = cases(bench, loop, "learnfleet", "grpc", server.address)
            if "preds" in only:
                preds(bench, loop, client)
        if "bf16" in only:
            fast(bench, loop)
        for what, kinds in _PEERS.items():
            if what not in only:
                continue
            try:
                with peer(bench, what) as (address, http):
                    for name, kind in kinds:
                        cases(bench, loop, name, kind, http if kind == "http" else address)
            except RuntimeError as error:  # the figures of the others are not lost with it
                print(f"{what} is not measured: {error}", flush=True)


_PEERS = {
    "litserve": [("LitServe", "form")],
    "ray-serve": [("Ray Serve handle", "handle"), ("Ray Serve HTTP", "http")],
    "bentoml": [("BentoML", "form")],
}


def fast(bench: Bench, loop: Loop) -> None:
    """The same data directory, served in bfloat16 and channels_last. Its own ratio is to the float32 of this run."""
    options = [*bench.options, "--predict-precision", "bf16", "--predict-channels-last"]
    with local_server(bench.scratch / "data", [bench.scratch], bench.scratch / "fast.log", options=options) as server:
        ratios = cases(bench, loop, "bf16, channels_last", "grpc", server.address, (1, 8))
    for clients in ratios.keys() & bench.own.keys():
        gain = ratios[clients] / bench.own[clients]
        bench.note(f"{clients} clients", "bf16, channels_last", "times learnfleet in float32", gain, [gain])
    with loop_of(bench.export, bench.pictures, "--precision", "bf16", "--channels-last") as fast_loop:
        chosen(bench, fast_loop, "loop in bf16, channels_last")


if __name__ == "__main__":
    main()
