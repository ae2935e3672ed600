"""Writes the table of settings in docs/config.md anew: `python -m learnfleet.server.settings.page docs/config.md`."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from learnfleet.server.config import Config
from learnfleet.server.settings.flags import default_text
from learnfleet.server.settings.setting import Setting, settings_of

BEGIN, END = "<!-- settings: written by learnfleet.server.settings.page -->", "<!-- end of settings -->"


def tables() -> str:
    """A heading and a table for each section, in Markdown."""
    parts = []
    for section, group in groupby(settings_of(Config), lambda each: each.rules.section):
        rows = "\n".join(_row(each) for each in group)
        parts.append(
            f"### [{section}]\n\n| key | flag, variable | value | default | what it is |\n|---|---|---|---|---|\n{rows}"
        )
    return "\n\n".join(parts)


def renewed(page: str) -> str:
    """The page with the present tables between its marks. Raises ValueError if it has none."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"there must be lines '{BEGIN}' and '{END}'")
    return f"{head}{BEGIN}\n\n{tables()}\n\n{END}{tail}"


def _row(setting: Setting) -> str:
    flag = f"--[no-]{setting.flag}" if setting.kind is bool else f"--{setting.flag}"
    value = (
        setting.metavar
        + (f", {setting.bounds}" if setting.bounds else "")
        + (", repeatable" if setting.is_list else "")
    )
    cells = [
        f"`{setting.key.partition('.')[2]}`",
        f"`{flag}` `{setting.variable}`",
        value.replace("|", " or "),
        default_text(setting),
        setting.rules.help.replace("|", "\\|") + (" *Secret.*" if setting.rules.secret else ""),
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
