"""The command as a process: exit codes, and what it loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

MAIN = "from learnfleet.client.cli.main import main; main()"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", MAIN, *arguments], capture_output=True, text=True, timeout=60)


def test_a_server_that_is_not_there_is_exit_code_5_without_a_traceback() -> None:
    done = run("jobs", "--server", "127.0.0.1:1")
    assert done.returncode == 5
    assert "error:" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("train",), ("train", "a", "--learner", "learners/b"), ("nonsense",)])
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_help_names_every_verb_and_the_exit_codes() -> None:
    done = run("--help")
    assert done.returncode == 0
    for word in ("train", "predict", "interpret", "jobs", "watch", "cancel", "serve", "demo", "Exit codes"):
        assert word in done.stdout


def test_help_does_not_load_the_server() -> None:
    code = "import sys\ntry:\n main()\nexcept SystemExit: print([m for m in sys.modules if 'learnfleet.server' in m])"
    done = subprocess.run(
        [sys.executable, "-c", f"from learnfleet.client.cli.main import main\n{code}", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip().endswith("[]")


@pytest.mark.parametrize("verb", ["list", "show", "alias", "unalias"])
def test_models_have_verbs_of_their_own(verb: str) -> None:
    done = run("model", verb, "--help")
    assert done.returncode == 0
    assert verb in done.stdout


@pytest.mark.parametrize("verb", ["upload", "register", "list", "show", "delete"])
def test_data_sets_have_verbs_of_their_own(verb: str) -> None:
    done = run("dataset", verb, "--help")
    assert done.returncode == 0
    assert verb in done.stdout
