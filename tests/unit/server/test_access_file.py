"""The access file: what it says, what is wrong with it, and that it is read again."""

from __future__ import annotations

import asyncio
import logging
import os
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.access_files import access_file, token_of
from typer.testing import CliRunner

from learnfleet.server.access.authenticate import Closed, Credentials
from learnfleet.server.access.entries import hash_of, read_entries
from learnfleet.server.access.files import Unreadable, Watched
from learnfleet.server.access.identity import Identity, Role
from learnfleet.server.commands.token import app
from learnfleet.server.errors import TokenExpired, TokenRefused, Unauthenticated

HASH = hash_of("x" * 43)
GOOD = f'[[token]]\nname = "a"\nsha256 = "{HASH}"\ntenant = "red"\nrole = "user"\n'


def shown(token: str | None, **names: bytes) -> Credentials:
    return Credentials(token, lambda: {key: [value] for key, value in names.items()})


def identify(path: Path, credentials: Credentials, now: datetime | None = None) -> Identity:
    entries = Watched([path], lambda: read_entries(path))
    closed = Closed(entries, None, lambda: now or datetime.now(UTC))
    return asyncio.run(closed.identify(credentials))


def test_a_token_is_who_its_entry_says_until_it_expires(tmp_path: Path) -> None:
    path = access_file(tmp_path / "access.toml")
    assert identify(path, shown(token_of("user"))) == Identity("user", "red", Role.USER, "token")
    lasting = shown(token_of("lasting"))
    assert identify(path, lasting, datetime(2998, 12, 31, 23, 59, 59, tzinfo=UTC)).name == "lasting"
    with pytest.raises(TokenExpired):
        identify(path, lasting, datetime(2999, 1, 1, tzinfo=UTC))
    for unknown in ("", "x", token_of("nobody"), hash_of(token_of("admin")), "a.b.c"):
        with pytest.raises(TokenRefused):
            identify(path, shown(unknown))


def test_without_a_token_a_certificate_says_who_calls_and_never_beside_a_wrong_one(tmp_path: Path) -> None:
    path = access_file(tmp_path / "access.toml")
    gateway = {"x509_common_name": b"gateway"}
    assert identify(path, shown(None, **gateway)) == Identity("gateway", "red", Role.VIEWER, "certificate")
    trainer = shown(None, x509_common_name=b"gateway", x509_subject_alternative_name=b"spiffe://test/trainer")
    assert identify(path, trainer).tenant == "blue"
    for nobody in ({}, {"x509_common_name": b"stranger"}, {"x509_common_name": b"spiffe://test/trainer"}):
        with pytest.raises(Unauthenticated):
            identify(path, shown(None, **nobody))
    with pytest.raises(TokenRefused):
        identify(path, shown("wrong", **gateway))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[[token]", "is no TOML"),
        ("[[tokens]]\n", "the file has tokens, which means nothing here"),
        ("token = 1\n", r"token must be tables: \[\[token\]\]"),
        (GOOD.replace("name", "nmae"), r"token\[0\] has nmae, which means nothing here"),
        (GOOD.replace('name = "a"\n', ""), r"token\[0\].name is missing"),
        (GOOD.replace(HASH, "abc"), r"token\[0\].sha256 is wrong; must be 64 hexadecimal digits"),
        (GOOD.replace("user", "root"), r"token\[0\].role is wrong; must be viewer, user or admin"),
        (GOOD.replace("red", "Red Team"), r"token\[0\].tenant is wrong; must be lower-case letters"),
        (GOOD + "expires = 2030-01-01\n", r"token\[0\].expires must be a time with its zone"),
        (GOOD + "expires = 2030-01-01T00:00:00\n", r"token\[0\].expires must be a time with its zone"),
        (GOOD + GOOD.replace('"a"', '"b"'), r"token\[1\].sha256 is that of token a, too"),
        ('[[certificate]]\ntenant = "a"\nrole = "user"\n', r"certificate\[0\] must have either common_name or san"),
        ('[[certificate]]\nsan = "a"\ntenant = "a"\nrole = "user"\n' * 2, r"certificate\[1\].san: a has two entries"),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_right(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "access.toml"
    path.write_text(content)
    with pytest.raises(ValueError, match=told):
        read_entries(path)


def test_a_file_that_everybody_can_write_is_refused(tmp_path: Path) -> None:
    path = access_file(tmp_path / "access.toml")
    path.chmod(0o666)
    with pytest.raises(Unreadable, match="can be written by everybody"):
        Watched([path], lambda: read_entries(path))


def test_a_file_is_read_again_when_it_changes_and_a_wrong_one_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path, now = tmp_path / "access.toml", 0.0
    path.write_text(GOOD)
    entries = Watched([path], lambda: read_entries(path), look_every_s=1.0, clock=lambda: now)
    assert len(entries.current().tokens) == 1
    path.write_text(GOOD + GOOD.replace(HASH, hash_of("another")))
    assert len(entries.current().tokens) == 1, "it is looked at once a second"
    now = 1.0
    assert len(entries.current().tokens) == 2
    for content in ("nonsense", None):
        now += 1.0
        path.write_text(content) if content is not None else path.unlink()
        assert len(entries.current().tokens) == 2
        assert caplog.records[-1].levelno == logging.ERROR
    path.write_text("")
    os.utime(path, (1, 1))
    now = 4.0
    assert not entries.current().tokens


def test_the_command_makes_an_entry_that_a_server_reads_and_shows_the_token_once(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["create", "alice@lab", "--tenant", "vision", "--role", "viewer", "--expires-in", "2d"]
    )
    token = done.stderr.strip().rpartition(" ")[2]
    assert (done.exit_code, len(token), token in done.stdout) == (0, 46, False)
    path = tmp_path / "access.toml"
    path.write_text(done.stdout)
    assert identify(path, shown(token)) == Identity("alice@lab", "vision", Role.VIEWER, "token")
    (entry,) = tomllib.loads(done.stdout)["token"]
    assert 1.9 < (entry["expires"] - datetime.now(UTC)).total_seconds() / 86_400 <= 2
    again = CliRunner().invoke(app, ["create", "alice@lab"])
    assert again.stderr.strip().rpartition(" ")[2] != token


def test_the_command_hashes_tokens_of_others_but_no_passwords(tmp_path: Path) -> None:
    path, token = tmp_path / "access.toml", "t" * 40
    done = CliRunner().invoke(app, ["hash", "ci", "--expires-in", "never"], input=f"{token}\n")
    path.write_text(done.stdout)
    assert identify(path, shown(token)).name == "ci"
    short = CliRunner().invoke(app, ["hash", "ci"], input="hunter2\n")
    assert short.exit_code == 2
    assert "hunter2" not in short.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["a", "--role", "root"],
        ["a", "--tenant", "No"],
        ["a", "--expires-in", "0d"],
        ["a", "--expires-in", "soon"],
        ['"'],
    ],
)
def test_wrong_usage_makes_no_token(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, ["create", *arguments])
    assert (done.exit_code, "lf_" in done.output) == (2, False)
