"""Both clients and the command line over TLS with a token: every kind of call, and what they say where it fails."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.access_files import access_file, token_of
from support.certificates import Authority
from support.rpc_server import RunningServer, running_server
from support.stand_in_inference import FixedInference

from learnfleet.client import Client
from learnfleet.client.aio import AsyncClient
from learnfleet.client.errors import PermissionDeniedError, UnauthenticatedError, UnavailableError

MODEL = "models/pets@newest"
ITEMS = [b"one", b"two", b"three"]
MAIN = "from learnfleet.client.cli.main import main; main()"


@dataclass(frozen=True)
class Secured:
    """A server that asks for certificates and tokens, and what its clients have."""

    server: RunningServer
    ca: Path
    cert: Path
    key: Path
    token: Path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Secured]:
    folder, authority = tmp_path_factory.mktemp("secured"), Authority()
    ca = authority.write(folder / "ca.crt")
    tls_cert, tls_key = authority.issue().write(folder, "server")
    cert, key = authority.issue("somebody").write(folder, "client")
    token = folder / "token"
    token.write_text(token_of("user"))
    settings = {"tls_cert": tls_cert, "tls_key": tls_key, "tls_client_ca": ca}
    auth = access_file(folder / "access.toml")
    with running_server(folder, root, inference=FixedInference(), auth_file=auth, **settings) as server:
        yield Secured(server, ca, cert, key, token)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "cat").mkdir(parents=True)
    (folder / "cat" / "1.png").write_bytes(b"picture")
    return folder


def test_the_plain_client_makes_every_kind_of_call(secured: Secured, archive: Path) -> None:
    with Client.connect(
        secured.server.address, ca=secured.ca, cert=secured.cert, key=secured.key, token=secured.token
    ) as client:
        assert list(client.jobs()) == []
        assert client.predict(MODEL, b"x").class_name == "dog"
        assert {item for item, _ in client.predict_stream(MODEL, ITEMS)} == set(ITEMS)
        uploaded = client.datasets.upload(archive, "plain")
        assert [found.name for found in client.datasets.list()] == [uploaded.name]
        client.datasets.delete(uploaded.name)


def test_the_client_for_asyncio_makes_every_kind_of_call(secured: Secured, archive: Path) -> None:
    async def calls() -> None:
        async with AsyncClient.connect(
            secured.server.address, ca=secured.ca, cert=secured.cert, key=secured.key, token=secured.token
        ) as client:
            assert [job async for job in client.jobs()] == []
            assert (await client.predict(MODEL, b"x")).class_name == "dog"
            assert {item async for item, _ in client.predict_stream(MODEL, ITEMS)} == set(ITEMS)
            uploaded = await client.datasets.upload(archive, "for-asyncio")
            await client.datasets.delete(uploaded.name)

    asyncio.run(calls())


def run(secured: Secured, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LEARNFLEET_")}
    return subprocess.run(
        [sys.executable, "-c", MAIN, *arguments, "--server", secured.server.address],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_command_line_takes_files_by_options_or_by_the_environment(secured: Secured) -> None:
    options = ["--ca", str(secured.ca), "--cert", str(secured.cert), "--key", str(secured.key)]
    listed = run(secured, *options, "--token-file", str(secured.token), "jobs", "--json")
    assert (listed.returncode, listed.stdout) == (0, ""), listed.stderr
    variables = {"CA": secured.ca, "CERT": secured.cert, "KEY": secured.key, "TOKEN_FILE": secured.token}
    by_environment = {f"LEARNFLEET_{name}": str(path) for name, path in variables.items()}
    assert run(secured, "jobs", "--json", **by_environment).returncode == 0
    unknown = run(secured, *options, "jobs", LEARNFLEET_TOKEN=token_of("nobody"))
    assert (unknown.returncode, "the token is not known here" in unknown.stderr) == (7, True)
    assert token_of("nobody") not in unknown.stderr


def test_options_that_mean_nothing_to_a_command_are_refused(secured: Secured) -> None:
    done = run(secured, "--ca", str(secured.ca), "token", "create", "a")
    told = " ".join(done.stderr.replace("│", " ").split())  # in a box, over several lines
    assert (done.returncode, "so --ca and the like mean nothing to it" in told) == (2, True)


def test_an_admin_acts_for_another_tenant_by_name(secured: Secured) -> None:
    own = {"ca": secured.ca, "cert": secured.cert, "key": secured.key}
    with Client.connect(secured.server.address, token=token_of("admin"), tenant="red", **own) as client:
        assert client.predict(MODEL, b"x").class_name == "dog"
    with (
        Client.connect(secured.server.address, token=token_of("user"), tenant="blue", **own) as client,
        pytest.raises(PermissionDeniedError, match="only admins act for other tenants, and yours is red"),
    ):
        client.predict(MODEL, b"x")


def test_what_is_wrong_with_tls_is_told_at_once_with_what_to_do(secured: Secured, tmp_path: Path) -> None:
    others = Authority("others").write(tmp_path / "others.crt")
    own = {"cert": secured.cert, "key": secured.key}
    with (
        Client.connect(secured.server.address, ca=others, **own, retry_s=600) as client,
        pytest.raises(UnavailableError, match="`ca` names who vouches"),
    ):
        list(client.jobs())


def test_a_token_file_that_is_renewed_is_used_from_then_on(secured: Secured, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(token_of("expired"))
    own = {"ca": secured.ca, "cert": secured.cert, "key": secured.key}
    with Client.connect(secured.server.address, token=token, **own) as client:
        with pytest.raises(UnauthenticatedError, match="the token has expired; ask for a new one"):
            list(client.jobs())
        token.write_text(token_of("viewer"))
        assert list(client.jobs()) == []


def test_what_is_said_in_clear_to_this_machine_goes_through_no_proxy(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy, running_server(tmp_path, root) as server:
        for name in ("no_proxy", "no_grpc_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("grpc_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        with Client.connect(server.address, token="t" * 40, retry_s=5, timeout_s=10) as client:
            assert list(client.jobs()) == []


def test_a_client_without_tls_is_told_of_it(tmp_path: Path, root: Path) -> None:
    with running_server(tmp_path, root) as server:
        ca = Authority().write(tmp_path / "ca.crt")
        with (
            Client.connect(server.address, ca=ca, retry_s=600) as client,
            pytest.raises(UnavailableError, match="speaks without TLS"),
        ):
            list(client.jobs())
