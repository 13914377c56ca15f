"""The view "Health": what is wrong and what to do, the log, and a report to copy."""

from __future__ import annotations

import asyncio
import platform
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from nearfield import __version__
from nearfield.features.doctor.report import examine, row
from nearfield.panel.jobs import JobProgress, Jobs, PanelJob, in_thread
from nearfield.panel.servers import Servers
from nearfield.panel.settings import loaded_for
from nearfield.panel.view import Query, Read, ViewAction

REPORTED_LINES = 50


class CheckBody(msgspec.Struct, frozen=True):
    """A folder whose settings count; `measured` measures a model and asks the hub."""

    workspace: str = ""
    measured: bool = False


class HealthView:
    """See the module."""

    def __init__(self, servers: Servers, jobs: Jobs) -> None:
        self._servers = servers
        self._jobs = jobs

    def reads(self) -> Mapping[str, Read]:
        """See `View`."""
        return {"health": self._last, "health/log": self._log, "health/report": self._report}

    def actions(self) -> Mapping[str, ViewAction]:
        """See `View`."""
        return {"health/check": ViewAction(CheckBody, self._check)}

    async def _last(self, query: Query) -> dict[str, Any]:
        job = self._jobs.last("doctor")
        running = self._jobs.running("doctor")
        return {
            "checks": (job.result if job is not None else None) or [],
            "at": job.ended if job is not None else None,
            "job": running.id if running is not None else None,
        }

    async def _check(self, body: CheckBody) -> dict[str, PanelJob]:
        loaded = await asyncio.to_thread(loaded_for, body.workspace)
        root = Path(body.workspace) if body.workspace else Path.home()

        async def work(progress: JobProgress) -> Any:
            rows: list[dict[str, Any]] = []

            def check() -> list[dict[str, Any]]:
                for one in examine(loaded, root, measured=body.measured):
                    rows.append({**row(one), "remedy": remedy_of(one.todo)})
                    progress.at(one.name, len(rows), result=list(rows))
                return rows

            return await in_thread(check, progress)

        return {"job": self._jobs.start("doctor", "Look for what is wrong", work, unit="checks")}

    async def _log(self, query: Query) -> dict[str, Any]:
        answers = await self._servers.ask_all("log")
        return {
            "servers": [
                {"id": one.id, "client": one.client, "lines": answer["lines"]}
                for one, answer in answers
                if isinstance(answer, dict)
            ]
        }

    async def _report(self, query: Query) -> dict[str, str]:
        last, log = await self._last(query), await self._log(query)
        lines = [
            f"# Nearfield {__version__}",
            "",
            f"Python {platform.python_version()}, {platform.system()} {platform.machine()},"
            f" {time.strftime('%Y-%m-%d %H:%M')}",
            "",
            *(f"- {one['name']}: {one['state']}, {one['found']}" for one in last["checks"]),
        ]
        for server in log["servers"]:
            lines += ["", f"## {server['client'] or 'server'}", ""]
            lines += [
                f"- {line['level']} {line['name']}: {line['text']}"
                for line in server["lines"][-REPORTED_LINES:]
            ]
        home = str(Path.home())
        text = "\n".join(lines) + "\n"
        # The name of the user is in the path of their folder.
        return {"text": text.replace(home, "~") if home not in ("", "/") else text}


def remedy_of(todo: str) -> dict[str, Any] | None:
    """Return what the panel can do about a check, None where that is the user's."""
    for command, title, post in _REMEDIES:
        if (found := command.search(todo)) is not None:
            said = {key: value or "" for key, value in found.groupdict().items()}
            body = said if post == "models/use" else {"name": said.get("name") or _default()}
            return {"title": title.format(**said), "post": post, "body": body}
    return None


def _default() -> str:
    from nearfield.catalog.models import Catalog

    return Catalog.load().default


_NAME = r"(?P<name>[\w.-]+)"
_REMEDIES = (
    (re.compile(f"`nearfield models remove {_NAME}`"), "Remove {name}", "models/remove"),
    (re.compile(f"`nearfield models pull {_NAME}`"), "Fetch {name}", "models/pull"),
    (re.compile("`nearfield models pull`"), "Fetch the default model", "models/pull"),
    (
        re.compile("`nearfield models use (?P<role>[a-z]+) auto`"),
        "Use the best model here for {role}",
        "models/use",
    ),
)
"""Commands in the words of a check, and the action of the panel that does the same."""
