"""The client that the names of `learnfleet.client` use, and those names that need one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from learnfleet.client.client import Client
from learnfleet.client.loaded import LoadedLearner
from learnfleet.client.results import ModelVersion
from learnfleet.client.subject import NEWEST

P = ParamSpec("P")
R = TypeVar("R")

_connected: list[Client] = []  # the one in use, last


def connect(
    address: str | None = None,
    timeout_s: float = 60.0,
    retry_s: float = 60.0,
    ca: str | PathLike[str] | None = None,
    cert: str | PathLike[str] | None = None,
    key: str | PathLike[str] | None = None,
    token: str | Path | None = None,
    plaintext: bool | None = None,
    token_in_clear: bool | None = None,
    tenant: str | None = None,
) -> Client:
    """Let `cnn_learner` and the other names of `learnfleet.client` use the server at `address` from now on.

    Args:
        address: host:port. Default: the variable LEARNFLEET_ADDRESS, else 127.0.0.1:8470, which is used without any
            call of this.
        ca, cert, key, token, plaintext, token_in_clear, tenant: as for `Client.connect`.
    """
    connected = Client.connect(
        address,
        timeout_s,
        retry_s,
        ca=ca,
        cert=cert,
        key=key,
        token=token,
        plaintext=plaintext,
        token_in_clear=token_in_clear,
        tenant=tenant,
    )
    _connected.append(connected)
    return _connected[-1]


def default_client() -> Client:
    """The client of the last `connect`, or of the default address."""
    return _connected[-1] if _connected else connect()


def _of_default(method: Callable[Concatenate[Client, P], R]) -> Callable[P, R]:
    """The method as a function that uses the default client."""

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return method(default_client(), *args, **kwargs)

    shown = inspect.signature(method)
    call.__signature__ = shown.replace(parameters=list(shown.parameters.values())[1:])  # type: ignore[attr-defined]
    return call


cnn_learner = create_cnn = _of_default(Client.cnn_learner)
unet_learner = _of_default(Client.unet_learner)


def load_learner(path: object, file: str = "export") -> LoadedLearner:
    """What `learn.export(file)` made, to predict with.

    Args:
        path: `learn.path`, beside which the trainer would have written it; the registry keeps models by their names
            alone. Or all of a model's name, such as `models/pets/versions/3`, or a ModelVersion.
        file: the name that was given to `export`.
    """
    model = (
        str(path) if isinstance(path, ModelVersion) or str(path).startswith("models/") else f"models/{file}@{NEWEST}"
    )
    return LoadedLearner(default_client(), model)
