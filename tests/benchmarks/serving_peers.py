"""The others that serve the same export: a loop in one process, LitServe and Ray Serve, each with its own batching.

    python tests/benchmarks/serving_peers.py loop EXPORT PICTURES
    python tests/benchmarks/serving_peers.py litserve EXPORT PORT
    python tests/benchmarks/serving_peers.py ray-serve EXPORT PORT

All decode as the export says, compute by its predictor in one thread of torch, and answer probabilities. A server says
where it listens (`ready ADDRESS`) and ends with its standard input. Batches have at most eight pictures, which is the
fastest size on the machines that this was made on, and wait 5 ms for company. BentoML is in serving_bento.py.

The loop reads what to do from its standard input, a JSON object a line, and answers each with one: between its turns it
does nothing. `{"way": "ahead", "size": 8, "seconds": 4}` is answered by `{"rate": pictures/s}`, `{"single": 60}` by
`{"seconds": the median of as many single pictures}`, and `{"paused": [8.5, 7]}` by `{"seconds": [of one picture after
as many seconds without any]}`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

BATCH, WAIT_S = 8, 0.005
THREADS = "BENCH_THREADS"  # a variable of the environment: BentoML's workers have no arguments


def predictor_of(export: str, precision: str | None = None, channels_last: bool | None = None) -> Any:
    import torch

    from learnfleet.trainer import load_predictor

    torch.set_num_threads(int(os.environ.get(THREADS, "1")))
    return load_predictor(export, precision=precision, channels_last=channels_last)


def answers(predictor: Any, pictures: list[bytes]) -> list[list[float]]:
    pixels = [predictor.transform.pixels(content) for content in pictures]
    return [list(answer.prediction.probabilities) for answer in predictor.answer(pixels)]


# -- the loop


def plain_loop(predictor: Any, turns: Iterator[bytes], size: int) -> Callable[[], None]:
    """Decode a batch, compute it."""

    def step() -> None:
        answers(predictor, list(itertools.islice(turns, size)))

    return step


def ahead_loop(predictor: Any, turns: Iterator[bytes], size: int) -> Callable[[], None]:
    """Threads decode the next batch while one is computed."""
    from learnfleet.trainer.threads import helping_threads

    pool = helping_threads(2, "decode")

    def ahead() -> list[Future[Any]]:
        return [pool.submit(predictor.transform.pixels, next(turns)) for _ in range(size)]

    batches = [ahead()]

    def step() -> None:
        batches.append(ahead())
        pixels = [future.result() for future in batches.pop(0)]
        for answer in predictor.answer(pixels):
            list(answer.prediction.probabilities)

    return step


WAYS = {"plain": plain_loop, "ahead": ahead_loop}


def rate_of(predictor: Any, pictures: list[bytes], way: str, size: int, seconds: float) -> float:
    step = WAYS[way](predictor, itertools.cycle(pictures), size)
    step()
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        step()
        count += size
    return count / (time.perf_counter() - began)


def single_s(predictor: Any, pictures: list[bytes], count: int) -> float:
    took = []
    for content in itertools.islice(itertools.cycle(pictures), count + 5):
        began = time.perf_counter()
        answers(predictor, [content])
        took.append(time.perf_counter() - began)
    return sorted(took[5:])[count // 2]


def paused_s(predictor: Any, picture: bytes, pause_s: float) -> float:
    """A core that has slept is slow at first, and so is memory that its machine has taken back."""
    time.sleep(pause_s)
    began = time.perf_counter()
    answers(predictor, [picture])
    return time.perf_counter() - began


def loop(args: argparse.Namespace) -> None:
    pictures = [path.read_bytes() for path in sorted(Path(args.where).iterdir())]
    predictor = predictor_of(args.export, args.precision, True if args.channels_last else None)
    for line in sys.stdin:
        asked = json.loads(line)
        if "single" in asked:
            found = {"seconds": single_s(predictor, pictures, asked["single"])}
        elif "paused" in asked:
            found = {"seconds": [paused_s(predictor, pictures[0], pause_s) for pause_s in asked["paused"]]}
        else:
            found = {"rate": rate_of(predictor, pictures, asked["way"], asked["size"], asked["seconds"])}
        print(json.dumps(found), flush=True)


# -- servers


def litserve(args: argparse.Namespace) -> None:
    import litserve
    from serving_lit import Api

    server = litserve.LitServer(Api(args.export), accelerator="cpu", devices=1, workers_per_device=1)
    threading.Thread(target=_tell_when_listening, args=(args.where,), daemon=True).start()
    server.run(port=int(args.where), host="127.0.0.1", generate_client_file=False, log_level="error")


def ray_serve(args: argparse.Namespace) -> None:
    import ray
    from ray import serve

    @serve.deployment(max_ongoing_requests=64, ray_actor_options={"num_cpus": 0})
    class Model:
        def __init__(self) -> None:
            self.predictor = predictor_of(args.export)

        @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=WAIT_S)
        async def ask(self, pictures: list[bytes]) -> list[list[float]]:
            return answers(self.predictor, pictures)

        async def __call__(self, request: Any) -> Any:
            return {"probabilities": await self.ask(await request.body())}

    # Its own, whatever other Ray there is on the machine.
    ray.init(
        "local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR", namespace="serve"
    )
    serve.start(http_options={"host": "127.0.0.1", "port": int(args.where)})
    serve.run(Model.bind(), name="bench", route_prefix="/")
    print(f"ready {ray.get_runtime_context().gcs_address}", flush=True)
    sys.stdin.read()
    serve.shutdown()


def _tell_when_listening(port: str) -> None:
    import socket

    while True:
        try:
            socket.create_connection(("127.0.0.1", int(port)), timeout=1).close()
            break
        except OSError:
            time.sleep(0.1)
    print(f"ready 127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    for child in multiprocessing.active_children():  # LitServe's workers would live on, and ask for work all the time
        child.kill()
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("loop", "litserve", "ray-serve"))
    parser.add_argument("export")
    parser.add_argument("where")
    parser.add_argument("--precision")
    parser.add_argument("--channels-last", action="store_true")
    args = parser.parse_args()
    {"loop": loop, "litserve": litserve, "ray-serve": ray_serve}[args.what](args)


if __name__ == "__main__":
    main()
