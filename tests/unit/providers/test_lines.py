"""Events are the same however the bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.providers import lines
from nearfield.providers.lines import JsonLines, LineTooLongError, ServerSentEvents

STREAMS = {
    "one event": (ServerSentEvents, "data: a\n\n", ["a"]),
    "no blank after the colon": (ServerSentEvents, "data:a\n\n", ["a"]),
    "only one blank is eaten": (ServerSentEvents, "data:  a\n\n", [" a"]),
    "two lines of data": (ServerSentEvents, "data: a\ndata: b\n\n", ["a\nb"]),
    "names, ids, comments": (ServerSentEvents, ": hi\nevent: x\nid: 3\ndata: a\n\n:\n\n", ["a"]),
    "carriage returns": (ServerSentEvents, "data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
    "a byte order mark": (ServerSentEvents, "\ufeffdata: a\n\n", ["a"]),
    "no blank line at the end": (ServerSentEvents, "data: a\n\ndata: b", ["a", "b"]),
    "line ends that are text": (ServerSentEvents, "data: a\u2028b\x0cc\x85d\n\n", None),
    "json lines": (JsonLines, '{"a": 1}\n\n{"b": "\u2028é"}\n', ['{"a": 1}', '{"b": "\u2028é"}']),
    "no line end at the end": (JsonLines, "1\n2", ["1", "2"]),
    "nothing": (JsonLines, "", []),
}


@pytest.mark.parametrize("name", STREAMS)
@given(cuts=st.lists(st.integers(0, 60), max_size=8))
def test_lines_are_read_from_any_chunks(name: str, cuts: list[int]) -> None:
    kind, text, expected = STREAMS[name]
    if expected is None:
        expected = [text.removeprefix("data: ").removesuffix("\n\n")]
    data = text.encode()
    parser = kind()
    got: list[str] = []
    for start, end in pairwise([0, *sorted(min(c, len(data)) for c in cuts), len(data)]):
        got += parser.feed(data[start:end])
    assert [*got, *parser.end()] == expected


def test_a_line_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 100)
    parser = ServerSentEvents()
    with pytest.raises(LineTooLongError):
        for _ in range(50):
            list(parser.feed(b"data: aaaa"))
