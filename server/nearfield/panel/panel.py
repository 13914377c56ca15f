"""The panel as a whole: its page, its views and its streams, as handlers of paths."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nearfield.catalog.disk import cache_dir, models_dir
from nearfield.catalog.models import user_catalogue_file
from nearfield.config.paths import data_dir, user_config_file
from nearfield.errors import NearfieldError
from nearfield.features.chat.kept_chats import FOLDER as CHATS
from nearfield.features.measured import FILE as MEASURED
from nearfield.features.metrics.store import FILE as SUGGESTIONS
from nearfield.features.token import Token
from nearfield.features.trial.trial import trial_file
from nearfield.http import wire
from nearfield.http.app import PathHandler
from nearfield.http.exchange import HttpExchange
from nearfield.http.wire import BadRequest
from nearfield.panel.chats import ChatsView
from nearfield.panel.health import HealthView
from nearfield.panel.index import IndexView
from nearfield.panel.jobs import Jobs
from nearfield.panel.jobs_view import JobsView
from nearfield.panel.live import Live
from nearfield.panel.models import ModelsView
from nearfield.panel.now import NowView
from nearfield.panel.page import page_paths
from nearfield.panel.privacy import PrivacyView
from nearfield.panel.routing import RoutingView
from nearfield.panel.servers import Servers
from nearfield.panel.settings import SettingsView
from nearfield.panel.suggestions import SuggestionsView
from nearfield.panel.trial import TrialView
from nearfield.panel.view import BASE, PANEL, View, own, paths_of
from nearfield.routing.store import FILE as LEDGER
from nearfield.tasks import run_task, stop_task

if TYPE_CHECKING:
    from nearfield.features.service import Service

CODE_SECONDS = 60.0
MAX_CODES = 16


def files_of_views() -> Mapping[str, Sequence[Path]]:
    """Return the files that lie under each view, whose changes are told."""
    config, data = user_config_file(), data_dir()
    ledger = [data / LEDGER, data / f"{LEDGER}-wal"]
    return {
        "routing": [config],
        "models": [config, user_catalogue_file(), data / MEASURED, models_dir()],
        "privacy": [config, *ledger],
        "suggestions": [data / SUGGESTIONS, data / f"{SUGGESTIONS}-wal"],
        "trial": [config, trial_file(), data / SUGGESTIONS, data / f"{SUGGESTIONS}-wal"],
        "index": [config, cache_dir() / "index"],
        "chats": [data / CHATS],
    }


class CodeBody(msgspec.Struct, frozen=True):
    """A code that is good for the token, once."""

    code: str


class Panel:
    """See the module. `service` is that of the process it runs in, None where there is none."""

    def __init__(self, token: Token, service: Service | None = None) -> None:
        self._token = token
        self._codes: dict[str, float] = {}
        self._jobs = Jobs()
        servers = Servers()
        now = NowView(servers)
        self._live = Live(lambda: now.now({}), files_of_views, self._jobs)
        self._suggestions = SuggestionsView()
        self._chats = ChatsView(service)
        self._views: tuple[View, ...] = (
            JobsView(self._jobs),
            now,
            ModelsView(self._jobs),
            RoutingView(servers),
            SettingsView(),
            self._suggestions,
            TrialView(),
            IndexView(servers, self._jobs),
            PrivacyView(),
            self._chats,
            HealthView(servers, self._jobs),
        )
        self._settling: asyncio.Task[None] | None = None

    def paths(self) -> Mapping[str, PathHandler]:
        """Return the handlers by path."""
        handlers = {
            **page_paths(),
            f"{BASE}session": PathHandler(
                "POST", own(self._session), open=True, page=True, dialect=PANEL
            ),
            f"{BASE}events": PathHandler("GET", own(self._live.events), dialect=PANEL),
            f"{BASE}chats/say": PathHandler("POST", own(self._chats.say), dialect=PANEL),
        }
        for view in self._views:
            handlers |= paths_of(view)
        return handlers

    def begin(self) -> None:
        """Begin with what would keep the first page waiting; on the event loop."""
        self._settling = run_task(self._prepare(), "prepare the panel")

    async def _prepare(self) -> None:
        """Read once what the first views read, whose imports and files take longest the first
        time, and then add up the suggestions."""
        reads = {path: read for view in self._views for path, read in view.reads().items()}
        for path in ("models", "routing", "privacy"):
            with suppress(NearfieldError):  # the request for the view says it
                await reads[path]({})
        await self._suggestions.settle()

    def code(self) -> str:
        """Return a code that a browser gets the token for, once and soon. A browser's arguments can
        be read by others, and its history keeps addresses."""
        now = time.monotonic()
        self._codes = {code: end for code, end in self._codes.items() if end > now}
        while len(self._codes) >= MAX_CODES:
            del self._codes[next(iter(self._codes))]
        code = secrets.token_urlsafe(24)
        self._codes[code] = now + CODE_SECONDS
        return code

    async def aclose(self) -> None:
        """End the streams and the jobs."""
        await self._live.aclose()
        await self._jobs.aclose()
        await stop_task(self._settling)
        await self._chats.aclose()

    async def _session(self, exchange: HttpExchange, body: bytes) -> None:
        said = wire.read(CodeBody, body).code.encode()
        now = time.monotonic()
        for code, end in list(self._codes.items()):
            if secrets.compare_digest(code.encode(), said):
                del self._codes[code]
                if end > now:
                    await exchange.json({"token": self._token.value})
                    return
        raise BadRequest(
            "This address was used before, or is too old.",
            status=401,
            hint="Run `nearfield panel` for a new one.",
        )
