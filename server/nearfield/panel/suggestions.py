"""The view "Suggestions": how they fare, how fast they come, and why there were none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from nearfield.config.load import load
from nearfield.config.schema import Completion
from nearfield.features.metrics.store import RecordStore
from nearfield.features.metrics.summary import curve, next_edit_summary, parts, summary
from nearfield.features.reasons import WORDS
from nearfield.panel.view import Query, Read, ViewAction, number
from nearfield.types import Reason

DAY = 86_400.0
MAX_DAYS = 90
"""Older records are deleted."""


class SuggestionsView:
    """See the module."""

    def __init__(self) -> None:
        self._store = RecordStore()

    def reads(self) -> Mapping[str, Read]:
        """See `View`."""
        return {"suggestions": self._suggestions}

    def actions(self) -> Mapping[str, ViewAction]:
        """See `View`."""
        return {}

    async def settle(self) -> None:
        """Add the records that change no more to the sums, some at a time."""
        is_behind = True
        while is_behind:
            is_behind = await asyncio.to_thread(self._store.settle)

    async def _suggestions(self, query: Query) -> dict[str, Any]:
        return await asyncio.to_thread(self._list, number(query, "days", 30, 1, MAX_DAYS))

    def _list(self, days: int) -> dict[str, Any]:
        completion = load().config.completion
        sums = self._store.sums(time.time() - (days - 1) * DAY)
        found, edits = summary(sums), next_edit_summary(sums)
        totals = asdict(found)
        silent, latency = totals.pop("silent"), totals.pop("latency")
        return {
            "days": days,
            "recording": completion.record,
            "records": found.questions + edits.questions,
            "behind": sums.behind,
            "totals": totals,
            "by_day": parts(sums, "day"),
            "by_language": parts(sums, "language"),
            "by_situation": parts(sums, "situation"),
            "by_model": parts(sums, "model"),
            "latency": latency,
            "silent": _reasons(silent),
            "next_edits": {**asdict(edits), "silent": _reasons(edits.silent)},
            "curve": {
                "min_confidence": completion.min_confidence,
                "default": Completion().min_confidence,
                "bins": [
                    {
                        "from": one.low,
                        "to": one.high,
                        "offered": one.offered,
                        "taken": one.taken,
                        "saved": one.saved,
                        "hidden": one.hidden,
                    }
                    for one in curve(sums)
                ],
            },
        }


def _reasons(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for reason, count in counts.items():
        # An earlier version may have written a reason that there is not any more.
        told = WORDS.get(Reason(reason)) if reason in list(Reason) else None
        rows.append(
            {
                "reason": reason,
                "count": count,
                "sentence": told.sentence if told else "",
                "advice": told.advice if told else "",
            }
        )
    return rows
