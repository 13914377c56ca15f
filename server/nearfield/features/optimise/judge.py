"""Whether a variant is worth keeping."""

from __future__ import annotations

from nearfield.engine.optimise_frames import Compared

LEAST_FASTER = 1.15
"""How many times as fast it must read: less is not noticed."""
LEAST_WRITING = 0.9
"""It may write a little slower: measurements of single tokens are noisy."""
MOST_LINES_LOST = 0.02
"""Of all lines; which ones are right changes a little both ways, so less cannot be told apart."""
MOST_LIKELIHOOD_LOST = 0.01
"""Of the mean log-probability of a token, in nats. The finest of the measures: a variant of the
default model that lost 0.027 here and 2 of 239 lines lost 8 of 30 right answers and won none in
`tests/bench/optimise.py`, so that much must not pass."""


def slower(compared: Compared) -> str:
    """Why the variant is not fast enough, "" when it is."""
    if compared.prefill < LEAST_FASTER:
        return (
            f"it would read {compared.prefill:.2f} times as fast on this processor, "
            f"and only from {LEAST_FASTER} times is it worth keeping"
        )
    if compared.decode < LEAST_WRITING:
        return f"it would write {compared.decode:.2f} times as fast"
    return ""


def worse(compared: Compared) -> str:
    """Why the variant is not good enough, "" when it is."""
    before, after = compared.before, compared.after
    lost = (before.right - after.right) / max(compared.lines, 1)
    if lost > MOST_LINES_LOST:
        return (
            f"of {compared.lines} lines it wrote {after.right} as they were, and the model itself "
            f"{before.right}; {MOST_LINES_LOST:.0%} of them may be lost"
        )
    if (fallen := before.likelihood - after.likelihood) > MOST_LIKELIHOOD_LOST:
        return (
            f"it found true tokens less likely by {fallen:.3f} nats; "
            f"{MOST_LIKELIHOOD_LOST} may be lost"
        )
    return ""
