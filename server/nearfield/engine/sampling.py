"""Choosing the next token, and how sure the model was of it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from nearfield.engine.bindings import c
from nearfield.engine.lane import Lane, Logits
from nearfield.engine.llama import Model
from nearfield.engine.token_healing import Ids
from nearfield.errors import Unsupported

TOP_K = 40
TOP_P = 0.95
SEED = 0x5EED
"""The same question gets the same answer, also with a temperature."""


def logprob(logits: Logits, token: int, allowed: Ids | None = None) -> float:
    """The natural logarithm of the probability that the model gave `token`, among those `allowed`:
    what the user has typed already is no surprise."""
    among = logits if allowed is None or not len(allowed) else logits[allowed]
    highest = float(among.max())
    return float(logits[token]) - highest - float(np.log(np.exp(among - highest).sum()))


def likelihoods(logits: Logits, token: int, count: int) -> tuple[float, list[tuple[int, float]]]:
    """Return the log-probability of `token`, and the `count` likeliest other tokens with theirs,
    the likeliest first."""
    highest = float(logits.max())
    total = highest + float(np.log(np.exp(logits - highest).sum()))
    top = np.argpartition(logits, -count - 1)[-count - 1 :]
    ordered = [int(one) for one in top[np.argsort(-logits[top])] if one != token]
    others = [(one, float(logits[one]) - total) for one in ordered[:count]]
    return float(logits[token]) - total, others


class Sampler(Protocol):
    """Chooses tokens for one job."""

    def pick(
        self, lane: Lane, allowed: Ids | None, banned: Sequence[int] = (), row: int = -1
    ) -> tuple[int, float]:
        """The token after the one at `row` of the last batch, and its log-probability, out of and
        among `allowed` where it is not None. Only a sampler without temperature or grammar heeds
        `banned`."""
        ...

    def close(self) -> None:
        """Free what belongs to llama.cpp."""
        ...


class Greedy:
    """The most probable token. `never` are tokens that may not be sampled."""

    def __init__(self, never: Ids) -> None:
        self._never = never

    def pick(
        self, lane: Lane, allowed: Ids | None, banned: Sequence[int] = (), row: int = -1
    ) -> tuple[int, float]:
        """See `Sampler`."""
        logits = lane.logits(row)
        if banned:
            choice = logits.copy()
            choice[[*banned, *self._never]] = -np.inf
            if allowed is not None and len(allowed):
                token = int(allowed[int(choice[allowed].argmax())])
            else:
                token = int(choice.argmax())
        elif allowed is not None and len(allowed):
            token = int(allowed[int(logits[allowed].argmax())])
        else:
            token = int(logits.argmax())
            if token in self._never:
                masked = logits.copy()
                masked[self._never] = -np.inf
                token = int(masked.argmax())
        return token, logprob(logits, token, allowed)

    def close(self) -> None:
        """Nothing to free."""


class Chain:
    """A temperature, a grammar, or both, by llama.cpp's own samplers. `never` are tokens that may
    not be sampled."""

    def __init__(self, model: Model, never: Ids, *, temperature: float, grammar: str = "") -> None:
        self._never = never
        self._grammar = None
        if grammar:
            self._grammar = c.llama_sampler_init_grammar(model.vocab, grammar.encode(), b"root")
            if not self._grammar:
                raise Unsupported("This JSON schema cannot be turned into a grammar.")
        self._chain = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
        if temperature > 0:
            for sampler in (
                c.llama_sampler_init_top_k(TOP_K),
                c.llama_sampler_init_top_p(TOP_P, 1),
                c.llama_sampler_init_temp(temperature),
                c.llama_sampler_init_dist(SEED),
            ):
                c.llama_sampler_chain_add(self._chain, sampler)
        else:
            c.llama_sampler_chain_add(self._chain, c.llama_sampler_init_greedy())
        self._data = (c.llama_token_data * model.vocabulary)()
        self._view = np.frombuffer(
            self._data, dtype=[("id", np.int32), ("logit", np.float32), ("p", np.float32)]
        )

    def pick(
        self, lane: Lane, allowed: Ids | None, banned: Sequence[int] = (), row: int = -1
    ) -> tuple[int, float]:
        """See `Sampler`. The grammar is asked about one token first and about the whole
        vocabulary only when it refuses that one: the second costs as much as a decode step."""
        logits = lane.logits(row)
        token = self._choose(logits, allowed, constrained=False)
        if self._grammar is not None:
            if not self._fits(token):
                token = self._choose(logits, allowed, constrained=True)
            c.llama_sampler_accept(self._grammar, token)
        c.llama_sampler_accept(self._chain, token)
        return token, logprob(logits, token, allowed)

    def _choose(self, logits: Logits, allowed: Ids | None, *, constrained: bool) -> int:
        self._view["id"] = np.arange(len(logits), dtype=np.int32)
        self._view["p"] = 0.0
        if allowed is None:
            self._view["logit"] = logits
            self._view["logit"][self._never] = -np.inf
        else:
            self._view["logit"] = -np.inf
            self._view["logit"][allowed] = logits[allowed]
        array = c.llama_token_data_array(
            data=self._data, size=len(logits), selected=-1, sorted=False
        )
        if constrained:
            c.llama_sampler_apply(self._grammar, ctypes.byref(array))
        c.llama_sampler_apply(self._chain, ctypes.byref(array))
        return int(array.data[array.selected].id)

    def _fits(self, token: int) -> bool:
        one = (c.llama_token_data * 1)(c.llama_token_data(id=token, logit=1.0, p=0.0))
        array = c.llama_token_data_array(data=one, size=1, selected=-1, sorted=False)
        c.llama_sampler_apply(self._grammar, ctypes.byref(array))
        return bool(np.isfinite(one[0].logit))

    def close(self) -> None:
        """Free the samplers."""
        c.llama_sampler_free(self._chain)
        if self._grammar is not None:
            c.llama_sampler_free(self._grammar)
