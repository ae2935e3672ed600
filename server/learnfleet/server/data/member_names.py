"""Names of files that strangers give: inside an archive, or on an object store."""

from __future__ import annotations

import unicodedata

from learnfleet.server.data.errors import BadContent

MAX_DEPTH = 32  # as deep as the trainer looks
_MAX_PART_BYTES = 255  # what file systems take
_MAX_NAME_BYTES = 1024
_LEFTOVERS = ("__MACOSX",)


class MemberNames:
    """The names of one folder's files so far: each is where it seems to be, and no two are the same anywhere.

    Names come out in Unicode's composed form (NFC). Two that differ only in case or composition are refused: on some
    of the storages that workers read from they are one file, and the second would be written over the first.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}  # by folded name
        self._folders: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._names)

    def add(self, name: str) -> str:
        """The name under which to keep the file. Raises BadContent that says what is wrong with it."""
        parts = checked_parts(name)
        for depth in range(1, len(parts)):
            self._add_folder("/".join(parts[:depth]), name)
        return self._add_file("/".join(parts), name)

    def _add_folder(self, folder: str, name: str) -> None:
        folded = folder.casefold()
        known = self._folders.setdefault(folded, folder)
        if known != folder:
            raise BadContent(f"{name!r} and the folder {known!r} differ only in upper and lower case")
        if folded in self._names:
            raise BadContent(f"{self._names[folded]!r} is a file, and a folder to {name!r}")

    def _add_file(self, kept: str, name: str) -> str:
        folded = kept.casefold()
        if folded in self._names:
            raise BadContent(f"{name!r} and {self._names[folded]!r} are the same name, or the same but for case")
        if folded in self._folders:
            raise BadContent(f"{name!r} is a file, and a folder to others")
        self._names[folded] = kept
        return kept


def checked_parts(name: str) -> list[str]:
    """The folders and the file of a relative name. Raises BadContent."""
    shown = repr(name[:200])
    if name.startswith("/") or name[1:2] == ":":
        raise BadContent(f"{shown} is an absolute path; names must be relative to the data set's folder")
    parts = [part for part in unicodedata.normalize("NFC", name).split("/") if part not in ("", ".")]
    if not parts:
        raise BadContent(f"{shown} names no file")
    if ".." in parts:
        raise BadContent(f"{shown} leads out of the data set's folder")
    if any(not _is_portable(character) for character in name):
        raise BadContent(f"{shown} holds a backslash, a control character, or bytes that are no UTF-8; rename the file")
    sizes = [len(part.encode()) for part in parts]
    if max(sizes) > _MAX_PART_BYTES or sum(sizes) + len(sizes) > _MAX_NAME_BYTES or len(parts) > MAX_DEPTH:
        raise BadContent(f"{shown} is too long, or more than {MAX_DEPTH} folders deep")
    return parts


def is_hidden(name: str) -> bool:
    """Whether a file is none of the data: the trainer never looks at it, and systems write it as they please."""
    if "." not in name and "_" not in name:  # most are not, and there may be a million
        return False
    return any(part in _LEFTOVERS or (part.startswith(".") and part not in (".", "..")) for part in name.split("/"))


def _is_portable(character: str) -> bool:
    return character != "\\" and unicodedata.category(character) not in ("Cc", "Cs")
