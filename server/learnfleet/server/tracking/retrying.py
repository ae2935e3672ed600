"""Calls to MLflow that fail now and then, as lines and busy servers do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from learnfleet.server.config import Config
from learnfleet.server.tracking.mlflow_client import Connect

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_TRIES = 3  # at once: who waits before the next one is the exporter, with all of a job
# Only what says that the request itself is wrong: BAD_REQUEST is also what MLflow makes of a busy database.
_NEVER = frozenset({"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"})
# Of a store of artifacts: who may write may change, the others are about load.
_MAY_PASS = frozenset({401, 403, 408, 429})


def final_answer(error: Exception) -> str:
    """What the error says if it is about the request itself, "" if it may be otherwise at the next try."""
    response = getattr(error, "response", None)  # of artifacts MLflow hands on what `requests` raises
    is_final = (
        getattr(error, "error_code", "") in _NEVER
        or isinstance(error, PermissionError)
        or (response is not None and 400 <= response.status_code < 500 and response.status_code not in _MAY_PASS)
    )
    return (str(getattr(error, "message", error)) or type(error).__name__) if is_final else ""


def retrying(connect: Connect) -> Connect:
    """A `connect` whose clients repeat calls that failed, but not those that would make a second one of something.

    MLflow's own client repeats those too, and a run that was made before the line broke would be there twice.
    """
    return lambda config: cast("MlflowClient", _Retrying(connect, config))


class _Retrying:
    def __init__(self, connect: Connect, config: Config) -> None:
        self._client = connect(config)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call: Callable[..., Any] = getattr(self._client, name)
        if name.startswith("create_"):
            return call
        return lambda *arguments, **named: _repeated(lambda: call(*arguments, **named))


def _repeated(call: Callable[[], Any]) -> Any:
    for _ in range(_TRIES - 1):
        try:
            return call()
        except Exception as error:
            if final_answer(error):
                raise
    return call()
