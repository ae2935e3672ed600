"""A real browser without a window: Debian's chromium and chromium-driver, driven by selenium."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

# As root, without a GPU, and without the calls home that a closed network lets run into the void.
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-prefers-reduced-motion",  # a click waits for no scrolling
)


def why_no_browser() -> str:
    """Why tests with a browser cannot run here; "" where they can."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        return f"needs {' and '.join(missing)}: apt-get install chromium chromium-driver"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "needs selenium: pip install -e '.[dev]'"
    return ""


needs_browser = pytest.mark.skipif(bool(why_no_browser()), reason=why_no_browser() or "there is one")


@contextlib.contextmanager
def browser(*, width: int = 1400, height: int = 1000, dark: bool = False) -> Iterator[Chrome]:
    """A new one, with a profile of its own; what its pages log is kept."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        if dark:
            options.add_argument("--blink-settings=preferredColorScheme=0")
        driver = Chrome(options=options, service=ChromeService(str(shutil.which("chromedriver"))))
        try:
            yield driver
        finally:
            driver.quit()
