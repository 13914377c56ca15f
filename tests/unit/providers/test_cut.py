"""Where an answer stops, however it comes in pieces."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.errors import DeadlineExceeded
from nearfield.providers.cut import Cut, finished, server_stops
from nearfield.types import Delta, Finish, Usage


@dataclass(frozen=True)
class Case:
    text: str
    shown: str
    stop: tuple[str, ...] = ()
    single_line: bool = False
    typed: bool = False


CASES = {
    "nothing stops it": Case("a = 1\nb", "a = 1\nb"),
    "a stop text": Case("one<|end|>two", "one", ("<|end|>",)),
    "the first of two": Case("one#two!", "one", ("!", "#")),
    "half a stop text at the end": Case("one<|en", "one<|en", ("<|end|>",)),
    "a stop text begun twice": Case("a<|<|end|>b", "a<|", ("<|end|>",)),
    "one line": Case("x = 1\ny = 2", "x = 1", single_line=True),
    "one line after blank ones": Case("\n\n  x = 1\ny", "\n\n  x = 1", single_line=True),
    "a line that was begun ends at once": Case("\ny", "", single_line=True, typed=True),
    "blanks only": Case("  \n ", "  \n ", single_line=True),
    "the stop before the line's end": Case("a;b\nc", "a", (";",), single_line=True),
    "the line's end before the stop": Case("ab\nc;", "ab", (";",), single_line=True),
}


@pytest.mark.parametrize("name", CASES)
@given(sizes=st.lists(st.integers(1, 4), min_size=1))
def test_a_stream_is_cut_at_a_stop(name: str, sizes: list[int]) -> None:
    case = CASES[name]
    cut = Cut(case.stop, case.single_line, case.typed)
    shown, rest = "", case.text
    while rest and not cut.done:
        size = sizes[len(rest) % len(sizes)]
        shown += cut.feed(rest[:size])
        assert case.shown.startswith(shown), "text was shown that has to be taken back"
        rest = rest[size:]
    assert shown + cut.end() == case.shown


def test_server_stops() -> None:
    assert server_stops(Cut(("a",), single_line=True, visible=True)) == ["\n", "a"]
    # The answer may begin with a line break: the server must not stop there.
    assert server_stops(Cut(("a",), single_line=True)) == ["a"]
    assert server_stops(Cut(("a",), visible=True)) == ["a"]


class Source:
    """Deltas of a server, that remembers whether it was closed."""

    def __init__(self, *deltas: Delta | Exception) -> None:
        self.deltas = deltas
        self.closed = False

    async def stream(self) -> AsyncGenerator[Delta]:
        try:
            for delta in self.deltas:
                if isinstance(delta, Exception):
                    raise delta
                yield delta
        finally:
            self.closed = True


END = Delta(finish=Finish.LENGTH, usage=Usage("m", generated_tokens=3, decode_ms=5.0))


async def test_a_stop_closes_the_source_and_is_reported() -> None:
    source = Source(Delta("ab", (-1.0,)), Delta("c;d", (-2.0,)), END)
    deltas = [d async for d in finished(source.stream(), Cut((";",)), "m", None)]
    assert "".join(d.text for d in deltas) == "abc"
    assert source.closed
    last = deltas[-1]
    assert (last.finish, last.logprobs) == (Finish.STOP, (-2.0,))
    assert last.usage is not None
    assert last.usage.generated_tokens == 2
    assert [d.finish for d in deltas[:-1]] == [None]


async def test_held_text_is_released_at_the_end() -> None:
    source = Source(Delta("ab<|", (-1.0, -2.0)), Delta("e", (-3.0,)), END)
    deltas = [d async for d in finished(source.stream(), Cut(("<|end|>",)), "m", None)]
    assert [d.text for d in deltas] == ["ab", "<|e"]
    assert sum(len(d.logprobs) for d in deltas) == 3
    assert deltas[-1].finish is Finish.LENGTH
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.decode_ms == 5.0
    assert deltas[-1].usage.prefill_ms is not None


SLOW = DeadlineExceeded("slow")


@pytest.mark.parametrize(
    ("before", "deadline_passed", "raises"),
    [((), True, True), ((Delta("a"),), True, False), ((Delta("a"),), False, True)],
)
async def test_the_deadline_cuts_the_stream(
    before: tuple[Delta, ...], deadline_passed: bool, raises: bool
) -> None:
    """The request's own deadline ends what has begun; a stalled server is an error."""
    deadline = time.monotonic() + (-1 if deadline_passed else 100)
    source = Source(*before, SLOW)
    stream = finished(source.stream(), Cut(), "m", deadline)
    if raises:
        with pytest.raises(DeadlineExceeded):
            [delta async for delta in stream]
    else:
        assert [delta async for delta in stream][-1].finish is Finish.DEADLINE
