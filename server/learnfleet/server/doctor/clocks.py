"""Clocks: this machine's beside the database's and the storage's, and whether it runs evenly.

Leases compare no clocks. Deadlines of jobs, the validity of tokens and certificates, and times in events do.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from learnfleet.server.config import Config
from learnfleet.server.doctor.finding import Finding, fail, ok, warn
from learnfleet.server.store.database import unmigrated_database
from learnfleet.server.store.outage import told_as_unavailable

_SUBJECT = "clock"
_WARN_S, _FAIL_S = 2.0, 60.0
_STEP_S = 0.5  # between the wall clock and the monotonic one, while the doctor looks
_ADVICE = "let this machine and that one follow the same time servers (chronyc tracking, timedatectl)"


def check_clocks(config: Config) -> Iterator[Finding]:
    if config.data_dir.is_dir():
        yield _judged("the storage's", _storage_ahead_s(config.data_dir))
    if not config.is_alone:
        yield _judged("the database's", _database_ahead_s(config.store_url))


@contextmanager
def check_steadiness() -> Iterator[list[Finding]]:
    """The list has its finding when the block ends."""
    found: list[Finding] = []
    wall_s, steady_s = time.time(), time.monotonic()
    yield found
    step_s = (time.time() - wall_s) - (time.monotonic() - steady_s)
    if abs(step_s) > _STEP_S:
        found.append(warn(_SUBJECT, f"the clock was set by {step_s:+.1f} s while the doctor looked", _ADVICE))
    else:
        found.append(ok(_SUBJECT, f"it is {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, and the clock runs evenly"))


def _judged(whose: str, ahead_s: float) -> Finding:
    what = f"{whose} clock is {abs(ahead_s):,.1f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's"
    if abs(ahead_s) > _FAIL_S:
        return fail(_SUBJECT, what, _ADVICE)
    if abs(ahead_s) > _WARN_S:
        return warn(_SUBJECT, what, _ADVICE)
    return ok(_SUBJECT, f"{whose} clock agrees with this machine's within {_WARN_S:g} s")


def _storage_ahead_s(folder: Path) -> float:
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
        before_s = time.time()
        file.write(b"x")
        file.flush()
        after_s = time.time()
        return Path(file.name).stat().st_mtime - (before_s + after_s) / 2


def _database_ahead_s(url: str) -> float:
    engine = unmigrated_database(url)
    try:
        with told_as_unavailable(), engine.connect() as connection:
            query = text("SELECT extract(epoch FROM clock_timestamp())")
            connection.execute(query)  # once for what the first one takes longer
            before_s = time.time()
            there_s = float(connection.execute(query).scalar_one())
            return there_s - (before_s + time.time()) / 2
    finally:
        engine.dispose()
