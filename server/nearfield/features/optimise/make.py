"""Optimise one model of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nearfield.catalog.disk import Verified
from nearfield.catalog.gguf import NUMBERS, Tensor, tensors
from nearfield.catalog.models import Catalog
from nearfield.catalog.part import RESERVE_BYTES, FreeBytes, disk_error, free_bytes, megabytes
from nearfield.catalog.variant import Bench, Variant
from nearfield.config.schema import Engine as Settings
from nearfield.engine.client import installed, physical_cores
from nearfield.engine.optimise_frames import Compared, Job, Progressed
from nearfield.errors import CatalogError, EngineMissing, NoSpace
from nearfield.features.optimise import corpus, judge, plan, process
from nearfield.features.optimise.plan import Recipe

IMPORTANCE_TOKENS = 8_192
CASES = 160
"""Some 400 lines and 4,500 tokens: the share of right lines is then known to within 2 %."""
ROUNDS = 9
"""In which both models read and write in turns; the median of the ratios counts."""

_NO_SPACE = "Free some space, or set NEARFIELD_CACHE_DIR to a folder on another disk."


@dataclass(frozen=True, slots=True)
class Step:
    """How far the work is: the recipe's number of `recipes`, the phase and how much of it (0..1)
    is done."""

    recipe: int
    recipes: int
    phase: str
    done: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. Without a `variant`, `reason` says why none is kept."""

    variant: Variant | None = None
    reason: str = ""
    compared: Compared | None = None


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is read and compared, and what is tried."""

    importance_tokens: int = IMPORTANCE_TOKENS
    cases: int = CASES
    rounds: int = ROUNDS
    recipes: Sequence[Recipe] = plan.RECIPES


def optimise(
    catalog: Catalog,
    name: str,
    settings: Settings,
    progress: Callable[[Step], None] = lambda step: None,
    *,
    effort: Effort = Effort(),
    free: FreeBytes = free_bytes,
) -> Outcome:
    """Make a variant, compare it, and keep it when it is faster and as good.

    Takes minutes. Leaves nothing when it is interrupted or raises: `CatalogError` when the model is
    not here or in use, `NoSpace`, `EngineMissing`, `EngineError`.
    """
    source = catalog.local_path(name)
    if source is None:
        raise CatalogError(
            f"{name} is not on this machine.", f"Run `nearfield models pull {name}`."
        )
    if not installed():
        raise EngineMissing(
            "Only the embedded engine can optimise models, and it is not installed.",
            'Run `pip install "nearfield[local]"` (needs cmake and a C++ compiler).',
        )
    bench = Bench(catalog.shelf(catalog.get(name)))
    if (known := bench.variant(source)) is not None:
        return Outcome(known)
    found = tensors(source)
    if plan.slow_share(found) < plan.LEAST_SLOW:
        return Outcome(reason="its layers are in types that have fast kernels already")
    making = _Making(catalog, name, source, bench, found, settings, progress, effort)
    with bench.held():
        try:
            bench.drop()
            _need_space(bench, source, free)
            return making.run()
        except process.WriteFailed as error:
            if free(bench.folder) < RESERVE_BYTES:
                raise NoSpace(f"The disk of {bench.folder} is full.", _NO_SPACE) from error
            raise
        except OSError as error:
            raise disk_error(error, bench.folder) from error
        finally:
            bench.clear_new()


def remove(catalog: Catalog, name: str) -> int:
    """Drop a model's variant; the bytes freed. Raises `CatalogError`."""
    bench = Bench(catalog.shelf(catalog.get(name)))
    if not bench.folder.exists():
        return 0
    with bench.held():
        try:
            return bench.drop()
        except OSError as error:
            raise disk_error(error, bench.folder) from error


def _need_space(bench: Bench, source: Path, free: FreeBytes) -> None:
    """A variant is hardly larger than its source. Raises `NoSpace`."""
    need = source.stat().st_size + RESERVE_BYTES
    if (there := free(bench.folder)) < need:
        raise NoSpace(
            f"{megabytes(need)} are needed in {bench.folder}, and {megabytes(there)} are free.",
            _NO_SPACE,
        )


@dataclass(frozen=True, slots=True)
class _Making:
    """One run, with the lock held."""

    catalog: Catalog
    name: str
    source: Path
    bench: Bench
    tensors: tuple[Tensor, ...]
    settings: Settings
    progress: Callable[[Step], None]
    effort: Effort

    def run(self) -> Outcome:
        """Try the recipes until one holds."""
        digest = self.bench.digest(self.source)
        source = Verified.of(self.source, digest)
        self.bench.folder.mkdir(parents=True, exist_ok=True)
        outcome = Outcome(reason="there is nothing to change")
        tried: set[frozenset[str]] = set()
        for i, recipe in enumerate(self.effort.recipes):
            change = plan.changes(self.tensors, recipe)
            if not change or frozenset(change) in tried:
                continue
            tried.add(frozenset(change))
            outcome = self._tried(source, recipe.kind, change, i + 1)
            if outcome.variant or (outcome.compared and judge.slower(outcome.compared)):
                break  # A later recipe changes less and is slower still.
        if outcome.compared and not outcome.variant:
            self.bench.refuse(source, outcome.reason)
        return outcome

    def _tried(self, source: Verified, kind: str, change: list[str], number: int) -> Outcome:
        def told(event: Progressed) -> None:
            step = Step(number, len(self.effort.recipes), event.phase, event.done)
            self.progress(step)

        compared = process.run(self._job(kind, change), told)
        if reason := judge.slower(compared) or judge.worse(compared):
            return Outcome(reason=reason, compared=compared)
        if not source.holds(self.source):
            return Outcome(reason="its file was changed in the meantime", compared=compared)

        def describe(file: Verified) -> Variant:
            return Variant(
                source=source,
                file=file,
                kind=kind,
                prefill=compared.prefill,
                decode=compared.decode,
                lines=compared.lines,
                right_before=compared.before.right,
                right_after=compared.after.right,
            )

        return Outcome(self.bench.keep(describe), compared=compared)

    def _job(self, kind: str, change: list[str]) -> Job:
        entry = self.catalog.get(self.name)
        matrices = (t for t in self.tensors if len(t.shape) > 1 and t.type in NUMBERS)
        return Job(
            source=str(self.source),
            target=str(self.bench.new),
            kind=kind,
            change=change,
            tensors={t.name: NUMBERS[t.type] for t in matrices},
            texts=corpus.texts(),
            importance_tokens=self.effort.importance_tokens,
            cases=corpus.cases(self.effort.cases),
            rounds=self.effort.rounds,
            infill=entry.fills_in,
            threads=self.settings.threads or physical_cores(),
            memory_limit=self.settings.memory_limit_mb << 20,
            gpu=self.settings.gpu_layers != 0,
        )
