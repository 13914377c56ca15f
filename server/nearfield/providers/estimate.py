"""Estimates of token counts and rates, for what no tokenizer has counted and no request measured.

A provider on another machine is never asked to count: the text would leave this one.
"""

from __future__ import annotations

import math

CHARS_PER_TOKEN = 3.0
"""Code in the tokenizers of the catalogue has 3.0 to 3.8 characters a token. The low end, because a
prompt of more tokens than estimated misses its deadline, or the context."""

UNKNOWN_PREFILL_RATE = 60.0
"""Tokens a second while nothing is measured: the slowest seen with the default model on a 2-core
laptop was 65. Too low costs context in the first answer, too high costs the answer."""

UNKNOWN_DECODE_RATE = 15.0
"""Tokens a second; the slowest seen there was 19."""

LINE_TOKENS = 16
"""Kept for writing: a line of code is 10 to 14 tokens in the models of the catalogue, and one more
is needed to see that it has ended."""


def tokens(text: str) -> int:
    """Return about how many tokens `text` is."""
    return math.ceil(len(text) / CHARS_PER_TOKEN)
