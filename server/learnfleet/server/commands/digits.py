"""scikit-learn's scanned digits as an image folder."""

from __future__ import annotations

from pathlib import Path

VALID_EVERY = 5  # every fifth scan validates
HELD_OUT_PER_CLASS = 1


def write_digits(root: Path, limit: int | None = None) -> Path:
    """Write the 1,797 scans (8 x 8 grey, made by 43 people; UCI optdigits) as PNG files and return `root`.

    Layout: `train/<digit>`, `valid/<digit>`, and one scan a digit in `held_out/<digit>` that neither of them has.

    Args:
        limit: take only the first so many scans.

    Raises ImportError where scikit-learn is not installed.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    seen = dict.fromkeys(range(10), 0)
    for index, (scan, digit) in enumerate(zip(digits.images[:limit], digits.target[:limit], strict=True)):
        folder = root / _split_of(seen[int(digit)]) / str(digit)
        folder.mkdir(parents=True, exist_ok=True)
        # The scans count 0..16 ink marks a cell.
        Image.fromarray((scan * (255 / 16)).astype("uint8")).save(folder / f"{index:04d}.png")
        seen[int(digit)] += 1
    return root


def _split_of(nth: int) -> str:
    """Of the scans of one digit, the first is held out and then every fifth validates."""
    if nth < HELD_OUT_PER_CLASS:
        return "held_out"
    return "valid" if nth % VALID_EVERY == 0 else "train"
