"""Chromium, as the system has it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

INSTALL = Path(__file__).parents[2] / "scripts/install-packages"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Generator[Browser]:
    """Yield a browser without a window. It is installed where it is missing."""
    names = ("chromium", "google-chrome")
    if not any(map(shutil.which, names)):
        subprocess.run([INSTALL, "chromium", "fonts-dejavu-core"], check=True)
    found = next(filter(None, map(shutil.which, names)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()
