"""What TLS and authentication cost a call: GetJob on servers with and without, calls taking turns.

    python tests/benchmarks/rpc_overhead.py [--rounds 5] [--calls 400] [--json FILE]

The gRPC server and the store are the service's own; each server is in a process of its own, so that none of them
shares the interpreter with another or with the caller. Each has one job, which is asked for on one open connection, one
call after another. A round gives the median of its calls. All count their calls for the metrics, but the last, which
has no interceptor at all. Wanted is that TLS with a token takes at most 1.5 times as long as that one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import grpc
from timing import interleaved, report, rows_of

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.access_files import access_file, bearer
from support.certificates import Authority
from support.identity_provider import AUDIENCE, ISSUER, SigningKey, key_set
from support.logged_jobs import put_job
from support.rpc_server import running_server

from learnfleet.server.interpreter import tune_interpreter
from learnfleet.v1 import job_service_pb2, job_service_pb2_grpc

_JOB = "job00"
_TIMEOUT_S = 60
_OWN = "TLS and a token"


@dataclass(frozen=True)
class Contestant:
    """A server's settings, and what its callers have."""

    settings: dict[str, object]
    ca: bytes | None
    own: tuple[bytes, bytes] | None  # key and certificate of a client
    metadata: list[tuple[str, str]]
    is_bare: bool = False  # nobody is asked who they are, and nothing is counted


def serve(folder: Path, settings: dict[str, object], is_bare: bool, pipe: Connection) -> None:
    """A server's process: tells its address, and ends when it is told to."""
    tune_interpreter()  # as the server does
    if is_bare:
        make = grpc.aio.server
        grpc.aio.server = lambda options, interceptors=(): make(options=options)
    folder.mkdir()
    with running_server(folder, folder, **settings) as server:
        put_job(server.store, _JOB)
        pipe.send(server.address)
        pipe.recv()


def contestants(folder: Path) -> dict[str, Contestant]:
    authority, key = Authority(), SigningKey.rsa("key-1")
    certificate, private = authority.issue().write(folder, "server")
    client = authority.issue("client")
    tls = {"tls_cert": certificate, "tls_key": private}
    mutual = {**tls, "tls_client_ca": authority.write(folder / "clients.crt")}
    # Jobs that are put into the store are the default tenant's.
    auth = {"auth_file": access_file(folder / "access.toml")}
    as_default = ("learnfleet-tenant", "default")
    (folder / "keys.json").write_bytes(key_set(key.jwk()))
    oidc = {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks": str(folder / "keys.json")}
    jwt = [("authorization", f"Bearer {key.token(tenant='default', exp=int(time.time()) + 3600)}")]
    own = client.key, client.certificate
    return {
        _OWN: Contestant({**tls, **auth}, authority.pem, None, [*bearer("admin"), as_default]),
        "TLS and a JSON Web Token": Contestant({**tls, **oidc}, authority.pem, None, jwt),
        "mutual TLS and a token": Contestant({**mutual, **auth}, authority.pem, own, [*bearer("admin"), as_default]),
        "a token": Contestant(auth, None, None, [*bearer("admin"), as_default]),
        "TLS": Contestant(tls, authority.pem, None, []),
        "plain": Contestant({}, None, None, []),
        "plain, without interceptors": Contestant({}, None, None, [], is_bare=True),
    }


@contextmanager
def calling(folder: Path, contestant: Contestant, calls: int) -> Iterator[Callable[[], float]]:
    """Takes the median of so many calls in milliseconds."""
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=serve, args=(folder, contestant.settings, contestant.is_bare, theirs))
    process.start()
    theirs.close()  # so that the server's death is heard
    address = pipe.recv()
    credentials = grpc.ssl_channel_credentials(contestant.ca, *(contestant.own or (None, None)))
    secure = contestant.ca is not None
    with grpc.secure_channel(address, credentials) if secure else grpc.insecure_channel(address) as channel:
        get_job = job_service_pb2_grpc.JobServiceStub(channel).GetJob
        request = job_service_pb2.GetJobRequest(name=f"jobs/{_JOB}")

        def median_ms() -> float:
            taken = []
            for _ in range(calls):
                start = time.perf_counter()
                get_job(request, timeout=_TIMEOUT_S, metadata=contestant.metadata)
                taken.append((time.perf_counter() - start) * 1e3)
            return statistics.median(taken)

        yield median_ms
    pipe.send("end")
    process.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        runs = {
            who: stack.enter_context(calling(folder / f"server-{place}", contestant, args.calls))
            for place, (who, contestant) in enumerate(contestants(folder).items())
        }
        rows = rows_of("GetJob, p50", "ms", interleaved(runs, args.rounds), _OWN)
    report("What TLS and authentication cost a call", rows, args.json)


if __name__ == "__main__":
    main()
