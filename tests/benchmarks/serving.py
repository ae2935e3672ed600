"""Predictions over the wire: learnfleet, a loop in one process, LitServe and Ray Serve with the same export.

    python tests/benchmarks/serving.py [--only learnfleet,bf16,litserve,ray-serve,preds] [--seconds 8] [--json FILE]

resnet18 with random weights at 224 px, float32, one thread of torch; JPEG photos in, probabilities out. Clients live in
processes of their own, at most four, and ask without a pause; each case has a warm-up that does not count. The loop
decodes and computes in one process without any server: the best of serial and decoding ahead, of batches of 1 to 32.
It runs before and after all others, since the machine's speed drifts; the ratios are to the mean of the two.
BentoML is not measured: installed here it would exchange the OpenTelemetry that MLflow and Ray run with.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import photos
from timing import Row, report

from learnfleet.client import Client, ImageDataBunch, RemoteLearner
from learnfleet.server.commands.local_server import local_server

_HERE = Path(__file__).parent
_MODEL = "models/bench@best"
_PORT = 18473
_MOST_PROCESSES = 4
_ALL = "learnfleet,bf16,litserve,ray-serve,preds"


@dataclass
class Bench:
    """Where things are, and what was found."""

    scratch: Path
    seconds: float
    export: Path = Path()
    loops: list[dict[str, float]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    @property
    def pictures(self) -> Path:
        return self.scratch / "pictures"

    @property
    def loop_rate(self) -> float | None:
        return statistics.mean(max(found.values()) for found in self.loops) if self.loops else None

    def note(self, case: str, name: str, unit: str, value: float, ratio: float | None = None) -> None:
        self.rows.append(Row(case, name, unit, value, value, value, ratio))
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


def asked(bench: Bench, kind: str, address: str, clients: int, model: str = _MODEL) -> list[float]:
    """Seconds of each call of so many clients."""
    processes = min(clients, _MOST_PROCESSES)
    command = [sys.executable, str(_HERE / "serving_clients.py"), kind, address, str(bench.pictures)]
    command += ["--seconds", str(bench.seconds), "--model", model, "--clients", str(clients // processes)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    outputs = [process.communicate()[0] for process in running]
    return [took for output in outputs for took in json.loads(output)]


def cases(bench: Bench, name: str, kind: str, address: str, counts: Sequence[int] = (1, 8, 32)) -> None:
    for clients in counts:
        took = sorted(asked(bench, kind, address, clients))
        rate = len(took) / bench.seconds
        case = f"{clients} clients"
        ratio = None if bench.loop_rate is None else rate / bench.loop_rate
        bench.note(case, name, "pictures/s, ratio to the loop", rate, ratio)
        bench.note(case, f"{name} p50", "ms", statistics.median(took) * 1e3)
        bench.note(case, f"{name} p99", "ms", took[int(0.99 * (len(took) - 1))] * 1e3)


def loop(bench: Bench, *options: str, name: str = "loop") -> None:
    command = [sys.executable, str(_HERE / "serving_peers.py"), "loop", str(bench.export), str(bench.pictures)]
    command += ["--seconds", str(bench.seconds / 4), *options]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    if not options:
        bench.loops.append(found["rates"])
    best = max(found["rates"], key=found["rates"].get)
    bench.note("no server", f"{name}, {best}", "pictures/s", found["rates"][best])
    bench.note("no server", f"{name}, one picture", "ms", found["single_s"] * 1e3)


@contextlib.contextmanager
def peer(bench: Bench, what: str) -> Iterator[str]:
    command = [sys.executable, str(_HERE / "serving_peers.py"), what, str(bench.export), str(_PORT)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = ""
        while not line.startswith("ready "):
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"{what} did not come up")
        yield line.split()[1]
    finally:
        process.stdin.close()
        process.wait(60)


def trained(scratch: Path, client: Client) -> RemoteLearner:
    """A learner that has seen sixteen photos: what it says is of no account here."""
    data = ImageDataBunch.from_folder("few", valid="val", size=224, bs=8)
    learner = client.cnn_learner(data, "resnet18", pretrained=False)
    learner.fit(1)
    return learner


def learnfleet(bench: Bench, learner: RemoteLearner, client: Client, address: str) -> None:
    learner.export("bench", aliases=["best"])
    content = next(iter(sorted(bench.pictures.iterdir()))).read_bytes()
    began = time.perf_counter()
    client.predict(_MODEL, content)
    bench.note("first prediction after Export", "cold", "s", time.perf_counter() - began)
    learner.fit(1)
    learner.export("bench", aliases=["best"])
    began = time.perf_counter()
    client.predict(_MODEL, content)
    bench.note("first prediction after Export", "of a model that is loaded", "ms", (time.perf_counter() - began) * 1e3)
    bench.export = next((bench.scratch / "data").glob("models/bench/1/spec.json")).parent


def preds(bench: Bench, client: Client) -> None:
    """GetPreds on 1,000 pictures, the workers warm."""
    photos.copies(photos.real_photos(None, bench.scratch), bench.scratch / "many", 1000)
    data = ImageDataBunch.from_folder("many", valid="val", size=224, bs=8)
    learner = client.cnn_learner(data, "resnet18", pretrained=False)
    learner.get_preds(n_batch=1)
    began = time.perf_counter()
    rows = len(learner.get_preds("train")[0])
    rate = rows / (time.perf_counter() - began)
    ratio = None if bench.loop_rate is None else rate / bench.loop_rate
    bench.note(f"GetPreds of {rows} pictures", "learnfleet", "pictures/s, ratio to the loop", rate, ratio)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=_ALL)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    only = args.only.split(",")
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), args.seconds)
        run(bench, only)
        report("Predictions over the wire", bench.rows, args.json)


def run(bench: Bench, only: Sequence[str]) -> None:
    scratch = bench.scratch
    made_pictures(scratch, bench.pictures)
    few(photos.real_photos(None, scratch), scratch / "few")
    with contextlib.ExitStack() as held:
        options = ["--replicas-max", "1", "--cpu-slots", "1"]
        server = held.enter_context(local_server(scratch / "data", [scratch], scratch / "server.log", options=options))
        client = held.enter_context(Client.connect(server.address))
        learner = trained(scratch, client)
        learnfleet(bench, learner, client, server.address)
        loop(bench)
        if "learnfleet" in only:
            cases(bench, "learnfleet", "grpc", server.address)
        if "preds" in only:
            preds(bench, client)
    if "bf16" in only:
        fast(bench)
    if "litserve" in only:
        with peer(bench, "litserve") as address:
            cases(bench, "LitServe", "form", address)
    if "ray-serve" in only:
        with peer(bench, "ray-serve") as address:
            cases(bench, "Ray Serve handle", "handle", address)
            cases(bench, "Ray Serve HTTP", "http", f"127.0.0.1:{_PORT}")
    loop(bench)


def fast(bench: Bench) -> None:
    """The same data directory, served in bfloat16 and channels_last."""
    options = ["--replicas-max", "1", "--predict-precision", "bf16", "--predict-channels-last"]
    with local_server(bench.scratch / "data", [bench.scratch], bench.scratch / "fast.log", options=options) as server:
        cases(bench, "bf16, channels_last", "grpc", server.address, (1, 8))
    loop(bench, "--precision", "bf16", "--channels-last", name="loop in bf16, channels_last")


if __name__ == "__main__":
    main()
