"""The page: what was found, its pictures, styles and script in one file.

All that comes from data (class names, paths, labels) is hostile: Jinja escapes it, charts escape it, and the policy in
the page's head lets no script run but the one whose hash it names, and nothing be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import os
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from learnfleet.trainer.report.format import FILTERS
from learnfleet.trainer.report.view import view_of

REPORT_FILE = "report.html"

_STYLES = ("base.css", "parts.css", "pictures.css")
_SCRIPTS = ("tables.js", "pictures.js", "confusion.js")


def render_report(found: dict[str, Any], folder: Path, made_at: datetime | None = None) -> str:
    """The page of an interpretation.

    Args:
        found: what `run_interpret` gives; parts that are not there have no section.
        folder: where the pictures that `found` names are. Those that are missing are left out.
    """
    page = _environment().get_template("report.html")
    style, script = _joined(_STYLES), _joined(_SCRIPTS)
    return page.render(
        view=view_of(found, folder),
        made_at=made_at or datetime.now(UTC),
        policy=_policy(style, script),
        # Ours, from this package, and free of </style and </script.
        style=Markup(style),
        script=Markup(script),
    )


def write_report(found: dict[str, Any], folder: Path) -> Path:
    """Render to `folder`/report.html, in one step: a page that is there is whole."""
    path = folder / REPORT_FILE
    temporary = folder / f".{REPORT_FILE}.{os.getpid()}"
    temporary.write_text(render_report(found, folder), encoding="utf-8")
    temporary.replace(path)
    return path


@cache
def _environment() -> Environment:
    return _with_filters(
        Environment(
            loader=PackageLoader(__package__, "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
    )


def _with_filters(environment: Environment) -> Environment:
    environment.filters.update(FILTERS)
    return environment


@cache
def _joined(names: tuple[str, ...]) -> str:
    folder = files(__package__) / "templates"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def _policy(style: str, script: str) -> str:
    """Only this style and this script, pictures within the page, and nothing else at all."""
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src '{_hash(style)}'",
            "style-src-attr 'unsafe-inline'",  # lengths and shares of bars and cells
            f"script-src '{_hash(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
