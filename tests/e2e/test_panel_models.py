"""The panel's view Models, over a real server and a hub of the test: fetching, verifying, using,
removing, measuring."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from pytest_httpserver import HTTPServer
from tests.e2e.panel_browser import opened
from tests.e2e.panel_home import CONTENT, Home, until
from tests.e2e.process import PATIENCE_SECONDS
from tests.unit.catalog.gguf_files import hub_entry, linked
from werkzeug import Request, Response


def test_a_model_is_fetched_with_a_pause_verified_used_and_removed(
    tmp_path: Path, httpserver: HTTPServer, browser: Browser
) -> None:
    endpoint = httpserver.url_for("").rstrip("/")
    no_index = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"}
    home = Home(tmp_path, HF_ENDPOINT=endpoint, **no_index)
    (home.config.parent / "catalog.toml").write_text(hub_entry(), encoding="utf-8")
    go_on, begun = threading.Event(), threading.Event()
    asked: list[str] = []

    def resolve(request: Request) -> Response:
        """Give half of what is asked for, and the rest when the test says so."""
        first = int(request.headers.get("Range", "bytes=0-").split("=")[1].split("-")[0])
        asked.append(f"{request.method} {first}")
        headers = {
            **linked(CONTENT),
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

            row.get_by_label("Use tiny for a role").select_option("complete")
            until(lambda: home.settings().get("models") == {"complete": "tiny"})
            row.get_by_role("button", name="Verify tiny", exact=True).click()
            expect(row).to_contain_text("verified")
            (file,) = (tmp_path / "cache").rglob("tiny.gguf")
            # The size and time of the right file: only reading it again shows the change.
            when = file.stat().st_mtime_ns
            changed = tmp_path / "changed"
            changed.write_bytes(CONTENT[:-1] + b"?")
            os.utime(changed, ns=(when, when))
            changed.replace(file)
            row.get_by_role("button", name="Verify tiny", exact=True).click()
            expect(row).to_contain_text("has changed since it came")
            row.get_by_role("button", name="Remove tiny", exact=True).click()
            page.get_by_role("dialog").get_by_role("button", name="Remove").click()
            until(lambda: not home.run("models", "list", "--installed"))
    finally:
        go_on.set()
        home.end()


def test_the_hub_is_searched_and_a_file_of_it_fetched(
    tmp_path: Path, httpserver: HTTPServer, browser: Browser
) -> None:
    home = Home(tmp_path, HF_ENDPOINT=httpserver.url_for("").rstrip("/"))
    free = {"id": "maker/own-coder", "downloads": 4100, "tags": ["gguf", "license:mit"]}
    closed = {"id": "other/closed", "gated": "manual"}
    wanted = {"search": "own coder", "filter": "gguf", "sort": "downloads", "limit": "20"}
    found = httpserver.expect_request("/api/models", query_string={**wanted, "full": "true"})
    found.respond_with_json([free, closed])
    files = [{"path": "own-coder-q4_k_m.gguf", "size": len(CONTENT)}, {"path": "README.md"}]
    files.append({"path": "own-coder-f16.gguf", "size": 1 << 50})
    tree = "/api/models/maker/own-coder/tree/main"
    httpserver.expect_request(tree).respond_with_json(files)
    card = {"cardData": {"license": "mit"}}
    httpserver.expect_request("/api/models/maker/own-coder").respond_with_json(card)
    path = "/maker/own-coder/resolve/main/own-coder-q4_k_m.gguf"
    httpserver.expect_request(path).respond_with_data(CONTENT, headers=linked(CONTENT))
    try:
        with opened(browser, home.panel()) as panel:
            page = panel.show("models")
            page.get_by_label("Name of a model").fill("own coder")
            page.get_by_role("button", name="Search", exact=True).click()
            repositories = page.get_by_role("table", name="Repositories")
            expect(repositories.get_by_role("row", name="maker/own-coder")).to_contain_text("mit")
            closed_row = repositories.get_by_role("row", name="other/closed")
            expect(closed_row).to_contain_text("needs an account")
            page.get_by_role("button", name="Files of maker/own-coder").click()
            listed = page.get_by_role("table", name="Files of maker/own-coder")
            expect(listed.get_by_role("row", name="f16")).to_contain_text("too large")
            expect(listed.get_by_role("row", name="q4_k_m")).to_contain_text("fits")
            listed.get_by_role("button", name="Fetch own-coder-q4_k_m.gguf").click()
            row = page.get_by_role("table", name="Models").get_by_role("row", name="own-coder")
            expect(row).to_contain_text("installed")
            (installed,) = home.run("models", "list", "--installed")
            assert (installed["name"], installed["bytes"]) == ("own-coder-q4-k-m", len(CONTENT))
    finally:
        home.end()


@pytest.mark.model
def test_models_are_measured_side_by_side(
    tmp_path: Path, browser: Browser, small_model: Path
) -> None:
    """The same file under two names."""
    home = Home(tmp_path)
    try:
        for name in ("first", "second"):
            home.run("models", "add", name, str(small_model))
        with opened(browser, home.panel()) as panel:
            page = panel.show("models")
            benchmark = page.get_by_role("region", name="Benchmark")
            for name in ("first", "second"):
                benchmark.get_by_label(name, exact=True).check()
            benchmark.get_by_role("button", name="Measure 2 models").click()
            expect(benchmark.get_by_role("button", name="Stop")).to_be_visible()
            measured = benchmark.get_by_role("table", name="Measured on this machine")
            measure = benchmark.get_by_role("button", name="Measure 2 models")
            expect(measure).to_be_visible(timeout=8 * PATIENCE_SECONDS * 1000)
            for name in ("first", "second"):
                row = measured.get_by_role("row", name=name)
                expect(row).to_contain_text(re.compile(r"[1-9][\d.]* tokens/s"))
            kept = json.loads((home.data / "measured.json").read_text(encoding="utf-8"))
            assert sorted(kept) == ["first", "second"]
            assert all(one["write"] > 0 and one["read"] > 0 for one in kept.values())
    finally:
        home.end()
