"""What a model writes after given tokens, kept so that no token is computed twice.

The simulated engine keeps account of a KV cache that nobody fills: tokens are really evaluated
only where the next one is asked for and not known yet. So idle prefill and interrupted requests
cost simulated time alone, and a run with another gate or another order of work is nearly free.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from simulated_clock import SimulatedClock
from simulated_engine import Speed

from nearfield.engine.client import SPIN_COUNT, physical_cores
from nearfield.engine.kv_cache import Sequence as Cells
from nearfield.engine.kv_cache import SequenceTable

os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)

from nearfield.engine.lane import Abort, Lane  # isort: skip: loads the library
from nearfield.engine.llama import Model, Silence
from nearfield.engine.sampling import Greedy

CONTEXT, SEQUENCES, CHUNK = 8192, 4, 64
"""As the worker has them by default."""


def lane_for(model: Model, threads: int) -> Lane:
    """Return a lane as the worker's, but that nothing aborts."""
    return Lane(
        model,
        context_size=CONTEXT,
        sequences=SEQUENCES,
        chunk=CHUNK,
        threads=threads,
        abort=Abort(),
    )


class Predictor(Protocol):
    """What stands in for the evaluation of a model."""

    model: Model

    def pick(self, tokens: Sequence[int], allowed: Any, banned: Sequence[int]) -> tuple[int, float]:
        """Return the token after `tokens` and its log-probability, as `Greedy` does."""
        ...


class Oracle:
    """The most probable tokens of the model in `path`; `known` is a file that keeps them."""

    def __init__(self, path: Path, known: Path, threads: int) -> None:
        self.model = Model(path, 0, lambda _: None, Silence())
        self._name = path.name
        self._lane = lane_for(self.model, threads or physical_cores())
        self._greedy = Greedy(self.model.never("infill"))
        self._known = sqlite3.connect(known, isolation_level=None)
        self._known.execute("create table if not exists next (key blob primary key, token, sure)")

    def pick(self, tokens: Sequence[int], allowed: Any, banned: Sequence[int]) -> tuple[int, float]:
        """See `Predictor`."""
        digest = hashlib.blake2b(self._name.encode(), digest_size=16)
        digest.update(np.asarray(tokens, dtype=np.int32).tobytes())
        digest.update(b"" if allowed is None else np.asarray(allowed, dtype=np.int64).tobytes())
        digest.update(repr(list(banned)).encode())
        key = digest.digest()
        row = self._known.execute("select token, sure from next where key = ?", (key,)).fetchone()
        if row is None:
            self._evaluate(list(tokens))
            row = self._greedy.pick(self._lane, allowed, banned)
            self._known.execute("insert or replace into next values (?, ?, ?)", (key, *row))
        return int(row[0]), float(row[1])

    def close(self) -> None:
        """Free the model."""
        self._lane.close()
        self.model.close()
        self._known.close()

    def _evaluate(self, tokens: list[int]) -> None:
        """Evaluate `tokens` in the sequence that holds most of them."""
        lane = self._lane
        cells, shared = lane.table.choose(tokens, "") or (lane.table.all[0], 0)
        kept = lane.keep(cells, min(shared, len(tokens) - 1))
        lane.table.take(cells, 0, "", kept)
        lane.table.release(0)
        for start in range(kept, len(tokens), CHUNK):
            lane.decode(cells, tokens[start : start + CHUNK])
        cells.whole = len(tokens)


class OracleLane:
    """Sequences whose tokens are not evaluated; its time is `speed`'s."""

    def __init__(self, speed: Speed) -> None:
        self.table = SequenceTable(SEQUENCES)
        self.document_tokens, self.chunk = CONTEXT // SEQUENCES, CHUNK
        self.last: list[int] = []
        self._speed = speed

    def keep(self, sequence: Cells, tokens: int) -> int:
        """See `Lane`."""
        return tokens

    def fork(self, source: Cells, target: Cells) -> None:
        """See `Lane`."""
        target.tokens[:], target.whole = source.tokens, source.whole

    def decode(self, sequence: Cells, tokens: list[int], *, outputs: int = 1) -> None:
        """See `Lane`."""
        alone = len(tokens) == 1
        SimulatedClock.worked += (
            1 / self._speed.decode if alone else self._speed.evaluation(len(tokens))
        )
        sequence.tokens.extend(tokens)
        self.last = sequence.tokens


class OracleSampler:
    """See `Sampler`: asks the oracle about what the lane has got last."""

    def __init__(self, oracle: Predictor) -> None:
        self._oracle = oracle

    def pick(
        self, lane: OracleLane, allowed: Any, banned: Sequence[int] = (), row: int = -1
    ) -> tuple[int, float]:
        """See `Sampler`."""
        assert row == -1, "completions have no drafts"
        return self._oracle.pick(lane.last, allowed, banned)

    def close(self) -> None:
        """See `Sampler`."""
