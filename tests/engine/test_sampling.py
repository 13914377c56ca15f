"""Log-probabilities of tokens."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nearfield.engine.sampling import logprob


def test_the_logprob_is_computed_among_matching_tokens() -> None:
    logits = np.log(np.array([0.6, 0.3, 0.1], np.float32))
    assert logprob(logits, 2) == pytest.approx(math.log(0.1), rel=1e-4)
    among = np.array([1, 2])
    assert logprob(logits, 2, among) == pytest.approx(math.log(0.25), rel=1e-4)
    assert logprob(logits, 2, np.array([], np.int64)) == logprob(logits, 2)
