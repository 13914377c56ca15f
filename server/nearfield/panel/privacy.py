"""The view "Privacy": everything that left this machine, what may, and what it cost."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from nearfield.config.load import load
from nearfield.features import local_only
from nearfield.http.wire import BadRequest
from nearfield.panel.view import Query, Read, ViewAction, number
from nearfield.routing import money
from nearfield.routing.ledger import EntryFilter, LedgerEntry
from nearfield.routing.store import Store
from nearfield.routing.used import used

DAY = 86_400.0
DAYS = 30
MAX_ENTRIES = 500


class RevokeBody(msgspec.Struct, frozen=True):
    """Decisions of a workspace or a provider; None for all."""

    workspace: str | None = None
    provider: str | None = None


class SwitchBody(msgspec.Struct, frozen=True):
    """A switch."""

    on: bool


class PrivacyView:
    """See the module."""

    def __init__(self) -> None:
        self._store = Store()

    def reads(self) -> Mapping[str, Read]:
        """See `View`."""
        return {"privacy": self._privacy, "privacy/entry": self._entry}

    def actions(self) -> Mapping[str, ViewAction]:
        """See `View`."""
        return {
            "privacy/revoke": ViewAction(RevokeBody, self._revoke),
            "privacy/local_only": ViewAction(SwitchBody, self._local_only),
        }

    async def _privacy(self, query: Query) -> dict[str, Any]:
        limit = number(query, "limit", 50, 1, MAX_ENTRIES)
        before = number(query, "before", 0, 0, 1 << 53)
        wanted = EntryFilter(
            workspace=query.get("workspace") or None,
            provider=query.get("provider") or None,
            outcome=query.get("outcome") or None,
            before=before or None,
        )
        return await asyncio.to_thread(self._list, wanted, limit)

    def _list(self, wanted: EntryFilter, limit: int) -> dict[str, Any]:
        config = load().config
        entries = self._store.entries(wanted, limit + 1)
        return {
            "local_only": config.routing.strategy == local_only.LOCAL_ONLY,
            "strategy": config.routing.strategy,
            "entries": [entry.row() for entry in entries[:limit]],
            "more": len(entries) > limit,
            "count": self._store.count(),
            "consent": [one.row() for one in self._store.said()],
            "spend": self._spend(config.budget),
            "budget": {
                name: getattr(config.budget, name)
                for name in ("daily_soft", "daily_hard", "monthly_soft", "monthly_hard")
            },
        }

    def _spend(self, budget: Any) -> dict[str, Any]:
        start = time.time() - DAYS * DAY
        entries = self._store.entries(EntryFilter(since=start))
        standing = money.standing(self._store)
        found = used(
            entries,
            self._store.local_use(start),
            budget,
            standing.today.dollars,
            standing.month.dollars,
        )
        return {
            "today": standing.today.dollars,
            "today_unknown": standing.today.unknown,
            "month": standing.month.dollars,
            "month_unknown": standing.month.unknown,
            "days": _days(entries),
            "models": found.lines,
            "saved": found.saved,
            "compare_with": budget.compare_with,
            "share_local": found.share_local,
        }

    async def _entry(self, query: Query) -> dict[str, Any]:
        entry = await asyncio.to_thread(self._store.entry, number(query, "id", 0, 0, 1 << 53))
        if entry is None:
            raise BadRequest("There is no entry of that number.", "id", status=404)
        return entry.row(full=True)

    async def _revoke(self, body: RevokeBody) -> dict[str, int]:
        return {
            "revoked": await asyncio.to_thread(self._store.revoke, body.workspace, body.provider)
        }

    async def _local_only(self, body: SwitchBody) -> dict[str, str]:
        return {"strategy": await asyncio.to_thread(local_only.turn, body.on)}


def _days(entries: Sequence[LedgerEntry]) -> list[dict[str, Any]]:
    """Return the requests and dollars of each day and model, the newest first."""
    found: defaultdict[tuple[str, str, str], list[LedgerEntry]] = defaultdict(list)
    for entry in entries:
        day = datetime.fromtimestamp(entry.at).strftime("%Y-%m-%d")
        found[day, entry.sending.provider, entry.sending.model].append(entry)
    return [
        {
            "day": day,
            "provider": provider,
            "model": model,
            "requests": len(rows),
            "dollars": sum((row.price for row in rows if row.price is not None), Decimal(0)),
            "unknown": sum(row.price is None for row in rows),
        }
        for (day, provider, model), rows in sorted(found.items(), reverse=True)
    ]
