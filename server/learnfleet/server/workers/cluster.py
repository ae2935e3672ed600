"""The Ray cluster that workers run on: a local one that lives and dies with the server, or one at an address."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

_OBJECT_STORE_BYTES = 150_000_000  # polls and pictures only: tensors never pass through Ray
_LONGEST_TEMP_DIR = 40  # Ray appends some 65 characters; a unix socket's path may have 107

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True)
class ClusterSettings:
    """Which cluster, and how a local one is made."""

    data_dir: Path
    address: str | None  # None: local
    namespace: str
    cpu_slots: int | None  # of the local one; None: the machine's cores


@dataclass(frozen=True)
class Slots:
    """Places for workers."""

    cpus: int
    gpus: int


class RayCluster:
    """Starts or joins Ray, in a thread of its own that lives as long as the cluster.

    The kernel ends Ray's processes with the thread that started them (PR_SET_PDEATHSIG): that is what makes a local
    cluster die with a killed server, and why its thread must not end before it.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        self.settings = settings
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ray")
        self._temp_dir: Path | None = None
        self._ready = False

    @property
    def is_local(self) -> bool:
        return self.settings.address is None

    @property
    def ready(self) -> bool:
        return self._ready

    def describe(self) -> str:
        """For the server's first lines."""
        if self.settings.address is not None:
            return self.settings.address
        return f"local, {self._local_cpus()} CPU slots"

    def start(self) -> None:
        """Start or join. Blocks for seconds. Raises what Ray raises; may be called again then."""
        self._submit(self._start).result()

    def _submit(self, work: Callable[[], _T]) -> Future[_T]:
        return self._thread.submit(work)

    def _start(self) -> None:
        self._set_environment()
        import ray

        if ray.is_initialized():
            ray.shutdown()
        if self.is_local:
            self._start_local()
        else:
            ray.init(
                address=self.settings.address,
                namespace=self.settings.namespace,
                log_to_driver=False,
                configure_logging=False,
            )
        self._ready = True
        _log.info("Ray is ready: %s", self.describe())

    def _start_local(self) -> None:
        import ray

        self._temp_dir = _ray_dir(self.settings.data_dir)
        ray.init(
            address="local",  # never whatever RAY_ADDRESS or an earlier `ray start` left on this machine
            num_cpus=self._local_cpus(),
            namespace=self.settings.namespace,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            _temp_dir=str(self._temp_dir),
        )

    def _set_environment(self) -> None:
        """Before Ray is imported: it reads these then, and its processes inherit them."""
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        # An operator of a cluster without tokens has to say so: RAY_AUTH_MODE=disabled.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        if self.is_local:
            os.environ["RAY_AUTH_MODE"] = "token"
            os.environ.pop("RAY_AUTH_TOKEN", None)
            os.environ["RAY_AUTH_TOKEN_PATH"] = str(_token_file(self.settings.data_dir))
            os.environ["PYTHONPATH"] = _import_path()

    def _local_cpus(self) -> int:
        return self.settings.cpu_slots or os.cpu_count() or 1

    def slots(self) -> Slots:
        """Places in the whole cluster. Before it is ready: what is known of it."""
        if not self._ready:
            return Slots(self._local_cpus() if self.is_local else 0, 0)
        import ray

        found = ray.cluster_resources()
        return Slots(int(found.get("CPU", 0)), int(found.get("GPU", 0)))

    def close(self) -> None:
        """End the local cluster with all in it, or leave the one at the address to itself."""
        self._submit(self._close).result()
        self._thread.shutdown(wait=True)

    def _close(self) -> None:
        if "ray" in sys.modules and self._ready:
            import ray

            self._ready = False
            ray.shutdown()
        if self._temp_dir is not None:
            shutil.rmtree(self._temp_dir, ignore_errors=True)


def _ray_dir(data_dir: Path) -> Path:
    """A new folder for Ray's sockets and logs: in the data directory, or elsewhere where that has too long a name."""
    inside = data_dir / "ray"
    if len(str(inside)) + len("/s-12345678") <= _LONGEST_TEMP_DIR:
        inside.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="s-", dir=inside))
    return Path(tempfile.mkdtemp(prefix="learnfleet-", dir="/tmp"))


def _token_file(data_dir: Path) -> Path:
    """The secret that admits to the local cluster, made at first use, readable by its owner only."""
    path = data_dir / "ray-token"
    if not path.exists():
        temporary = data_dir / f".ray-token.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        temporary.replace(path)
    return path


def _import_path() -> str:
    """What this process imports from, for the workers: also when it runs from a checkout that is not installed."""
    import learnfleet

    roots = [str(Path(portion).parent) for portion in learnfleet.__path__]
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join(dict.fromkeys([*roots, *filter(None, inherited)]))
