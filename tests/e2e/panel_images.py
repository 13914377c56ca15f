"""Makes the pictures of the control panel in docs/images, from the answers of the tests.

    python -m tests.e2e.panel_images [FOLDER]

With a folder, it makes one of each view there, in both themes and both widths, to look at.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser
from tests.e2e.panel_answers import answers
from tests.e2e.panel_browser import NARROW, ROOT, VIEWS, WIDE, chromium, opened
from tests.e2e.panel_server import TOKEN, fake_server

NAME = "qwen2.5-coder-0.5b"
"""The name of everything in the answers: of a language too, which is left out here."""
IMAGES = ROOT / "docs/images"
README = (("now", "light", 880), ("suggestions", "dark", 900), ("privacy", "light", 900))
"""View, theme and height of those in README."""


def shown() -> dict[str, Any]:
    """Return answers with one editor, whose folder has a name as folders have."""
    found = answers()
    server = found["now"]["servers"][0]
    folder = "/home/u/shop"
    server |= {"started": time.time() - 5400}
    server |= {"workspace": folder, "folders": [folder], "breakers": []}
    for number, request in enumerate(server["requests"]):
        request |= {"uri": f"file://{folder}/billing.py", "id": f"r{number}"}
    found["now"]["servers"] = [server]
    found["suggestions"]["behind"] = 0
    languages = found["suggestions"]["by_language"]
    languages[:] = [one for one in languages if one["key"] != NAME]
    found["privacy"]["spend"]["today_unknown"] = 0
    return found


def picture(browser: Browser, file: Path, view: str, scheme: str, width: int, height: int) -> None:
    """Write one picture; without a height, of the whole view."""
    with (
        fake_server(shown()) as server,
        opened(browser, server.address, TOKEN, width=width, color_scheme=scheme) as panel,
    ):
        panel.connected()
        if height:
            panel.page.set_viewport_size({"width": width, "height": height})
        panel.show(view)
        panel.page.screenshot(path=file, full_page=not height)


def main() -> None:
    """Write the pictures."""
    with chromium() as browser:
        if len(sys.argv) > 1:
            for view in VIEWS:
                for scheme in ("light", "dark"):
                    for width in (WIDE, NARROW):
                        name = f"{view}-{scheme}-{width}.png"
                        picture(browser, Path(sys.argv[1]) / name, view, scheme, width, 0)
            return
        IMAGES.mkdir(exist_ok=True)
        for view, scheme, height in README:
            picture(browser, IMAGES / f"panel-{view}.png", view, scheme, WIDE, height)


if __name__ == "__main__":
    main()
