"""The panel's view Models, over a real server and a hub of the test: fetching, verifying, using,
removing, measuring."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, expect
from pytest_httpserver import HTTPServer
from tests.e2e.panel_browser import opened
from tests.e2e.panel_home import Home, until
from tests.e2e.process import PATIENCE_SECONDS
from tests.unit.catalog.gguf_files import model
from werkzeug import Request, Response

CONTENT = model() + bytes(range(256)) * 4000
OWN = """
[models.tiny]
title = "Tiny"
sources = [{ kind = "hub", repo = "maker/tiny", file = "tiny.gguf" }]
file = "tiny.gguf"
licence = "MIT"
context = 4096
roles = ["complete", "chat"]
chat = "gguf"
fim = "qwen"
memory_mb = 10
"""


def test_a_model_is_fetched_with_a_pause_verified_used_and_removed(
    tmp_path: Path, httpserver: HTTPServer, browser: Browser
) -> None:
    endpoint = httpserver.url_for("").rstrip("/")
    no_index = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"}
    home = Home(tmp_path, HF_ENDPOINT=endpoint, **no_index)
    (home.config.parent / "catalog.toml").write_text(OWN, encoding="utf-8")
    go_on, begun = threading.Event(), threading.Event()
    asked: list[str] = []

    def resolve(request: Request) -> Response:
        """Give half of what is asked for, and the rest when the test says so."""
        first = int(request.headers.get("Range", "bytes=0-").split("=")[1].split("-")[0])
        asked.append(f"{request.method} {first}")
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        headers = {
            "X-Linked-Etag": f'"{sha256}"',
            "X-Linked-Size": str(len(CONTENT)),
            "Accept-Ranges": "bytes",
            "Content-Length": str(len(CONTENT) - first),
        }
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}"

        def pieces() -> Iterator[bytes]:
            yield CONTENT[first : first + len(CONTENT) // 2]
            begun.set()
            go_on.wait(PATIENCE_SECONDS)
            yield CONTENT[first + len(CONTENT) // 2 :]

        return Response(pieces(), headers=headers, status=206 if first else 200)

    httpserver.expect_request("/maker/tiny/resolve/main/tiny.gguf").respond_with_handler(resolve)
    try:
        with opened(browser, home.panel()) as panel:
            page = panel.show("models")
            page.get_by_label("Find").fill("tiny")
            row = page.get_by_role("table", name="Models").get_by_role("row", name="Tiny tiny")
            row.get_by_role("button", name="Fetch tiny", exact=True).click()
            expect(row.locator("progress")).to_have_attribute("value", re.compile("[1-9]"))
            row.get_by_role("button", name="Pause").click()
            expect(row).to_contain_text("stopping", ignore_case=True)
            go_on.set()
            expect(row.get_by_role("button", name="Resume tiny", exact=True)).to_be_visible()
            row.get_by_role("button", name="Resume tiny", exact=True).click()
            expect(row).to_contain_text("installed")
            assert home.run("models", "list", "--installed")[0]["name"] == "tiny"

            row.get_by_role("button", name="Verify tiny", exact=True).click()
            expect(row.get_by_role("button", name="Verify tiny", exact=True)).to_be_visible()
            row.get_by_label("Use tiny for a role").select_option("complete")
            until(lambda: "tiny" in home.config.read_text(encoding="utf-8"))
            row.get_by_role("button", name="Remove tiny", exact=True).click()
            page.get_by_role("dialog").get_by_role("button", name="Remove").click()
            until(lambda: not home.run("models", "list", "--installed"))
    finally:
        go_on.set()
        home.end()
