"""The database: reached, of a version that is known, whole, and written to when it says so."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, inspect, select, text

from learnfleet.server.alone import is_held, lock_beside, sqlite_file
from learnfleet.server.config import Config
from learnfleet.server.doctor.finding import Finding, fail, ok, warn
from learnfleet.server.doctor.mounts import is_network_file_system
from learnfleet.server.errors import StoreUnavailable
from learnfleet.server.settings.values import mask
from learnfleet.server.store.database import HEAD, VERSION_TABLE, unmigrated_database, version_of
from learnfleet.server.store.outage import told_as_unavailable
from learnfleet.server.store.schema import checkpoints, jobs

_SUBJECT = "store"
_OLDEST_POSTGRESQL = 14  # what the PostgreSQL project still mends
_POOL = 32  # connections that one server may have
_SHOWN = 3


def check_store(config: Config) -> Iterator[Finding]:
    url = config.store_url
    if config.is_alone:
        path = sqlite_file(url) or Path()
        if is_network_file_system(path):
            advice = "put it on a local disk (--store sqlite:////...), or use PostgreSQL"
            yield fail(_SUBJECT, f"{path} is on a network file system, where SQLite loses data", advice)
        if not path.is_file():
            yield ok(_SUBJECT, f"{path} is not there yet: the first start makes it")
            return
        if is_held(lock_beside(path)):
            yield ok(_SUBJECT, f"a server works on {path} now")
    elif importlib.util.find_spec("psycopg") is None:
        yield fail(_SUBJECT, "PostgreSQL needs psycopg, which is not installed", "pip install 'learnfleet[postgres]'")
        return
    engine = unmigrated_database(url)
    try:
        with told_as_unavailable(), engine.connect().execution_options(read_only=True) as connection:
            yield from (_sqlite if config.is_alone else _postgresql)(connection, mask(url))
            yield from _tables(connection)
    except StoreUnavailable as error:
        cause = error.__cause__
        why = " ".join(str(getattr(cause, "orig", cause)).split())
        advice = "start it, let this machine reach it, and see to the user's rights and password (PGPASSWORD)"
        yield fail(_SUBJECT, f"{mask(url)} cannot be reached: {mask(why)}", advice)
    finally:
        engine.dispose()


def _sqlite(connection: Connection, url: str) -> Iterator[Finding]:
    found = connection.execute(text("PRAGMA quick_check(1)")).scalar()
    if found == "ok":
        yield ok(_SUBJECT, f"{url} is whole")
    else:
        yield fail(_SUBJECT, f"{url} is damaged: {found}", "restore the last backup (learnfleet restore --replace)")


def _postgresql(connection: Connection, url: str) -> Iterator[Finding]:
    version = int(_shown(connection, "server_version_num")) // 10_000
    if version < _OLDEST_POSTGRESQL:
        yield warn(_SUBJECT, f"{url} is PostgreSQL {version}", f"upgrade it to {_OLDEST_POSTGRESQL} or later")
    else:
        yield ok(_SUBJECT, f"{url} is PostgreSQL {version}")
    if _shown(connection, "transaction_read_only") == "on":
        yield fail(_SUBJECT, "it takes no writes: a standby, or set to read only", "name the primary in --store")
    if _shown(connection, "synchronous_commit") == "off":
        what = "synchronous_commit is off: what was acknowledged may be lost with the machine"
        yield fail(_SUBJECT, what, "set it on for this database (ALTER DATABASE ... SET synchronous_commit = on)")
    most = int(_shown(connection, "max_connections")) - int(_shown(connection, "superuser_reserved_connections"))
    if most < _POOL:
        what = f"it has {most} connections for everybody, and one server may want {_POOL}"
        yield warn(_SUBJECT, what, f"set max_connections to {2 * _POOL} or more")


def _shown(connection: Connection, name: str) -> str:
    return str(connection.execute(text("SELECT current_setting(:name)"), {"name": name}).scalar_one())


def _tables(connection: Connection) -> Iterator[Finding]:
    if not inspect(connection).has_table(VERSION_TABLE):
        yield ok(_SUBJECT, "it has no tables yet: the first start makes them")
        return
    version = version_of(connection)
    if version > HEAD:
        advice = "run a newer learnfleet, or restore a backup of before"
        yield fail(_SUBJECT, f"its tables have version {version}, and this learnfleet knows {HEAD}", advice)
    elif version < HEAD:
        what = f"its tables have version {version}; the next start brings them to {HEAD}"
        yield warn(_SUBJECT, what, "make a backup before (learnfleet backup FILE)")
    else:
        count = connection.execute(select(text("count(*)")).select_from(jobs)).scalar_one()
        yield ok(_SUBJECT, f"its tables have the newest version, {version}; {count:,} jobs")
        yield from _missing_checkpoints(connection)


def _missing_checkpoints(connection: Connection) -> Iterator[Finding]:
    """A store and a data directory that were not restored together."""
    named = connection.execute(select(checkpoints.c.learner_id, checkpoints.c.path)).all()
    missing = sorted(learner for learner, path in named if not Path(path).is_dir())
    if not missing:
        yield ok(_SUBJECT, f"the files of all {len(named):,} checkpoints are there")
        return
    shown = ", ".join(f"learners/{learner}" for learner in list(dict.fromkeys(missing))[:_SHOWN])
    what = f"the files of {len(missing):,} of {len(named):,} checkpoints are missing ({shown}, ...)"
    yield fail(_SUBJECT, what, "restore the data directory of that time, or mount it where it was")
