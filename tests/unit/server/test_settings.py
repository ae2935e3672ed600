"""The settings of a server: four sources, one configuration, and what is said of mistakes."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from learnfleet.client.security import VARIABLES
from learnfleet.server.config import Config
from learnfleet.server.settings.checks import exposure
from learnfleet.server.settings.merge import ConfigError, Merged, merge
from learnfleet.server.settings.page import renewed
from learnfleet.server.settings.setting import Setting, setting, settings_of
from learnfleet.server.settings.show import as_example, as_objects, as_text

PAGE = Path(__file__).parents[3] / "docs" / "config.md"
ALL = settings_of(Config)


def merged(
    tmp_path: Path, toml: str = "", environment: Mapping[str, str] | None = None, **flags: str | bool | list[str]
) -> Merged:
    file = tmp_path / "learnfleet.toml"
    file.write_text(toml)
    return merge(flags, environment or {}, file)


def wrong(tmp_path: Path, toml: str = "", environment: Mapping[str, str] | None = None, **flags: Any) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        merged(tmp_path, toml, environment, **flags)
    return [problem.replace(str(tmp_path / "learnfleet.toml"), "FILE") for problem in raised.value.problems]


def another_text(each: Setting) -> str:
    """A value that is not the default, as it is typed. What must go together with others is listed."""
    texts = {
        "listen": "localhost:1",
        "data_roots": "/elsewhere",
        "replicas_max": "9",
        "quotas": "a=1",
        "weights": "a=2",
        "store": "sqlite:///x",
        "health_listen": "0.0.0.0:8471",
        "oidc_jwks": "https://login.test/keys",
        "oidc_roles": "a=admin",
        "rate_limits": "*:read=5:10",
        "metrics_listen": "9464",
        "traces_endpoint": "http://collector:4317",
    }
    if each.name in texts:
        return texts[each.name]
    if each.kind is bool:
        return "false" if each.default is True else "true"
    if each.rules.choices:
        return next(choice for choice in each.rules.choices if choice != each.default)
    if each.kind in (int, float):
        assert isinstance(each.default, int | float | None)
        near = each.default if each.default is not None else each.rules.least or 0
        return str(int(near) + (1 if each.rules.most is None or near < each.rules.most else -1))
    return "/elsewhere" if each.kind is Path else "other"


# What a setting does not go without.
TOGETHER = {
    "max_cpu_slots": ("ray_address",),
    "max_gpu_slots": ("ray_address",),
    "tls_cert": ("tls_key",),
    "tls_key": ("tls_cert",),
    "tls_client_ca": ("tls_cert", "tls_key"),
    "oidc_issuer": ("oidc_audience", "oidc_jwks"),
    "oidc_audience": ("oidc_issuer", "oidc_jwks"),
    "oidc_jwks": ("oidc_issuer", "oidc_audience"),
}


def beside(each: Setting) -> dict[str, str]:
    """Variables of the settings that `each` does not go without."""
    return {other.variable: another_text(other) for other in ALL if other.name in TOGETHER.get(each.name, ())}


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.name)
def test_every_setting_is_read_from_each_source_and_each_wins_over_the_next(tmp_path: Path, each: Setting) -> None:
    text = another_text(each)
    is_bare = each.kind in (bool, int, float)
    section, _, name = each.key.partition(".")
    value = text if is_bare else f'"{text}"'
    toml = f"[{section}]\n{name} = {f'[{value}]' if each.is_list else value}\n"
    typed: str | bool | list[str] = text == "true" if each.kind is bool else [text] if each.is_list else text

    others = beside(each)
    by_file = merged(tmp_path, toml, others)
    by_environment = merged(tmp_path, "", {**others, each.variable: text})
    by_flag = merged(tmp_path, "", others, **{each.name: typed})
    all_three = [
        merged(tmp_path, toml, {**others, each.variable: text}, **{each.name: typed}),
        merged(tmp_path, toml, {**others, each.variable: text}),
    ]

    default = getattr(merged(tmp_path).config, each.name)
    found = [getattr(given.config, each.name) for given in (by_file, by_environment, by_flag)]
    assert found[0] != default
    assert found[1:] == found[:2]
    origins = [given.origins[each.name] for given in (by_file, by_environment, by_flag, *all_three)]
    assert origins == [
        f"file {tmp_path / 'learnfleet.toml'}",
        f"environment {each.variable}",
        f"flag --{each.flag}",
        f"flag --{each.flag}",
        f"environment {each.variable}",
    ]


def test_names_are_each_of_one_setting() -> None:
    for names in ([each.key for each in ALL], [each.flag for each in ALL], [each.variable for each in ALL]):
        assert len(set(names)) == len(names)
    assert {each.name for each in ALL} == {field.name for field in dataclasses.fields(Config)}
    sections = [each.rules.section for each in ALL]
    assert sections == sorted(sections, key=sections.index), "the fields of one section stand together"


def test_the_page_has_the_table_that_the_settings_make() -> None:
    page = PAGE.read_text()
    assert page == renewed(page), "python -m learnfleet.server.settings.page docs/config.md"


def test_what_the_page_shows_as_a_file_is_one(tmp_path: Path) -> None:
    toml = PAGE.read_text().partition("```toml\n")[2].partition("```")[0]
    config = merged(tmp_path, toml).config
    assert (config.max_message_mb, config.quotas) == (64, (("vision", 8, 2), ("*", 4, 0)))


def test_lists_are_replaced_and_not_put_together(tmp_path: Path) -> None:
    toml = '[scheduling]\nquotas = ["a=1", "b=2"]\n'
    assert merged(tmp_path, toml, {"LEARNFLEET_QUOTAS": "c=3,d=4:1"}).config.quotas == (("c", 3, 0), ("d", 4, 1))
    assert merged(tmp_path, toml, quotas=["e=5"]).config.quotas == (("e", 5, 0),)
    assert merged(tmp_path, toml, {"LEARNFLEET_QUOTAS": ""}).config.quotas == ()


def test_paths_in_the_file_are_relative_to_it(tmp_path: Path) -> None:
    config = merged(tmp_path, '[server]\ndata_dir = "data"\ndata_roots = ["pictures", "s3://lab/x"]\n').config
    assert (config.data_dir, config.data_roots) == (tmp_path / "data", (tmp_path / "pictures", "s3://lab/x"))


def test_unknown_names_are_errors_that_name_the_nearest(tmp_path: Path) -> None:
    toml = 'listen = "a:1"\n[limits]\nmax_mesage_mb = 8\nreplicas_max = 1\nzzz = 1\n[limit]\nx = 1\n'
    assert wrong(tmp_path, toml, {"LEARNFLEET_LISTNE": "a:1", "LEARNFLEET_WORK": "x"}) == [
        "LEARNFLEET_LISTNE (environment): there is no such setting; did you mean LEARNFLEET_LISTEN?",
        "LEARNFLEET_WORK (environment): there is no such setting; unset it, as names that begin with LEARNFLEET_ are "
        "the server's",
        "listen (file FILE): settings must be within a table, [limits] for one; did you mean server.listen?",
        "limits.max_mesage_mb (file FILE): there is no such setting; did you mean limits.max_message_mb?",
        "limits.replicas_max (file FILE): there is no such setting; did you mean predictions.replicas_max?",
        "limits.zzz (file FILE): there is no such setting",
        "limit (file FILE): there is no such table; did you mean [limits]?",
    ]


def test_wrong_values_are_said_at_once_with_their_source(tmp_path: Path) -> None:
    toml = '[limits]\nmax_message_mb = "big"\n[scheduling]\nquotas = "a=1"\npreemption = 1\nlease = 1\n'
    environment = {"LEARNFLEET_MAX_BATCH": "0", "LEARNFLEET_LEASE_S": "nan", "LEARNFLEET_PREDICT_PRECISION": "fp8"}
    assert wrong(tmp_path, toml, environment, weights=["a=0"], listen="8470") == [
        "scheduling.lease (file FILE): there is no such setting; did you mean server.lease_s?",
        "--listen (flag): '8470' must be host:port, the port from 0 to 65535",
        "LEARNFLEET_LEASE_S (environment): 'nan' must be a number at least 0.5",
        "scheduling.preemption (file FILE): a whole number must be true or false, without quotes",
        'scheduling.quotas (file FILE): text must be an array, ["..."]',
        "--weight (flag): 'a=0' must be TENANT=WEIGHT, the weight greater than 0",
        "limits.max_message_mb (file FILE): text must be a whole number from 4 to 1,024",
        "LEARNFLEET_MAX_BATCH (environment): 0 must be a whole number at least 1",
        "LEARNFLEET_PREDICT_PRECISION (environment): 'fp8' must be one of fp32, bf16, fp16",
    ]


def test_what_does_not_go_together_names_where_it_is_from(tmp_path: Path) -> None:
    assert wrong(tmp_path, "[predictions]\nreplicas_min = 3\n", listen="0.0.0.0:1") == [
        "--listen (flag): '0.0.0.0:1' is not a loopback address, and there is no TLS (--tls-cert, --tls-key): everyone "
        "on the way can read and change what is said, and no authentication (--auth-file, --oidc-issuer): everyone who "
        "can reach it may do everything; or add --insecure",
        "predictions.replicas_min (file FILE): must be at most --replicas-max, 2, not 3",
    ]


def test_beyond_loopback_a_server_needs_tls_and_to_know_who_calls_or_to_be_told(tmp_path: Path) -> None:
    tls = {"LEARNFLEET_TLS_CERT": "/c", "LEARNFLEET_TLS_KEY": "/k"}
    auth = {"LEARNFLEET_AUTH_FILE": "/a"}
    far = {"LEARNFLEET_LISTEN": "0.0.0.0:1"}
    for given, lacks in (({**far, **tls}, "no authentication"), ({**far, **auth}, "no TLS")):
        (told,) = wrong(tmp_path, "", given)
        assert lacks in told
        assert exposure(merged(tmp_path, "", {**given, "LEARNFLEET_INSECURE": "true"}).config).startswith(lacks)
    assert exposure(merged(tmp_path, "", {**far, **tls, **auth}).config) == ""
    assert exposure(merged(tmp_path, "", {"LEARNFLEET_LISTEN": "[::1]:0"}).config) == ""


def test_slots_of_a_local_ray_are_none_of_another(tmp_path: Path) -> None:
    given = {"LEARNFLEET_CPU_SLOTS": "2", "LEARNFLEET_RAY_ADDRESS": "ray://head:10001"}
    (told,) = wrong(tmp_path, "", given)
    assert "cpu_slots" in told.lower()
    assert "--ray-address has slots of its own" in told


def test_what_goes_together_is_given_together(tmp_path: Path) -> None:
    for each in ALL:
        if each.name in TOGETHER:
            told = wrong(tmp_path, "", {each.variable: another_text(each)})
            assert any("go together" in one or "needs" in one for one in told), each.name


@pytest.mark.parametrize("text", ["a:read=0", "a:read=1:0", "a:jump=1", "read=1", "a:read", "A:read=1", "a:read=x"])
def test_a_rate_limit_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    assert "must be TENANT:KIND=RATE" in wrong(tmp_path, "", {"LEARNFLEET_RATE_LIMITS": text})[0]


def test_rate_limits_have_a_burst_of_twice_the_rate_where_none_is_said(tmp_path: Path) -> None:
    given = merged(tmp_path, "", {"LEARNFLEET_RATE_LIMITS": "*:read=10,a:*=0.5:3,b:predict=0.2"}).config.rate_limits
    assert given == (("*", "read", 10.0, 20), ("a", "*", 0.5, 3), ("b", "predict", 0.2, 1))


@pytest.mark.parametrize("number", ["true", "1e400", "inf", "9" * 400, "-1", "[1]", "{a = 1}", "2026-01-01"])
def test_only_numbers_within_bounds_are_numbers(tmp_path: Path, number: str) -> None:
    assert "must be a number at least 0" in wrong(tmp_path, f"[scheduling]\nidle_timeout_s = {number}\n")[0]


def test_a_file_that_is_none_is_an_error(tmp_path: Path) -> None:
    assert "is no TOML" in wrong(tmp_path, "[limits\n")[0]
    with pytest.raises(ConfigError, match=r"nowhere.toml \(file\): cannot be read: No such file"):
        merge({}, {"LEARNFLEET_CONFIG": str(tmp_path / "nowhere.toml")})
    assert merge({}, {"LEARNFLEET_CONFIG": ""}).file is None


def test_variables_of_others_are_let_pass(tmp_path: Path) -> None:
    others = {
        "LEARNFLEET_ADDRESS": "x:1",
        **dict.fromkeys(VARIABLES, "of a client"),
        "LEARNFLEET_SERVICE_HOST": "10.0.0.1",
        "LEARNFLEET_MLFLOW_PORT_5000_TCP_ADDR": "10.0.0.1",
        "LEARNFLEET_PORT": "tcp://10.0.0.1:8470",
    }
    assert merged(tmp_path, "", others).config == merged(tmp_path).config


def test_passwords_are_never_shown(tmp_path: Path) -> None:
    environment = {
        "LEARNFLEET_STORE": "postgresql://me:hunter2@h/d?password=hunter2&x=1",
        "LEARNFLEET_MLFLOW_URI": "https://me:hunter2@mlflow",
    }
    given = merged(tmp_path, "", environment)
    shown = as_text(given) + str(as_objects(given))
    assert "hunter2" not in shown
    assert "postgresql://me:***@h/d?password=***&x=1" in shown
    assert "hunter2" not in str(wrong(tmp_path, "", {"LEARNFLEET_LISTEN": "https://me:hunter2@x"}))


def test_secrets_are_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclasses.dataclass(frozen=True)
    class WithSecret(Config):
        pin: int = setting("auth", 0, "A number.", least=0, secret=True)
        word: str = setting("auth", "", "A word.", choices=("hunter2", "b"), secret=True)

    for module in ("merge", "show"):
        monkeypatch.setattr(f"learnfleet.server.settings.{module}.Config", WithSecret)
    given = merged(tmp_path, '[auth]\npin = 7777\nword = "hunter2"\n')
    shown = as_text(given) + str(as_objects(given))
    told = str(wrong(tmp_path, "[auth]\npin = -7777\n", {"LEARNFLEET_WORD": "hunter3", "LEARNFLEET_PIN": "7777x"}))
    told += str(wrong(tmp_path, "[auth]\npin = -7777\n"))

    assert given.config.pin == 7777  # type: ignore[attr-defined]
    assert not {"7777", "hunter2"} & {word for word in ("7777", "hunter2") if word in shown}
    assert "7777" not in told
    assert "hunter3" not in told


def test_what_is_shown_is_a_file_that_means_the_same(tmp_path: Path) -> None:
    environment = {"LEARNFLEET_QUOTAS": "a=1,*=2:1", "LEARNFLEET_LEASE_S": "2.5", "LEARNFLEET_PREEMPTION": "no"}
    given = merged(tmp_path, "", environment)
    assert merged(tmp_path, as_text(given)).config == given.config


def test_the_example_is_a_file_that_changes_nothing(tmp_path: Path) -> None:
    assert merged(tmp_path, as_example()).config == merged(tmp_path).config
    uncommented = "\n".join(
        line.removeprefix("# ") if " = " in line and "=" in line[:30] else line
        for line in as_example().splitlines()
        if not line.endswith(tuple(f"= {each.metavar}" for each in ALL if each.may_be_none))
    )
    tables = tomllib.loads(uncommented)
    assert {f"{section}.{name}" for section, table in tables.items() for name in table} == {
        each.key for each in ALL if each.default is not None
    }


def test_a_field_that_nobody_could_read_is_refused() -> None:
    @dataclasses.dataclass(frozen=True)
    class Odd:
        where: frozenset[str] = setting("x", frozenset(), "Help.")

    with pytest.raises(TypeError, match="say how one is read"):
        settings_of(Odd)


def test_the_command_shows_what_serve_would_have(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("[limits]\nmax_message_mb = 8\n")
    done = run(tmp_path, "config", "show", "--json", "--config", "s.toml", "--no-preemption", "--quota", "a=1")
    settings = json.loads(done.stdout)["settings"]
    assert settings["limits.max_message_mb"] == {"value": 8, "origin": f"file {tmp_path / 's.toml'}"}
    assert settings["scheduling.preemption"] == {"value": False, "origin": "flag --preemption"}
    assert settings["scheduling.quotas"] == {"value": ["a=1"], "origin": "flag --quota"}
    assert settings["server.data_dir"] == {"value": str(tmp_path / ".learnfleet"), "origin": "default"}


def test_a_server_with_wrong_settings_ends_before_it_has_made_anything(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", "--max-message-mb", "1", LEARNFLEET_MAX_BACH="3")
    assert done.returncode == 2
    assert [line.strip().partition(" ")[0] for line in done.stderr.splitlines()] == [
        "the",
        "LEARNFLEET_MAX_BACH",
        "--max-message-mb",
    ]
    assert list(tmp_path.iterdir()) == []


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from learnfleet.client.cli.main import main; main()", *arguments]
    inherited = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        command, cwd=folder, env={**inherited, **environment}, capture_output=True, text=True, timeout=60, check=False
    )
