"""The settings for people: merged with their origins, and as a file to begin with."""

from __future__ import annotations

import json
import textwrap
from itertools import groupby

from learnfleet.server.config import Config
from learnfleet.server.settings.flags import default_text
from learnfleet.server.settings.merge import Merged
from learnfleet.server.settings.setting import Setting, settings_of
from learnfleet.server.settings.values import plain


def as_objects(merged: Merged) -> dict[str, object]:
    """`{"file": ..., "settings": {"limits.max_message_mb": {"value": ..., "origin": ...}}}`, secrets masked."""
    settings = {
        each.key: {"value": plain(each, getattr(merged.config, each.name)), "origin": merged.origins[each.name]}
        for each in settings_of(Config)
    }
    return {"file": None if merged.file is None else str(merged.file), "settings": settings}


def as_text(merged: Merged) -> str:
    """As TOML that says the same again, but for what is masked; the origin of each value in a comment."""
    lines: list[str] = []
    for section, group in groupby(settings_of(Config), lambda each: each.rules.section):
        rows = [(_line(each, getattr(merged.config, each.name)), merged.origins[each.name]) for each in group]
        width = min(60, max(len(line) for line, _ in rows))
        lines += [f"[{section}]", *(f"{line:<{width}}  # {origin}" for line, origin in rows), ""]
    return "\n".join(lines).rstrip()


def as_example() -> str:
    """A file of all settings with their help, each commented out with its default."""
    lines = ["# Settings of `learnfleet serve`. `learnfleet config show --config FILE` says what they come to."]
    for section, group in groupby(settings_of(Config), lambda each: each.rules.section):
        lines += ["", f"[{section}]"]
        for each in group:
            bounds = f" ({each.bounds})" if each.bounds else ""
            text = f"{each.rules.help} Default: {default_text(each)}{bounds}."
            lines += textwrap.wrap(text, 110, initial_indent="# ", subsequent_indent="# ")
            lines.append(_line(each, each.default) if each.default is None else f"# {_line(each, each.default)}")
    return "\n".join(lines) + "\n"


def _line(setting: Setting, value: object) -> str:
    """`name = value`; TOML has no None, so that one is a comment."""
    name = setting.key.partition(".")[2]
    if value is None:
        return f"# {name} = {setting.metavar}"
    return f"{name} = {json.dumps(plain(setting, value), ensure_ascii=False)}"
