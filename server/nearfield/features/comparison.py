"""Compare two models on the same holes: what they wrote, how fast, and in how much memory.

Everything stays on this machine. Each answer is kept as one line of a file, without any code, so
that an interrupted comparison goes on where it was.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec
import psutil

from nearfield.catalog.choice import ModelChoice, named
from nearfield.catalog.models import Catalog
from nearfield.config.provider_names import provider_of
from nearfield.config.schema import Config
from nearfield.errors import ConfigError, NotPermitted
from nearfield.features.holes import CodeHole, FilledHole, digest, fill_hole
from nearfield.features.measure import loaded
from nearfield.features.status import LOAD_SECONDS
from nearfield.files.kept_rows import KeptRows
from nearfield.files.links import resolved
from nearfield.network.setting import environ_of
from nearfield.providers.address import is_loopback
from nearfield.providers.base import Provider
from nearfield.routing import keys
from nearfield.syntax.differences import common_prefix


class HoleRow(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one answer. `similarity` is 1 minus the edit distance as a share of the
    longer text, `saved` the keys that taking it spares of `chars`; `memory` is in bytes, 0 if
    unknown."""

    model: str
    hole: str
    exact: bool
    similarity: float
    saved: int
    chars: int
    ms: float
    read: int = 0
    read_ms: float = 0.0
    written: int = 0
    write_ms: float = 0.0
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Contender:
    """A model to compare: one of the embedded engine, or a provider of this machine. `key` tells
    its file, or its provider, again."""

    name: str
    key: str
    choice: ModelChoice | None = None
    provider: Provider | None = None


@dataclass(frozen=True, slots=True)
class ModelScore:
    """The means of one model over holes. `saved` is a share of their characters, `p50_ms` the
    median time of an answer; rates are in tokens a second, memory in bytes; None if unknown."""

    model: str
    holes: int
    exact: int
    similarity: float
    saved: float
    p50_ms: float
    read: float | None
    write: float | None
    memory: int | None


@dataclass(frozen=True, slots=True)
class ScorePair:
    """Both models on one set of holes. `only_first` and `only_second` count the holes that one
    alone filled exactly. `p` is the probability of a difference like that between equal models, by
    the exact sign test (McNemar's, 1947)."""

    holes: str
    scores: tuple[ModelScore, ModelScore]
    only_first: int
    only_second: int
    p: float


def contender(name: str, config: Config, catalog: Catalog) -> Contender:
    """Return the model or the provider (NAME, or NAME/MODEL) of that name.

    Raises `NotPermitted` for one outside this machine, and `CatalogError`.
    """
    base = provider_of(name, config.providers)
    settings, model = config.providers.get(base), name.removeprefix(base).removeprefix("/")
    if settings is None:
        return chosen(named(name, catalog))
    from nearfield.providers.registry import build

    if model:
        settings = msgspec.structs.replace(settings, model=model)
    provider = build(name, settings, environ=environ_of(config), secret=keys.held_by(base))
    is_near = not settings.base_url or is_loopback(settings.base_url)
    if not (provider.capabilities.local and is_near):
        raise NotPermitted(
            f"{name} is outside this machine, and the holes are cut into your code.",
            "Compare models of this machine.",
        )
    if not provider.capabilities.infill:
        raise ConfigError(f"{name} does not fill in the middle.")
    return Contender(name, f"{name} {provider.model}", provider=provider)


def chosen(choice: ModelChoice) -> Contender:
    """Return a model of the embedded engine as a contender. Raises `ConfigError`."""
    adapter, files = choice.adapter, [choice.path]
    scale = ""
    if adapter is not None:
        files, scale = [*files, Path(adapter.path)], f"{adapter.path} {adapter.scale}"
    try:
        stats = [file.stat() for file in files]
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be read: {error.strerror}.") from error
    stamps = " ".join(f"{stat.st_size} {stat.st_mtime_ns}" for stat in stats)
    return Contender(choice.name, f"{choice.name} {stamps} {scale}".strip(), choice)


def kept_rows(path: Path, *, named: bool = False) -> KeptRows[HoleRow]:
    """Return the rows of earlier comparisons in `path`, which the user may have `named`. Raises
    `ConfigError`."""
    return KeptRows(path, HoleRow, lambda row: (row.model, row.hole), named=named)


async def compare(
    contenders: Sequence[Contender],
    sets: dict[str, Sequence[CodeHole]],
    config: Config,
    rows: KeptRows[HoleRow],
    step: Callable[[str, int, int], None],
) -> list[ScorePair]:
    """Let both contenders fill every hole that `rows` does not have, one after the other, and
    return their scores by set. `step` gets who is at work, on which hole, of how many. Raises from
    the error tree."""
    holes = [hole for some in sets.values() for hole in some]
    for one in contenders:
        await fill(one, holes, config, rows, step)
    return [paired(name, contenders, some, rows) for name, some in sets.items()]


