from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from support.pictures import SHARED, encoded, picture, unpack_shared

from learnfleet.trainer import jpeg
from learnfleet.trainer.folder import scan_folder
from learnfleet.trainer.images import (
    MAX_BYTES,
    BadImage,
    decode_image,
    decode_pixels,
    decode_window,
    open_image,
    probe_image,
)
from learnfleet.trainer.spec import DataSpec


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_shared("awkward.tar.gz", tmp_path_factory.mktemp("awkward")) / "nasty"


def outcomes(root: Path) -> dict[str, str]:
    """What scanning and decoding makes of every picture: ok or reject. Absent: ignored."""
    listing = scan_folder(DataSpec(str(root), valid_pct=0.0))
    found = {str(refused.path.relative_to(root)): "reject" for refused in listing.refused}
    for item in listing.train:
        try:
            decode_image(item.path, root=root)
            found[str(item.path.relative_to(root))] = "ok"
        except BadImage:
            found[str(item.path.relative_to(root))] = "reject"
    return found


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_every_awkward_file_gets_what_it_deserves(awkward: Path) -> None:
    expected = json.loads((SHARED / "data" / "awkward-expected.json").read_text())["files"]
    found = outcomes(awkward)
    wrong = {
        name: (found.get(name, "ignore"), entry["expect"])
        for name, entry in expected.items()
        if found.get(name, "ignore") not in entry["expect"].replace("ignored", "ignore")
    }
    assert wrong == {}
    assert set(found) <= set(expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_exif_says(awkward: Path, orientation: int) -> None:
    path = awkward / "train" / "bees" / f"exif_orientation_{orientation}.jpg"
    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
    assert np.array_equal(np.asarray(decode_image(path)), expected)


def test_16_bit_grey_keeps_its_contrast(awkward: Path) -> None:
    path = awkward / "train" / "ants" / "gray16.png"
    with Image.open(path) as raw:
        expected = np.asarray(raw).astype(float) / 257
    pixels = np.asarray(decode_image(path)).astype(float)
    assert np.abs(pixels - expected[..., None]).max() <= 1


def test_transparent_pixels_become_white() -> None:
    image = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    image.putpixel((1, 1), (10, 20, 30, 255))
    pixels = np.asarray(decode_image(encoded(image)))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[1, 1].tolist() == [10, 20, 30]


def test_a_large_jpeg_is_decoded_at_a_reduced_scale_that_covers_the_target() -> None:
    content = encoded(picture(0, 1600, 1200), "JPEG")
    assert decode_image(content, min_side=140).size == (200, 150)
    assert decode_image(content).size == (1600, 1200)


def test_a_jpeg_above_the_pixel_limit_is_taken_when_it_shrinks_and_refused_when_not() -> None:
    content = encoded(Image.new("RGB", (7000, 5000), "red"), "JPEG")
    assert probe_image(content) == (7000, 5000)
    assert decode_image(content, min_side=100).size == (875, 625)
    with pytest.raises(BadImage, match="7000 x 5000 pixels; the limit is 25,000,000"):
        decode_image(content)


def test_probing_refuses_a_bomb_without_decoding_it() -> None:
    with pytest.raises(BadImage, match="6000 x 6000 pixels"):
        probe_image(encoded(Image.new("1", (6000, 6000))))


def test_a_file_above_the_byte_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.png"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(BadImage, match="the limit is"):
        decode_image(path)


def test_a_fifo_is_refused_at_once_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(BadImage, match="not a regular file"):
        decode_image(tmp_path / "pipe.jpg")


def test_a_folder_is_not_a_picture(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match=r"not a regular file|directory"):
        decode_image(tmp_path)


def test_a_link_out_of_the_tree_is_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    picture(0).save(tmp_path / "secret.png")
    (root / "link.png").symlink_to("../secret.png")
    with pytest.raises(BadImage, match="a link to a place outside"):
        decode_image(root / "link.png", root=root)


def test_a_disk_error_is_not_blamed_on_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(0).save(tmp_path / "a.png")

    def failing_open(*args: object, **kwargs: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "open", failing_open)
    with pytest.raises(OSError, match="Input/output error"):
        decode_image(tmp_path / "a.png")


def test_mutated_pictures_are_decoded_or_refused_and_nothing_else() -> None:
    random = np.random.default_rng(0)
    originals = [encoded(picture(0, 64, 48), fmt) for fmt in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")]
    refused = 0
    for number in range(600):
        content = bytearray(originals[number % len(originals)])
        for _ in range(1 + number % 4):
            content[int(random.integers(len(content)))] = int(random.integers(256))
        try:
            assert decode_image(bytes(content), min_side=16).mode == "RGB"
        except BadImage:
            refused += 1
    assert 0 < refused < 600


def _jpegs() -> list[bytes]:
    """One of each kind that a camera, a scanner or a web page may make."""
    image, exif = picture(0, 120, 88), Image.Exif()
    exif[0x0112] = 6
    return [
        encoded(image, "JPEG"),
        encoded(image.convert("L"), "JPEG"),
        encoded(image.convert("CMYK"), "JPEG"),
        encoded(image, "JPEG", subsampling=0, keep_rgb=True),
        encoded(image, "JPEG", progressive=True),
        encoded(image, "JPEG", exif=exif),
        encoded(image, "JPEG", restart_marker_blocks=3),
    ]


def _damaged(content: bytes, kind: int, random: np.random.Generator) -> bytes:
    """As it is, cut short, a few bytes left out, a few changed."""
    place, damaged = int(random.integers(len(content))), bytearray(content)
    if kind == 1:
        return content[:place]
    if kind == 2:
        del damaged[place : place + 5]
    if kind == 3:
        damaged[place] = int(random.integers(256))
    return bytes(damaged)


def _outcome(content: bytes, min_side: int | None) -> str | np.ndarray:
    try:
        return decode_pixels(content, min_side=min_side)
    except BadImage as error:
        return str(error)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_jpegs_are_taken_refused_and_decoded_as_by_pillow_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    random, refused, originals = np.random.default_rng(0), 0, _jpegs()
    for number in range(420):
        content = _damaged(originals[number % 7], number // 7 % 4, random)
        min_side = (None, 11, 22, 44)[number % 4]
        found = _outcome(content, min_side)
        with monkeypatch.context() as patch:
            patch.setattr(jpeg, "simplejpeg", None)
            expected = _outcome(content, min_side)
        assert type(found) is type(expected), number
        assert np.array_equal(found, expected), number
        refused += isinstance(found, str)
    assert 50 < refused < 300


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_window_is_the_same_part_of_the_upright_picture_at_any_scale(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(picture(0, 320, 240), "JPEG", quality=95, exif=exif)
    whole = decode_pixels(content)
    shapes = []

    def choose(shape: tuple[int, int]) -> tuple[int, int, int, int]:
        shapes.append(shape)
        return 40, 24, 160, 128

    assert np.array_equal(decode_window(content, choose, (150, 120)), whole[40:200, 24:152])
    assert shapes == [whole.shape[:2]]
    reduced = decode_window(content, choose, (40, 32)).astype(float)
    assert reduced.shape == (40, 32, 3)
    assert np.abs(reduced - whole[40:200, 24:152].reshape(40, 4, 32, 4, 3).mean(axis=(1, 3))).mean() < 2


def test_a_window_of_a_file_that_was_decoded_before_is_the_same_and_reads_no_further(tmp_path: Path) -> None:
    for number, options in enumerate(({}, {"subsampling": 0}, {"restart_marker_blocks": 5}, {"quality": 95})):
        path, sound = tmp_path / f"{number}.jpg", dict[Path | bytes, int]()
        content = encoded(picture(number, 333, 251), "JPEG", **options)
        for top, least in ((0, 90), (40, 90), (100, 20), (161, 90)):
            path.write_bytes(content)
            first, again = (
                decode_window(path, lambda shape, top=top: (top, 30, 90, 80), (least, least), sound=sound)
                for _ in range(2)
            )
            assert sound == {path: len(content)}
            assert np.array_equal(first, again)
            if top == 0:
                path.write_bytes(content[:-1000] + bytes(1000))
                unread = decode_window(path, lambda shape: (0, 30, 90, 80), (least, least), sound=sound)
                assert np.array_equal(first, unread)


def test_a_broken_picture_is_refused_whatever_part_is_wanted_of_it() -> None:
    content = encoded(picture(0, 320, 240), "JPEG")
    with pytest.raises(BadImage, match="truncated"):
        decode_window(content[:-1500], lambda shape: (0, 0, 16, 16), (16, 16))


def test_the_error_survives_pickling_and_names_file_and_reason() -> None:
    error = pickle.loads(pickle.dumps(BadImage(Path("a/b.jpg"), "truncated")))  # noqa: S301
    assert (error.path, error.reason) == (Path("a/b.jpg"), "truncated")
    assert str(error) == "'a/b.jpg': truncated"


def test_open_image_gives_planes() -> None:
    tensor = open_image(encoded(picture(0, 20, 16)))
    assert tuple(tensor.shape) == (3, 16, 20)
    assert np.array_equal(tensor.permute(1, 2, 0).numpy(), np.asarray(picture(0, 20, 16)))


def test_checking_pictures_and_folders_loads_no_torch() -> None:
    code = (
        "import sys, learnfleet.trainer.images as i, learnfleet.trainer.folder_check as f\n"
        "from learnfleet.trainer.spec import DataSpec\n"
        "assert f.check_folder(DataSpec('/does/not/exist'))\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
