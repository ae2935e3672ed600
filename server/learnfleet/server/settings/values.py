"""Values of settings: out of text and out of TOML, and back into text."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from learnfleet.server.settings.setting import Setting

MASK = "***"
_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_GREATEST = 2**63  # of TOML's whole numbers, by its own rules
_WHOLE = re.compile(r"[+-]?\d[\d_]{0,30}")
# Of a URL: what is between the user's name and the @, and what libpq takes after the "?".
_PASSWORDS = (re.compile(r"(?<=:)[^:/@?\s]+(?=@)"), re.compile(r"(?i)(?<=password=)[^&\s]+"))


def read_text(setting: Setting, text: str, folder: Path) -> object:
    """The value that one string means, as it comes from a flag or the environment.

    Lists are separated by commas. Nothing at all is None, or an empty list, where the setting may be that.

    Args:
        folder: what relative paths are relative to.

    Raises ValueError that says what would be right.
    """
    if setting.is_list:
        return tuple(_item(setting, part.strip(), folder) for part in text.split(",") if part.strip())
    if not text and setting.may_be_none:
        return None
    return _item(setting, text, folder)


def read_texts(setting: Setting, texts: list[str], folder: Path) -> object:
    """As `read_text`, of a flag that was repeated."""
    return tuple(_item(setting, text, folder) for text in texts)


def read_toml(setting: Setting, value: object, folder: Path) -> object:
    """The value that TOML's means; types must be right, but a whole number will do for any. Raises ValueError."""
    if not setting.is_list:
        return _toml_item(setting, value, folder)
    if not isinstance(value, list):
        raise ValueError(f'{_toml_name(value)} must be an array, ["..."]')
    return tuple(_toml_item(setting, each, folder) for each in value)


def write_text(setting: Setting, value: object) -> list[str] | str | None:
    """A value as text that is read as the same; lists as lists. Passwords are masked."""
    if isinstance(value, tuple) and setting.is_list:
        return [_shown(setting, each) for each in value]
    return None if value is None else _shown(setting, value)


def plain(setting: Setting, value: object) -> object:
    """A value as JSON and TOML have it: numbers and truth as themselves, all else as `write_text`."""
    if isinstance(value, bool | int | float) and not setting.rules.secret:
        return value
    return write_text(setting, value)


def mask(text: str) -> str:
    """Without the passwords of URLs."""
    for password in _PASSWORDS:
        text = password.sub(MASK, text)
    return text


def _shown(setting: Setting, value: Any) -> str:
    if setting.rules.secret:
        return MASK
    if setting.rules.write is not None:
        return mask(setting.rules.write(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.15g}" if isinstance(value, float) else mask(str(value))


def _item(setting: Setting, text: str, folder: Path) -> object:
    """One value, of a string."""
    if setting.kind is bool:
        if text.lower() not in (*_YES, *_NO):
            raise ValueError(f"{_quoted(setting, text)} must be true or false")
        return text.lower() in _YES
    if setting.kind is int:
        if not _WHOLE.fullmatch(text):
            raise ValueError(_no_number(setting, _quoted(setting, text)))
        return _bounded(setting, int(text))
    if setting.kind is float:
        try:
            return _bounded(setting, float(text))
        except ValueError:
            raise ValueError(_no_number(setting, _quoted(setting, text))) from None
    return _of_string(setting, text, folder)


def _toml_item(setting: Setting, value: object, folder: Path) -> object:
    if setting.kind is bool:
        if not isinstance(value, bool):
            raise ValueError(f"{_toml_name(value)} must be true or false, without quotes")
        return value
    if setting.kind in (int, float):
        is_number = isinstance(value, int) or (setting.kind is float and isinstance(value, float))
        if isinstance(value, bool) or not is_number:
            raise ValueError(_no_number(setting, _toml_name(value)))
        assert isinstance(value, int | float)
        if abs(value) > _GREATEST:
            raise ValueError(_no_number(setting, "what is there"))
        return _bounded(setting, float(value) if setting.kind is float else value)
    if not isinstance(value, str):
        raise ValueError(f"{_toml_name(value)} must be text in quotes")
    return _of_string(setting, value, folder)


def _of_string(setting: Setting, text: str, folder: Path) -> object:
    if setting.kind is Path:
        if not text:
            raise ValueError("must be a path, not empty")
        return (folder / Path(text).expanduser()).resolve()
    if setting.rules.choices and text not in setting.rules.choices:
        raise ValueError(f"{_quoted(setting, text)} must be one of {', '.join(setting.rules.choices)}")
    try:
        value = text if setting.rules.read is None else setting.rules.read(text)
    except ValueError as error:
        said = str(error)
        raise ValueError(said.replace(text, MASK) if setting.rules.secret and text else mask(said)) from None
    return (folder / value).resolve() if isinstance(value, Path) else value


def _bounded(setting: Setting, number: float) -> float:
    least, most = setting.rules.least, setting.rules.most
    if (least is not None and number < least) or (most is not None and number > most):
        raise ValueError(_no_number(setting, _unquoted(setting, number)))
    # Not a number is within any bounds, and no setting of ours means anything when infinite.
    if isinstance(number, float) and not math.isfinite(number):
        raise ValueError(_no_number(setting, _unquoted(setting, number)))
    return number


def _no_number(setting: Setting, what: str) -> str:
    kind = "a whole number" if setting.kind is int else "a number"
    return f"{what} must be {kind} {setting.bounds}".rstrip()


def _quoted(setting: Setting, text: str) -> str:
    return MASK if setting.rules.secret else f"'{mask(text)[:80]}'"


def _unquoted(setting: Setting, number: float) -> str:
    return MASK if setting.rules.secret else str(number)[:80]


def _toml_name(value: object) -> str:
    names = {str: "text", int: "a whole number", float: "a number", list: "an array", dict: "a table"}
    return names.get(type(value), str(value).lower() if isinstance(value, bool) else f"a {type(value).__name__}")
