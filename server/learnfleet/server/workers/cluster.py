"""The Ray cluster: started here and dying with the server, or somebody else's that is joined."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path

from learnfleet.server.config import Config
from learnfleet.server.errors import Unavailable
from learnfleet.server.rpc.ports import Capacity

_TOKEN_FILE = "ray-token"
_OBJECT_STORE_BYTES = 100 * 1024 * 1024  # nothing of size goes through it

_log = logging.getLogger(__name__)


@dataclass
class RayCluster:
    """Connects to Ray in a thread: the server listens before."""

    config: Config

    def __post_init__(self) -> None:
        self._ready = threading.Event()
        self._error: str | None = None

    @property
    def is_local(self) -> bool:
        return self.config.ray_address is None

    @property
    def slots(self) -> int:
        """CPU workers that a local Ray has room for."""
        return self.config.cpu_slots or os.cpu_count() or 1

    def describe(self) -> str:
        return f"local, {self.slots} CPU slots" if self.is_local else f"at {self.config.ray_address}"

    def connect(self) -> None:
        """Start or join Ray. Blocks for seconds; errors are kept for those who wait for it."""
        try:
            self._set_environment()
            self._init()
        except Exception as error:
            _log.exception("Ray cannot be had")
            self._error = f"Ray cannot be had: {error}"
        finally:
            self._ready.set()

    def _set_environment(self) -> None:
        # Ray switches authentication on by itself in some ways of starting only: always say it.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        if self.is_local and os.environ["RAY_AUTH_MODE"] == "token":
            os.environ["RAY_AUTH_TOKEN_PATH"] = str(_own_token(self.config.data_dir))

    def _init(self) -> None:
        import ray

        common = {"namespace": self.config.ray_namespace, "log_to_driver": False, "logging_level": logging.ERROR}
        if self.is_local:
            ray.init(
                address="local",
                num_cpus=self.slots,
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                **common,
            )
        else:
            ray.init(address=self.config.ray_address, **common)

    def wait(self, timeout_s: float | None = None) -> None:
        """Until it is connected. Raises Unavailable if it cannot be."""
        if not self._ready.wait(timeout_s):
            raise Unavailable("Ray is still starting; try again in a moment")
        if self._error:
            raise Unavailable(self._error)

    def capacity(self) -> Capacity:
        """Raises Unavailable."""
        self.wait()
        import ray

        total = ray.cluster_resources()
        return Capacity(int(total.get("CPU", 0)), int(total.get("GPU", 0)), elastic=not self.is_local)

    def close(self) -> None:
        """Leave it; a local one ends."""
        if not self._ready.is_set() or self._error:
            return
        import ray

        ray.shutdown()


def _own_token(data_dir: Path) -> Path:
    path = data_dir / _TOKEN_FILE
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
    return path
