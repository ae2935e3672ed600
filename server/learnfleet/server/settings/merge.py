"""One configuration out of four sources: flags before environment before file before defaults."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from learnfleet.server.config import Config
from learnfleet.server.settings.checks import contradictions
from learnfleet.server.settings.environment import FILE_VARIABLE, strange_variables
from learnfleet.server.settings.setting import Setting, settings_of
from learnfleet.server.settings.values import read_text, read_texts, read_toml

DEFAULT = "default"
Flags = Mapping[str, str | bool | Sequence[str] | None]  # by field; None: not given


class ConfigError(ValueError):
    """What is wrong with the settings: all of it."""

    def __init__(self, problems: Sequence[str]) -> None:
        where = "" if len(problems) == 1 else f" in {len(problems)} places"
        super().__init__("\n".join([f"the settings are wrong{where}:", *(f"  {problem}" for problem in problems)]))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Merged:
    """The configuration, and where each of its values is from."""

    config: Config
    origins: Mapping[str, str]  # by field: "default", "file /etc/x.toml", "environment LEARNFLEET_X", "flag --x"
    file: Path | None


@dataclass(frozen=True)
class _Found:
    origin: str
    read: Callable[[], object]
    key: str = ""


def merge(flags: Flags, environment: Mapping[str, str], file: Path | None = None) -> Merged:
    """Read all sources and put them together. Nothing is looked at twice and nothing is created.

    Args:
        flags: as they were typed, by the names of the fields of `Config`.
        file: that `--config` names. Default: the one that the environment names, if any.

    Raises ConfigError with everything that is wrong in any of them.
    """
    if file is None and environment.get(FILE_VARIABLE):
        file = Path(environment[FILE_VARIABLE])
    settings, problems = settings_of(Config), list(strange_variables(settings_of(Config), environment))
    here = Path.cwd()
    found: dict[str, _Found] = {}
    if file is not None:
        file = (here / file.expanduser()).resolve()
        found |= _of_file(settings, file, problems)
    found |= {each.name: _of_variable(each, environment, here) for each in settings if each.variable in environment}
    found |= {
        each.name: _of_flag(each, flags[each.name], here) for each in settings if flags.get(each.name) is not None
    }
    values: dict[str, Any] = {}
    for each in settings:
        if each.name in found:
            _take(found[each.name], each, values, problems)
        elif each.rules.unset is not None:
            values[each.name] = each.rules.unset()
    if problems:
        raise ConfigError(problems)
    config = Config(**values)
    origins = {each.name: found[each.name].origin if each.name in found else DEFAULT for each in settings}
    by_name = {each.name: each for each in settings}
    problems = [f"{_called(by_name[name], origins[name])}: {what}" for name, what in contradictions(config)]
    if problems:
        raise ConfigError(problems)
    return Merged(config, origins, file)


def _take(found: _Found, setting: Setting, values: dict[str, Any], problems: list[str]) -> None:
    try:
        values[setting.name] = found.read()
    except ValueError as error:
        problems.append(f"{_called(setting, found.origin)}: {error}")


def _called(setting: Setting, origin: str) -> str:
    """`--x (flag)`, `limits.x (file /etc/x.toml)`: the name that whoever mends it will look for."""
    kind, _, rest = origin.partition(" ")
    if kind == "file":
        return f"{setting.key} ({origin})"
    return f"{rest} ({kind})" if rest else f"--{setting.flag} ({kind})"


def _of_flag(setting: Setting, given: Any, here: Path) -> _Found:
    origin = f"flag --{setting.flag}"
    if isinstance(given, bool):
        return _Found(origin, lambda: given)
    if isinstance(given, str):
        return _Found(origin, lambda: read_text(setting, given, here))
    return _Found(origin, lambda: read_texts(setting, list(given), here))


def _of_variable(setting: Setting, environment: Mapping[str, str], here: Path) -> _Found:
    text = environment[setting.variable]
    return _Found(f"environment {setting.variable}", lambda: read_text(setting, text, here))


def _of_file(settings: Sequence[Setting], file: Path, problems: list[str]) -> dict[str, _Found]:
    """What the file says of settings that there are; what else it says is a problem."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{file} (file): cannot be read: {error.strerror or error}")
        return {}
    except ValueError as error:  # also of what is no UTF-8
        problems.append(f"{file} (file): is no TOML: {error}")
        return {}
    by_key = {each.key: each for each in settings}
    sections = {each.rules.section for each in settings}
    found: dict[str, _Found] = {}
    for section, table in content.items():
        if section not in sections or not isinstance(table, dict):
            problems.append(f"{section} (file {file}): {_strange_section(section, table, by_key, sections)}")
            continue
        for name, value in table.items():
            key = f"{section}.{name}"
            if key in by_key:
                found[by_key[key].name] = _of_key(by_key[key], value, file)
            else:
                problems.append(f"{key} (file {file}): there is no such setting{_nearest_key(name, settings)}")
    return found


def _of_key(setting: Setting, value: object, file: Path) -> _Found:
    return _Found(f"file {file}", lambda: read_toml(setting, value, file.parent))


def _strange_section(section: str, value: object, by_key: Mapping[str, Setting], sections: set[str]) -> str:
    if section in sections:
        return f"must be a table, [{section}]"
    if isinstance(value, dict):
        near = difflib.get_close_matches(section, sorted(sections), n=1)
        return "there is no such table" + (f"; did you mean [{near[0]}]?" if near else "")
    return f"settings must be within a table, [limits] for one{_nearest_key(section, list(by_key.values()))}"


def _nearest_key(name: str, settings: Sequence[Setting]) -> str:
    """By its own name first: it may be in the wrong table, or be called as its flag or the field is."""
    for each in settings:
        if name.replace("-", "_") in (each.name, each.flag.replace("-", "_"), each.key.partition(".")[2]):
            return f"; did you mean {each.key}?"
    by_name = {each.key.partition(".")[2]: each.key for each in settings}
    near = difflib.get_close_matches(name, by_name, n=1)
    return f"; did you mean {by_name[near[0]]}?" if near else ""
