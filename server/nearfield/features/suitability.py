"""Features that are not offered with small models, which were measured to do them badly.

The figures are in tests/bench/RESULTS.md. The size of a model is the catalogue's, else what its
name tells. A model of unknown size is offered everything.
"""

from __future__ import annotations

from nearfield.catalog.models import parameters_of

__all__ = ["why_unsuited"]

_ABLE_M = {"review": 1_500}
"""The smallest model, in millions of weights, that is good enough at a feature."""
_ABLE = {1_500: "qwen2.5-coder-1.5b-instruct", 7_000: "qwen2.5-coder-7b-instruct"}
"""A model of the catalogue of each of these sizes."""


def why_unsuited(feature: str, model: str) -> str:
    """Return why `model` is not asked for a feature (the id of an action, or "review"), and which
    model would be; "" if it may be asked. The first call for a model reads the catalogue."""
    least = _ABLE_M.get(feature)
    if least is None or not model:
        return ""
    size = parameters_of(model)
    if size is None or size >= least:
        return ""
    return (
        f"{model} is too small for this; it needs one such as {_ABLE[least]}"
        f" (`nearfield models pull {_ABLE[least]}`)"
    )
