"""How long a question waits for the next keystroke."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from nearfield.config.schema import Completion
from nearfield.features.completion.prompting import cut
from nearfield.features.completion.question import wait_ms
from nearfield.features.documents import Document
from nearfield.syntax.parser import Cursor
from nearfield.types import Capabilities, CompletionRequest, Edit, Snapshot, Span, Surface

TEXT = "import os\n\n\ndef area(width, height):\n    return width * hei\n"
AT = len(TEXT) - 1
HERE = Capabilities(infill=True, local=True, prefill_rate=100.0, decode_rate=20.0)
SLOW = Completion(debounce_ms=60)


def typed(letters: str) -> Document:
    """A document of which all but the last `letters` at `AT` has been evaluated."""
    before = TEXT[: AT - len(letters)] + TEXT[AT:]
    document = Document(Snapshot("file:///a.py", "python", 1, before))
    start = AT - len(letters)
    cursor = Cursor(document.snapshot, None, start)
    document.sent(cut(cursor, document, 1000, Completion()).sent)
    now = Snapshot("file:///a.py", "python", 2, TEXT)
    document.apply(now, [Edit(Span(start, start), letters)])
    return document


# who asks, of whom, what was typed since the model has read the document, seconds since the last
# question; how long the wait is
WAITS: dict[str, tuple[dict[str, Any], Capabilities, str, float, tuple[float, float]]] = {
    "along a line": ({}, HERE, "i", math.inf, (1, 10)),
    "along a line, keys held down": ({}, HERE, "i", 0.03, (60, 60)),
    "a word at once": ({}, HERE, "width * hei", math.inf, (20, 59)),
    "much at once": ({}, HERE, "    return width * hei", math.inf, (60, 60)),
    "by a key": ({"invoked": True}, HERE, "i", 0.03, (0, 0)),
    "from a client that waits": ({"client_waits": True}, HERE, "i", 0.03, (5, 5)),
    "outside this machine": ({}, replace(HERE, local=False), "i", math.inf, (60, 60)),
    "of unknown speed": ({}, replace(HERE, prefill_rate=None), "i", math.inf, (60, 60)),
}


@pytest.mark.parametrize("case", WAITS)
def test_the_wait_is_no_longer_than_its_saving(case: str) -> None:
    how, can, letters, gap, (least, most) = WAITS[case]
    document = typed(letters)
    document.gap = gap
    ask = CompletionRequest("1", Surface.POPUP, document.snapshot, AT, **how)
    waited = wait_ms(ask, document, can, SLOW)
    assert least <= waited <= most


def test_a_place_that_nothing_is_known_of_is_worth_the_whole_wait() -> None:
    document = Document(Snapshot("file:///a.py", "python", 1, TEXT))
    ask = CompletionRequest("1", Surface.POPUP, document.snapshot, AT)
    assert wait_ms(ask, document, HERE, SLOW) == 60


def test_the_gap_is_between_the_last_two_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    document = Document(Snapshot("file:///a.py", "python", 1, TEXT))
    times = iter((10.0, 10.5, 10.53))
    monkeypatch.setattr("nearfield.features.documents.time.monotonic", lambda: next(times))
    gaps: list[float] = []
    for _ in range(3):
        document.asked(AT)
        gaps.append(round(document.gap, 3))
    assert gaps == [math.inf, 0.5, 0.03]
