"""The files of the page: read once, served with headers that let it load nothing from elsewhere."""

from __future__ import annotations

import re
from importlib import resources
from importlib.resources.abc import Traversable

from nearfield.http.app import PathHandler
from nearfield.http.exchange import HttpExchange
from nearfield.panel.view import PANEL

BASE = "/panel/"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}
FRAMES = "'self' vscode-webview: vscode-file: http://127.0.0.1:* http://localhost:* https://*.vscode-cdn.net"
"""Pages that may show this one in a frame: an editor's. A frame knows no token, so others could
show nothing but the question for one."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none';"
    f" frame-ancestors {FRAMES}"
)
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
FOREVER = "max-age=31536000, immutable"

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_HASHED = re.compile(r"[-.][A-Za-z0-9_-]{8,}\.[a-z0-9]+$")

MISSING = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Nearfield</title>
<p>This installation has no page. The panel's API is there: see docs/panel.md.</p></html>
"""


def page_paths() -> dict[str, PathHandler]:
    """Return the handlers of the page's files, by path."""
    files = {"index.html": MISSING.encode()} | dict(
        _files(resources.files("nearfield.panel") / "page")
    )
    handlers = {f"{BASE}{name}": _handler(name, content) for name, content in files.items()}
    handlers[BASE] = _handler("index.html", files["index.html"])
    handlers[BASE.rstrip("/")] = PathHandler("GET", _to_page, open=True, page=True, dialect=PANEL)
    return handlers


def _files(folder: Traversable, above: str = "") -> list[tuple[str, bytes]]:
    """Return the names and contents of the files in a folder, and one level below."""
    found: list[tuple[str, bytes]] = []
    if not folder.is_dir():
        return found
    for one in folder.iterdir():
        if not _NAME.fullmatch(one.name):
            continue
        if one.is_file() and _ending(one.name) in TYPES:
            found.append((f"{above}{one.name}", one.read_bytes()))
        elif one.is_dir() and not above:
            found += _files(one, f"{one.name}/")
    return found


def _ending(name: str) -> str:
    return f".{name.rpartition('.')[2]}"


def _handler(name: str, content: bytes) -> PathHandler:
    kept = FOREVER if _HASHED.search(name) else "no-cache"
    headers = HEADERS | {"cache-control": kept}

    async def answer(exchange: HttpExchange, body: bytes) -> None:
        await exchange.file(content, TYPES[_ending(name)], **headers)

    return PathHandler("GET", answer, open=True, page=True, dialect=PANEL)


async def _to_page(exchange: HttpExchange, body: bytes) -> None:
    await exchange.redirect(BASE)
