"""Clients that ask for predictions, in a process of their own. As JSON on standard output: the rate of all together in
pictures/s, what each call took in s, and of learnfleet how many pictures were in batches of which size.

    python tests/benchmarks/serving_clients.py KIND ADDRESS PICTURES --clients 8 --seconds 10 [--model models/m@a]

Each client is a thread with a connection of its own that asks for one picture after another, without a pause. KIND:
grpc (learnfleet), http (the bytes as the body), form (the bytes as a file of a form), handle (Ray Serve).

A call that is under way when the time begins or ends counts as far as it is within: to count whole ones only would be
up to a call a client too few.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

_BOUNDARY = "a1b2c3d4e5f6"
_FORM = f"multipart/form-data; boundary={_BOUNDARY}"
_WARM_UP_S = 1.5

Ask = Callable[[bytes], object]


@contextmanager
def grpc_asking(address: str, model: str) -> Iterator[Ask]:
    from learnfleet.client import Client

    with Client.connect(address) as client:
        yield lambda content: client.predict(model, content)


@contextmanager
def http_asking(address: str, as_form: bool) -> Iterator[Ask]:
    host, _, port = address.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=120)
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="content"; filename="a.jpg"\r\n'.encode()
    head += b"Content-Type: image/jpeg\r\n\r\n"
    tail = f"\r\n--{_BOUNDARY}--\r\n".encode()

    def ask(content: bytes) -> object:
        body = head + content + tail if as_form else content
        kind = _FORM if as_form else "application/octet-stream"
        connection.request("POST", "/predict", body, {"Content-Type": kind})
        reply = connection.getresponse()
        answer = reply.read()
        if reply.status != 200:
            raise RuntimeError(f"status {reply.status}: {answer[:200]!r}")
        return json.loads(answer)

    yield ask
    connection.close()


@contextmanager
def handle_asking(address: str) -> Iterator[Ask]:
    from ray import serve

    handle = serve.get_app_handle("bench")
    yield lambda content: handle.ask.remote(content).result()


def asking(kind: str, address: str, model: str) -> Iterator[Ask]:
    if kind == "grpc":
        return grpc_asking(address, model)  # type: ignore[return-value]
    return handle_asking(address) if kind == "handle" else http_asking(address, kind == "form")  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("kind", "address"):
        parser.add_argument(name)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--model", default="")
    args = parser.parse_args()
    pictures = [path.read_bytes() for path in sorted(args.pictures.iterdir())]
    if args.kind == "handle":
        import ray

        ray.init(args.address, namespace="serve", log_to_driver=False, logging_level="ERROR")
    found: list[tuple[float, float]] = []  # (share that was within the time, seconds it took)
    sizes: Counter[int] = Counter()
    barrier = Barrier(args.clients)

    def ask_on(number: int) -> None:
        with asking(args.kind, args.address, args.model) as ask:  # type: ignore[attr-defined]
            ask(pictures[number % len(pictures)])
            barrier.wait()
            starts = time.perf_counter() + _WARM_UP_S
            ends = starts + args.seconds
            turn = number
            while (began := time.perf_counter()) < ends:
                answer = ask(pictures[turn % len(pictures)])
                turn += args.clients
                done = time.perf_counter()
                if done > starts:
                    found.append(((min(done, ends) - max(began, starts)) / (done - began), done - began))
                    if args.kind == "grpc":
                        sizes[answer.timings.batch_size] += 1  # type: ignore[attr-defined]

    with ThreadPoolExecutor(args.clients) as pool:
        asking_on = [pool.submit(ask_on, number) for number in range(args.clients)]
        for future in asking_on:
            future.add_done_callback(lambda done: done.exception() and barrier.abort())  # the others wait for no more
    for future in asking_on:
        future.result()
    rate = sum(share for share, _ in found) / args.seconds
    json.dump({"rate": rate, "took": [took for _, took in found], "sizes": sizes}, sys.stdout)


if __name__ == "__main__":
    main()
