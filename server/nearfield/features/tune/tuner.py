"""Tune a model to a repository: base first, then the training, then the same holes again.

The adapter is registered only where it fills more of the held-out holes exactly than its base, and
a difference like that is no chance. Nothing leaves the machine.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from nearfield.catalog import user
from nearfield.catalog.choice import ModelChoice, named
from nearfield.catalog.models import NAME_PATTERN, Catalog, ModelEntry
from nearfield.catalog.registration import adapted
from nearfield.config.schema import Config
from nearfield.engine.client import physical_cores
from nearfield.errors import ConfigError, NotReady
from nearfield.features.comparison import Contender, ScorePair, chosen, fill, kept_rows, paired
from nearfield.features.holes import CodeHole
from nearfield.features.measure import loaded
from nearfield.features.tune import needs
from nearfield.features.tune.adapter_file import write_adapter
from nearfield.features.tune.dataset import TuneCase, TuneData, gather
from nearfield.features.tune.history import History
from nearfield.features.tune.network import ALPHA, TunedNetwork
from nearfield.features.tune.plan import ADAPTER, ROWS, PlanStore, TunePlan
from nearfield.features.tune.train import Training, TuneSample, device, stopped
from nearfield.features.tune.weights import read_architecture
from nearfield.files.links import resolved
from nearfield.files.private import private_folder
from nearfield.power import is_on_battery
from nearfield.routing.pause import UserPause

BASE_SHARE, TRAINING_SHARE = 0.2, 0.75
"""Of the minutes: by when the base has filled its holes, and by when the training ends; the rest is
for the adapter's holes, which take as long as the base's."""
MAX_TOKENS = 640
"""A longer case is left out: its time grows with its length, and more with its square."""
MAX_P = 0.05
LOOK_SECONDS = 10.0
MAX_NAME_CHARS = 100
NICE = 10
"""The priority of the training, below whatever else the user does."""


@dataclass(frozen=True, slots=True)
class TuneOrder:
    """An order to tune a model. `name` is the new model's. `holes` are held out at most."""

    model: str
    root: Path
    name: str
    minutes: float
    holes: int
    seed: int
    on_battery: bool = False


