"""`learnfleet serve`."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import threading
from importlib.util import find_spec

import typer

from learnfleet.server.access.files import Unreadable
from learnfleet.server.alone import InUse
from learnfleet.server.app import serve as run_server
from learnfleet.server.config import Config
from learnfleet.server.errors import StoreUnavailable
from learnfleet.server.names import new_id
from learnfleet.server.redact import keep_passwords_of, redacted
from learnfleet.server.settings.checks import exposure
from learnfleet.server.settings.flags import takes_settings
from learnfleet.server.settings.merge import Merged
from learnfleet.server.telemetry.logs import log_uncaught, set_up
from learnfleet.server.telemetry.telemetry import log_settings

_log = logging.getLogger(__name__)


@takes_settings()
def serve(settings: Merged) -> None:
    """Run a control server until SIGTERM or Ctrl-C. `learnfleet config show` prints the settings it would have."""
    config = dataclasses.replace(settings.config, server_id=settings.config.server_id or new_id())
    keep_passwords_of(config.store, config.mlflow_uri, config.ray_address, *map(str, config.data_roots))
    set_up(log_settings(config), more=lambda: {"server": config.server_id})
    log_uncaught()
    _check_workers(config)
    lacks = exposure(config)
    if lacks:
        typer.echo(f"warning: {config.listen} can be reached by others, and there is {lacks}", err=True)
    try:
        asyncio.run(run_server(config, lambda: _end_by(config.drain_s)))
    except (InUse, StoreUnavailable, RuntimeError, Unreadable) as error:
        typer.echo(redacted(str(error)), err=True)
        raise typer.Exit(1) from error


def _end_by(drain_s: float) -> None:
    """End the process then, whatever it still waits for: a thread that hangs in a file system would hold it for ever.

    That is a good end, too: all that was acknowledged is in the store, and jobs go on from their newest checkpoints.
    """

    def end() -> None:
        others = (thread for thread in threading.enumerate() if thread is not threading.main_thread())
        hanging = [thread.name for thread in others if not thread.daemon]
        _log.warning("not done with stopping after %g s (%s); ended all the same", drain_s, ", ".join(hanging))
        logging.shutdown()
        os._exit(0)

    timer = threading.Timer(drain_s, end)
    timer.daemon = True
    timer.start()


def _check_workers(config: Config) -> None:
    """Look for torch without importing it."""
    if config.ray_address is None and find_spec("torch") is None:
        why = "is needed where PyTorch is not installed: a Ray of the server's own would have workers that cannot train"
        how = "Name a cluster, or install what workers need: pip install 'learnfleet[worker]'"
        raise typer.BadParameter(f"{why}. {how}", param_hint="--ray-address")
