"""Looking after folders of pictures: which cannot be read, and fetching them from addresses (fastai v1's names)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from time import monotonic
from typing import IO
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from PIL import Image

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.folder import FolderScan
from learnfleet.trainer.images import MAX_BYTES, BadImage, decode_image

_log = logging.getLogger(__name__)
_MAX_SECONDS = 60  # for one picture
_CHUNK_BYTES = 2**16


def verify_images(
    path: Path | str, delete: bool = True, max_size: int | None = None, max_workers: int = 4
) -> list[BadImage]:
    """The pictures below a folder that cannot be read.

    Args:
        delete: remove them.
        max_size: also write pictures with a longer side than this many pixels anew, scaled down to it.
    """
    root = Path(path).resolve()
    files = [found.path for found in FolderScan(root).pictures(root)]
    with ThreadPoolExecutor(max_workers) as pool:
        broken = [error for error in pool.map(lambda file: _verify(file, root, max_size), files) if error is not None]
    for error in broken:
        if delete:
            Path(error.path).unlink()
        _log.warning("%s%s", error, "; removed" if delete else "")
    return broken


def _verify(file: Path, root: Path, max_size: int | None) -> BadImage | None:
    try:
        image = decode_image(file, root=root)
    except BadImage as error:
        return error
    if max_size is not None and max(image.size) > max_size:
        scale = max_size / max(image.size)
        width, height = (max(1, round(side * scale)) for side in image.size)
        small = image.resize((width, height), Image.Resampling.BILINEAR)
        temporary = file.with_name(f".{file.name}")
        small.save(temporary, format="PNG" if file.suffix.lower() == ".png" else "JPEG", quality=95)
        temporary.replace(file)
    return None


def download_images(
    urls: Sequence[str] | Path | str, dest: Path | str, max_pics: int = 1000, max_workers: int = 8, timeout: float = 4
) -> list[Path]:
    """Fetch pictures over http(s) into a folder, as 00000000.jpg and so on. What fails is logged and left out.

    Args:
        urls: addresses, or a file with one a line.
        timeout: seconds that a server may be silent.
    """
    lines = Path(urls).read_text().splitlines() if isinstance(urls, str | Path) else urls
    addresses = [line.strip() for line in lines if line.strip()][:max_pics]
    folder = Path(dest)
    folder.mkdir(parents=True, exist_ok=True)
    for address in addresses:
        _check_scheme(address)
    with ThreadPoolExecutor(max_workers) as pool:
        fetched = pool.map(lambda pair: _download(pair[1], folder / _name(*pair), timeout), enumerate(addresses))
        return [file for file in fetched if file is not None]


def _check_scheme(address: str) -> None:
    if urlsplit(address).scheme not in ("http", "https"):
        raise LearnerError("urls", f"{address!r} is not an http or https address")


def _name(number: int, address: str) -> str:
    suffix = Path(urlsplit(address).path).suffix.lower()
    return f"{number:08d}{suffix if suffix in ('.jpg', '.jpeg', '.png', '.webp', '.gif', '.bmp') else '.jpg'}"


class _HttpOnly(HTTPRedirectHandler):
    """urllib would also follow an answer that leads to ftp."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        _check_scheme(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(address: str, file: Path, timeout: float) -> Path | None:
    try:
        content = _fetch(address, timeout)
    except (OSError, HTTPException, ValueError) as error:
        _log.warning("%s was not fetched: %s", address, error)
        return None
    file.write_bytes(content)
    return file


def _fetch(address: str, timeout: float) -> bytes:
    """Raises OSError, HTTPException, or ValueError for an answer that is too large or too slow."""
    deadline, parts, size = monotonic() + _MAX_SECONDS, [], 0
    with build_opener(_HttpOnly).open(address, timeout=timeout) as answer:
        while part := answer.read(_CHUNK_BYTES):
            parts.append(part)
            size += len(part)
            if size > MAX_BYTES:
                raise ValueError(f"larger than {MAX_BYTES:,} bytes")
            if monotonic() > deadline:
                raise ValueError(f"not done after {_MAX_SECONDS} seconds")
    return b"".join(parts)
