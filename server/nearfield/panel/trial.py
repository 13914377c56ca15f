"""The view "Trial": two models that take turns at completions, and what is known of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import msgspec

from nearfield.catalog.choice import choose
from nearfield.catalog.models import Catalog
from nearfield.config.load import load
from nearfield.errors import CatalogError, ConfigError
from nearfield.features.metrics.store import RecordStore
from nearfield.features.trial.adopt import adopt_model
from nearfield.features.trial.result import ENDED, TrialResult, end_now, look
from nearfield.features.trial.start import ROLE, start_trial
from nearfield.features.trial.trial import DAYS, Trial
from nearfield.panel.view import NoBody, Query, Read, ViewAction


class TrialBody(msgspec.Struct, frozen=True):
    """The model to try, and the one to try it against, "" for the one that completes now."""

    model: str
    against: str = ""
    days: Annotated[int, msgspec.Meta(ge=1, le=80)] = DAYS


class AdoptBody(msgspec.Struct, frozen=True):
    """The model to adopt, "" for the better one."""

    model: str = ""


class TrialView:
    """See the module."""

    def __init__(self) -> None:
        self._store = RecordStore()

    def reads(self) -> Mapping[str, Read]:
        """See `View`."""
        return {"trial": self._trial}

    def actions(self) -> Mapping[str, ViewAction]:
        """See `View`."""
        return {
            "trial/start": ViewAction(TrialBody, self._start),
            "trial/end": ViewAction(NoBody, self._end),
            "trial/adopt": ViewAction(AdoptBody, self._adopt),
        }

    async def _trial(self, query: Query) -> dict[str, Any]:
        return await asyncio.to_thread(self._shown)

    def _shown(self) -> dict[str, Any]:
        found = look(self._store)
        current, others = _models()
        return {
            "recording": load(None).config.completion.record,
            "current": current,
            "others": others,
            "trial": _state(found) if found is not None else None,
        }

    async def _start(self, body: TrialBody) -> dict[str, Any]:
        def start() -> Trial:
            config = load(None).config
            return start_trial(ROLE, body.model, body.against, config, Catalog.load(), body.days)

        trial = await asyncio.to_thread(start)
        return {"first": trial.first_name, "second": trial.second_name}

    async def _end(self, body: NoBody) -> dict[str, Any]:
        def end() -> bool:
            return end_now(self._store, ENDED) is not None

        return {"ended": await asyncio.to_thread(end)}

    async def _adopt(self, body: AdoptBody) -> dict[str, Any]:
        def adopt() -> dict[str, Any]:
            found = look(self._store)
            if found is None:
                raise ConfigError("There was no trial.")
            model, path = adopt_model(found, body.model)
            return {"model": model, "config": str(path)}

        return await asyncio.to_thread(adopt)


def _models() -> tuple[str, list[str]]:
    """Return the model that completes now, "" for none, and the others here that could."""
    catalog = Catalog.load()
    try:
        current = choose(ROLE, load(None).config.models, catalog).name
    except CatalogError:
        current = ""
    here = [entry.name for entry in catalog.installed() if ROLE in entry.roles]
    return current, [name for name in here if name != current]


def _state(found: TrialResult) -> dict[str, Any]:
    trial, interval = found.trial, found.interval
    return {
        "running": trial.is_running,
        "started": trial.started,
        "ended": trial.ended or None,
        "why": trial.why,
        "days": trial.days,
        "days_left": found.days_left,
        "words": found.words,
        "better": found.better,
        "arms": [
            {**asdict(arm), "value": value}
            for arm, value in zip(found.arms, (trial.first, trial.second), strict=True)
        ],
        "interval": asdict(interval) if interval is not None else None,
    }