async def fill(
    one: Contender,
    holes: Sequence[CodeHole],
    config: Config,
    rows: KeptRows[HoleRow],
    step: Callable[[str, int, int], None],
    is_late: Callable[[], bool] = lambda: False,
) -> None:
    """Let one contender fill the holes that `rows` does not have, until `is_late`. Raises from the
    error tree."""
    holes = [hole for hole in holes if rows.get((one.key, hole.key)) is None]
    if not holes:
        return
    async with _ready(one, config) as (provider, pid):
        for number, hole in enumerate(holes):
            if is_late():
                return
            step(one.name, number, len(holes))
            rows.add(_row(one, hole, await fill_hole(provider, hole), _memory(pid())))


@asynccontextmanager
async def _ready(
    one: Contender, config: Config
) -> AsyncGenerator[tuple[Provider, Callable[[], int | None]]]:
    """Yield the provider of a contender, and what tells the process that holds its model."""
    if one.provider is not None:
        try:
            yield one.provider, lambda: None
        finally:
            await one.provider.aclose()
        return
    assert one.choice is not None  # noqa: S101 - a contender is one or the other
    async with loaded(config.engine, one.choice) as (engine, provider):
        await engine.ready(time.monotonic() + LOAD_SECONDS)
        yield provider, lambda: engine.pid


def _memory(pid: int | None) -> int:
    with suppress(psutil.Error):
        return psutil.Process(pid).memory_info().rss if pid else 0
    return 0


def _row(one: Contender, hole: CodeHole, filled: FilledHole, memory: int) -> HoleRow:
    wanted, usage = hole.rest.strip(), filled.usage
    return HoleRow(
        model=one.key,
        hole=hole.key,
        exact=filled.text == wanted,
        similarity=round(similarity(filled.text, wanted), 4),
        saved=keys_saved(filled.text, wanted),
        chars=len(wanted),
        ms=round(filled.ms, 1),
        read=(usage.evaluated_tokens if usage else None) or 0,
        read_ms=round((usage.prefill_ms if usage else None) or 0.0, 1),
        written=(usage.generated_tokens if usage else None) or 0,
        write_ms=round((usage.decode_ms if usage else None) or 0.0, 1),
        memory=memory,
    )


def similarity(one: str, other: str) -> float:
    """Return 1 minus Levenshtein's distance as a share of the longer text's length."""
    longest = max(len(one), len(other))
    if not longest:
        return 1.0
    before = list(range(len(other) + 1))
    for number, letter in enumerate(one, 1):
        now = [number]
        for place, wanted in enumerate(other, 1):
            now.append(min(before[place] + 1, now[-1] + 1, before[place - 1] + (letter != wanted)))
        before = now
    return 1 - before[-1] / longest


def keys_saved(text: str, wanted: str) -> int:
    """Return the keys that a suggestion spares: all characters but one key where it is right; else
    those of the right words at its beginning, which are taken by one key each."""
    if text == wanted:
        return max(0, len(wanted) - 1)
    right = common_prefix(text, wanted)
    words = wanted[:right].rpartition(" ")[0].split()
    return sum(len(word) for word in words)


def paired(
    name: str, contenders: Sequence[Contender], holes: Sequence[CodeHole], rows: KeptRows[HoleRow]
) -> ScorePair:
    """Return the scores of both contenders, who have filled all of `holes`."""
    first, second = (
        [row for hole in holes if (row := rows.get((one.key, hole.key)))] for one in contenders
    )
    only = [
        sum(a.exact and not b.exact for a, b in zip(*pair, strict=True))
        for pair in ((first, second), (second, first))
    ]
    scores = (_score(contenders[0].name, first), _score(contenders[1].name, second))
    return ScorePair(name, scores, only[0], only[1], sign_test(only[0], only[1]))


def _score(name: str, rows: Sequence[HoleRow]) -> ModelScore:
    return ModelScore(
        model=name,
        holes=len(rows),
        exact=sum(row.exact for row in rows),
        similarity=sum(row.similarity for row in rows) / len(rows),
        saved=sum(row.saved for row in rows) / max(1, sum(row.chars for row in rows)),
        p50_ms=median(row.ms for row in rows),
        read=_rate(sum(row.read for row in rows), sum(row.read_ms for row in rows)),
        write=_rate(sum(row.written for row in rows), sum(row.write_ms for row in rows)),
        memory=max(row.memory for row in rows) or None,
    )


def _rate(tokens: int, ms: float) -> float | None:
    return 1000 * tokens / ms if tokens and ms else None


def sign_test(one: int, other: int) -> float:
    """Return the two-sided probability of a split as uneven as this one by fair coins."""
    count, least = one + other, min(one, other)
    tail = sum(math.comb(count, number) for number in range(least + 1)) / 2**count
    return min(1.0, 2 * tail)


def default_rows(folder: Path, repository: Path | None) -> Path:
    """Return where the rows of a repository are kept."""
    name = digest(os.fsdecode(resolved(repository))) if repository else "fixed"
    return folder / "bench" / f"{name}.jsonl"
