"""When a client speaks TLS, and to whom it says its token."""

from __future__ import annotations

from pathlib import Path

import pytest

from learnfleet.client.security import is_loopback, security_for

FAR, NEAR = "gpu-box:8470", "127.0.0.1:8470"
TOKEN = "lf_" + "x" * 43


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    path = tmp_path / "any.pem"
    path.write_text("PEM")
    return path


def test_addresses_of_this_machine_are_told_from_others() -> None:
    near = [
        "127.0.0.1:1",
        "localhost:1",
        "[::1]:1",
        "127.8.9.1:1",
        "unix:/tmp/x",
        "dns:///localhost:1",
        "ipv4:127.0.0.1:1",
    ]
    far = [
        "10.0.0.1:1",
        "localhost.evil.com:1",
        "127.0.0.1.evil.com:1",
        "[::2]:1",
        "dns:///gpu-box:1",
        "dns://127.0.0.1/gpu-box:1",
        "ipv4:127.0.0.1:1,10.0.0.1:1",
        "0.0.0.0:1",
        "",
        "127.0.0.1@evil.com:1",
    ]
    assert [address for address in near if not is_loopback(address)] == []
    assert [address for address in far if is_loopback(address)] == []


def test_tls_is_spoken_with_others_unless_told_and_on_loopback_where_it_is_asked_for(pem: Path) -> None:
    assert security_for(FAR, environment={}).has_tls
    assert not security_for(NEAR, environment={}).has_tls
    assert security_for(NEAR, ca=pem, environment={}).has_tls
    assert security_for(NEAR, cert=pem, key=pem, environment={}).has_tls
    assert not security_for(FAR, plaintext=True, environment={}).has_tls
    assert not security_for(FAR, environment={"LEARNFLEET_PLAINTEXT": "1"}).has_tls
    assert security_for(FAR, plaintext=False, environment={"LEARNFLEET_PLAINTEXT": "1"}).has_tls


def test_a_token_goes_nowhere_in_clear_unless_told() -> None:
    plain = {"LEARNFLEET_PLAINTEXT": "1"}
    for given, environment in ((TOKEN, plain), (None, {**plain, "LEARNFLEET_TOKEN": TOKEN})):
        with pytest.raises(ValueError, match="without TLS, for everyone on the way to read") as refused:
            security_for(FAR, token=given, environment=environment)
        assert TOKEN not in str(refused.value)
        told = security_for(FAR, token=given, token_in_clear=True, environment=environment)
        assert told.token is not None
    allowed = security_for(FAR, token=TOKEN, environment={**plain, "LEARNFLEET_TOKEN_IN_CLEAR": "yes"})
    assert (allowed.has_tls, allowed.token is None) == (False, False)
    assert security_for(NEAR, token=TOKEN, environment={}).token is not None
    assert security_for(FAR, token=TOKEN, environment={}).has_tls


def test_what_is_given_wins_over_the_environment(pem: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text("OTHER")
    environment = {
        "LEARNFLEET_CA": str(other),
        "LEARNFLEET_CERT": str(other),
        "LEARNFLEET_KEY": str(other),
        "LEARNFLEET_TOKEN": "from-the-environment",
    }
    by_environment = security_for(FAR, environment=environment)
    assert (by_environment.ca, by_environment.cert, by_environment.key) == (b"OTHER",) * 3
    given = security_for(FAR, ca=pem, cert=pem, key=pem, token=TOKEN, environment=environment)
    assert (given.ca, given.cert, given.key) == (b"PEM",) * 3
    assert [found.token() for found in (by_environment, given) if found.token] == ["from-the-environment", TOKEN]


def test_a_token_in_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    for security in (
        security_for(FAR, token=file, environment={}),
        security_for(FAR, environment={"LEARNFLEET_TOKEN_FILE": str(file)}),
    ):
        assert security.token is not None
        file.write_text("first\n")
        assert security.token() == "first"
        file.write_text("the second\n")
        assert security.token() == "the second"


def test_what_does_not_go_together_is_refused_with_what_to_do(pem: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cert and key go together"):
        security_for(FAR, cert=pem, environment={})
    with pytest.raises(ValueError, match=r"plaintext .* leave out one"):
        security_for(FAR, ca=pem, plaintext=True, environment={})
    with pytest.raises(ValueError, match="LEARNFLEET_PLAINTEXT is 'maybe'; must be 1 or 0"):
        security_for(FAR, environment={"LEARNFLEET_PLAINTEXT": "maybe"})
    with pytest.raises(FileNotFoundError):
        security_for(FAR, ca=tmp_path / "none", environment={})
    assert not security_for(FAR, plaintext=True, environment={"LEARNFLEET_CA": str(tmp_path / "none")}).has_tls
    for bad in ("  ", "a\nb", "ä"):
        with pytest.raises(ValueError, match="is empty, or has characters that no token has") as refused:
            security_for(FAR, token=bad, environment={})
        assert bad not in str(refused.value).replace("  ", "") or not bad.strip()
