"""Looking after folders of pictures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image
from support.pictures import a_class_folder, encoded, picture, truncate

from learnfleet.trainer import picture_tools
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.picture_tools import download_images, verify_images

PICTURE = encoded(picture(0))


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/to_"):
            self.send_response(302)
            self.send_header("Location", f"{self.path[4:].split('.')[0]}://127.0.0.1:9/x.png")
            self.end_headers()
            return
        bodies = {"/ok": PICTURE, "/page": b"<html>", "/large": b"x" * 5000}
        body = bodies.get(self.path.split(".")[0])
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """A web server of this machine's own, as its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def test_pictures_are_fetched_by_number_and_what_fails_is_left_out(
    tmp_path: Path, server: str, caplog: pytest.LogCaptureFixture
) -> None:
    urls = [
        f"{server}/ok.png",
        f"{server}/nothing.png",
        f"{server}/ok",
        f"{server}/to_ftp.png",
        f"{server}/to_file.png",
    ]
    found = download_images(urls, tmp_path / "new", max_workers=2)
    assert [file.name for file in found] == ["00000000.png", "00000002.jpg"]
    assert all(file.read_bytes() == PICTURE for file in found)
    assert sorted(tmp_path.joinpath("new").iterdir()) == found
    assert caplog.text.count("was not fetched") == 3
    assert "'ftp://127.0.0.1:9/x.png' is not an http or https address" in caplog.text


def test_addresses_come_from_a_file_too_and_no_more_than_asked(tmp_path: Path, server: str) -> None:
    (tmp_path / "urls.csv").write_text(f"{server}/ok.png\n\n{server}/ok.png\n{server}/ok.png\n")
    assert len(download_images(tmp_path / "urls.csv", tmp_path / "new", max_pics=2)) == 2


def test_answers_above_the_limit_are_not_kept(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_tools, "MAX_BYTES", 4000)
    assert download_images([f"{server}/large.png"], tmp_path) == []


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/x.png", "x.png"])
def test_only_http_is_fetched(tmp_path: Path, address: str) -> None:
    with pytest.raises(LearnerError, match="is not an http or https address"):
        download_images([address], tmp_path)


def test_pictures_that_cannot_be_read_are_found_and_removed_as_asked(tmp_path: Path) -> None:
    a_class_folder(tmp_path / "a", 4)
    truncate(tmp_path / "a" / "001.png")
    (tmp_path / "a" / "page.jpg").write_bytes(b"<html>")
    (tmp_path / "a" / "notes.txt").write_text("not a picture, and not asked about")
    found = verify_images(tmp_path, delete=False)
    assert sorted(Path(error.path).name for error in found) == ["001.png", "page.jpg"]
    assert len(list((tmp_path / "a").iterdir())) == 6
    verify_images(tmp_path)
    assert sorted(file.name for file in (tmp_path / "a").iterdir()) == ["000.png", "002.png", "003.png", "notes.txt"]


def test_large_pictures_are_scaled_down_to_the_longest_side(tmp_path: Path) -> None:
    picture(0, 100, 50).save(tmp_path / "wide.png")
    picture(0, 30, 20).save(tmp_path / "small.jpg")
    before = (tmp_path / "small.jpg").read_bytes()
    assert verify_images(tmp_path, max_size=40) == []
    with Image.open(tmp_path / "wide.png") as image:
        assert (image.size, image.format) == ((40, 20), "PNG")
    assert (tmp_path / "small.jpg").read_bytes() == before