class TuneReport(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a run. `kept`: the adapter is in the user's catalogue as `name`. `only_base` and
    `only_tuned` count the holes that one alone filled exactly, and `p` is the exact sign test's.
    Memory is in bytes, `minutes` counts interrupted runs too."""

    model: str
    name: str
    kept: bool
    adapter: str
    repository: str
    commit: str
    device: str
    minutes: float
    memory: int
    cases: int
    trained: int
    steps: int
    first_loss: float
    last_loss: float
    commits: int
    held_out_commits: int
    left_out_as_secret: int
    holes: int
    base_exact: int
    tuned_exact: int
    base_similarity: float
    tuned_similarity: float
    only_base: int
    only_tuned: int
    p: float


Told = Callable[[str], None]


def is_better(pair: ScorePair) -> bool:
    """Return whether the second of a pair fills more holes exactly, by more than chance."""
    return pair.only_second > pair.only_first and pair.p <= MAX_P


class Tuner:
    """A run of one order."""

    def __init__(self, order: TuneOrder, config: Config, catalog: Catalog, data: Path) -> None:
        """Raises `ConfigError`, `NotReady` and `CatalogError` for what cannot be tuned."""
        self._order, self._config, self._catalog = order, config, catalog
        self._quiet = Quiet(order.on_battery)
        self._quiet.check()
        self._torch = needs.torch()
        self._choice = _tunable(order, catalog)
        self._architecture = read_architecture(self._choice.path).name
        self._data_dir = data
        self._base = chosen(self._choice)
        self._store = PlanStore.of(data, order.root, self._base.name)
        self._rows = kept_rows(self._store.folder / ROWS)
        self._device = device(self._torch)

    async def tune(self, told: Told) -> TuneReport:
        """Do it, and return what came of it. `told` gets what is done now. Raises from the error
        tree; what is done is kept for the next run with the same order."""
        order, base = self._order, self._base
        plan = self._store.load(base.key, order.seed, order.holes)
        told("reading the history")
        root, exclude = order.root, self._config.files.exclude
        history = await asyncio.to_thread(History, root, exclude, plan.commit if plan else "HEAD")
        data = await asyncio.to_thread(gather, history, order.holes, order.seed)
        if plan is None:
            self._store.forget()
            plan = TunePlan(
                model=base.key, commit=history.commit, seed=order.seed, holes=order.holes
            )
        self._store.save(plan)
        await self._fill(base, data.holes, plan, BASE_SHARE, told)
        holes = [hole for hole in data.holes if self._rows.get((base.key, hole.key))]
        if not holes:
            raise _too_short()
        told("reading the cases")
        samples = await self._samples(data.cases)
        adapter = await self._train(samples, plan, told)
        if not plan.trained:
            raise _too_short()
        tuned = chosen(replace(self._choice, entry=self._entry(adapter)))
        await self._fill(tuned, holes, plan, 1.0, told)
        holes = [hole for hole in holes if self._rows.get((tuned.key, hole.key))]
        if not holes:
            raise _too_short()
        pair = paired("held out", (base, tuned), holes, self._rows)
        kept = self._keep(adapter) if is_better(pair) else None
        self._store.save(plan)
        self._store.forget()
        return self._report(plan, data, pair, kept)

    def _entry(self, adapter: Path) -> ModelEntry:
        """Return the catalogue's entry of the base with the adapter. Raises `ConfigError`."""
        return adapted(self._order.name, str(adapter), self._choice.name, 1.0, self._catalog, {})

    def _keep(self, adapter: Path) -> Path:
        """Move the adapter to where it stays, and register it."""
        target = self._data_dir / "adapters" / f"{self._order.name}.gguf"
        try:
            private_folder(target.parent)
            adapter.replace(target)
        except OSError as error:
            raise ConfigError(f"{target} cannot be written: {error.strerror}.") from error
        user.register(self._entry(target))
        return target

    async def _fill(
        self, one: Contender, holes: Sequence[CodeHole], plan: TunePlan, share: float, told: Told
    ) -> None:
        def is_late() -> bool:
            self._quiet.check()
            return self._store.left(plan, self._order.minutes, share) <= 0

        def step(name: str, number: int, count: int) -> None:
            told(f"{name}: hole {number + 1} of {count}")

        await fill(one, holes, self._config, self._rows, step, is_late)
        self._store.save(plan)

    async def _samples(self, cases: Sequence[TuneCase]) -> list[TuneSample]:
        """Return the cases in the tokens of the engine."""
        found: list[TuneSample] = []
        async with loaded(self._config.engine, self._choice) as (_, provider):
            for number, case in enumerate(cases):
                prompt, answer, ends = await provider.in_tokens(case.request(number), case.middle)
                if answer and 0 < len(prompt) < MAX_TOKENS - len(answer):
                    found.append(TuneSample([*prompt, *answer], len(prompt), ends))
        if not found:
            raise ConfigError("No case is short enough to learn from.")
        return found

    async def _train(self, samples: Sequence[TuneSample], plan: TunePlan, told: Told) -> Path:
        """Train, and return the adapter's file."""
        end = threading.Event()
        try:
            return await asyncio.to_thread(self._trained, samples, plan, told, end)
        finally:
            end.set()

    def _trained(
        self, samples: Sequence[TuneSample], plan: TunePlan, told: Told, end: threading.Event
    ) -> Path:
        minutes = self._order.minutes
        told("loading the weights")
        self._torch.set_num_threads(self._config.engine.threads or physical_cores())
        network = TunedNetwork(self._choice.path, self._device, plan.seed)

        def left() -> float:
            return self._store.left(plan, minutes, TRAINING_SHARE)

        def check(seen: int, loss: float) -> None:
            if end.is_set():
                raise stopped()
            self._quiet.check()
            told(f"training: {seen} cases, loss {loss:.2f}, {max(0.0, left()) / 60:.1f} min left")

        Training(network, samples, self._store, plan).run(
            left, minutes * 60 * (TRAINING_SHARE - BASE_SHARE), check
        )
        matrices = {
            name: values.detach().float().cpu().numpy() for name, values in network.adapter.items()
        }
        target = self._store.folder / ADAPTER
        try:
            write_adapter(target, self._architecture, self._order.name, ALPHA, matrices)
        except OSError as error:
            raise ConfigError(f"{target} cannot be written: {error.strerror}.") from error
        return target

    def _report(
        self, plan: TunePlan, data: TuneData, pair: ScorePair, kept: Path | None
    ) -> TuneReport:
        base, tuned = pair.scores
        return TuneReport(
            model=self._base.name,
            name=self._order.name,
            kept=kept is not None,
            adapter=str(kept or ""),
            repository=str(self._order.root),
            commit=plan.commit,
            device=self._device,
            minutes=round(plan.spent_s / 60, 1),
            memory=plan.peak_memory,
            cases=len(data.cases),
            trained=plan.trained,
            steps=plan.steps,
            first_loss=round(plan.first_loss, 3),
            last_loss=round(plan.last_loss, 3),
            commits=data.commits,
            held_out_commits=data.held_out_commits,
            left_out_as_secret=data.secret,
            holes=base.holes,
            base_exact=base.exact,
            tuned_exact=tuned.exact,
            base_similarity=round(base.similarity, 4),
            tuned_similarity=round(tuned.similarity, 4),
            only_base=pair.only_first,
            only_tuned=pair.only_second,
            p=pair.p,
        )


class Quiet:
    """Ends the work while the machine runs on its battery, or the user has paused Nearfield."""

    def __init__(self, on_battery: bool) -> None:
        self._on_battery = on_battery
        self._pause = UserPause()
        self._looked = -LOOK_SECONDS

    def check(self) -> None:
        """Raise `NotReady` where nothing may be done now; looks every ten seconds."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        self._pause.check()
        if not self._on_battery and is_on_battery():
            raise NotReady(
                "The machine runs on its battery, which tuning would empty.",
                "Plug it in and run it again, which goes on where it was, or add --on-battery.",
            )


def _tunable(order: TuneOrder, catalog: Catalog) -> ModelChoice:
    """Return the model to tune. Raises `ConfigError` and `CatalogError`."""
    choice = named(order.model, catalog)
    if choice.entry is None:
        raise ConfigError(
            f"{choice.path.name} is not in your catalogue.", "Register it: `nearfield models add`."
        )
    if choice.adapter is not None:
        raise ConfigError(f"{choice.name} has an adapter already.", "Tune its base.")
    require_name(order.name)
    if order.name in catalog.entries and catalog.entries[order.name].base != choice.name:
        raise ConfigError(f"There is a model {order.name} already.", "Choose another --name.")
    return choice


def _too_short() -> NotReady:
    return NotReady(
        "The minutes were over before the adapter was tried.",
        "What is done is kept: run it again with more --minutes.",
    )


def require_name(name: str) -> None:
    """Raise `ConfigError` for a name that the catalogue would not take in the end."""
    if len(name) > MAX_NAME_CHARS or not NAME_PATTERN.fullmatch(name):
        raise ConfigError(
            "A model's name has small letters, digits, '.', '_' and '-'.", "Choose another --name."
        )


def default_name(model: str, root: Path) -> str:
    """Return how a model tuned to a repository is called."""
    folder = re.sub(r"[^a-z0-9._-]+", "-", resolved(root).name.lower()).strip("-.") or "code"
    return f"{model}-{folder}"[:MAX_NAME_CHARS]


def be_nice() -> None:
    """Let this process, and the engine that it starts, give way to others."""
    if hasattr(os, "nice"):
        os.nice(NICE)
