"""From tokens' bytes to text: stops, single lines, healed bytes, half characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.engine.output import TextOutput


def shown(output: TextOutput, pieces: list[bytes]) -> str:
    text = ""
    for piece in pieces:
        text += output.feed(piece)
        if output.finished:
            return text
    return text + output.end()


@pytest.mark.parametrize(
    ("output", "pieces", "expected", "finished"),
    [
        pytest.param(TextOutput(), [b"a", b"b"], "ab", False, id="plain"),
        pytest.param(
            TextOutput(stop=("END",)), [b"aE", b"ND", b"b"], "a", True, id="stop over two"
        ),
        pytest.param(
            TextOutput(stop=("END",)), [b"aE", b"N", b"x"], "aENx", False, id="not a stop"
        ),
        pytest.param(
            TextOutput(stop=("END",)), [b"aE", b"N"], "aEN", False, id="stop begun at end"
        ),
        pytest.param(TextOutput(stop=("b", "ab")), [b"xab"], "x", True, id="earliest stop wins"),
        pytest.param(TextOutput(single_line=True), [b"a\n", b"b"], "a", True, id="one line"),
        pytest.param(
            TextOutput(single_line=True), [b"\n a", b"\n"], "\n a", True, id="blank first"
        ),
        pytest.param(
            TextOutput(single_line=True, line_started=True),
            [b"\n", b"a"],
            "",
            True,
            id="line is full",
        ),
        pytest.param(TextOutput(single_line=True), [b"a\r", b"\n"], "a", True, id="CRLF"),
        pytest.param(TextOutput(owed=b"ret"), [b"return", b" x"], "urn x", False, id="healed, one"),
        pytest.param(
            TextOutput(owed=b"ret"), [b"r", b"e", b"turn"], "urn", False, id="healed, three"
        ),
        pytest.param(TextOutput(), ["é".encode()[:1], "é".encode()[1:]], "é", False, id="split"),
        pytest.param(TextOutput(), [b"a", "é".encode()[:1]], "a", False, id="half"),
        pytest.param(
            TextOutput(owed="é".encode()[:1]),
            ["é".encode()],
            "\ufffd",
            False,
            id="owed half",
        ),
    ],
)
def test_control_tokens_and_stops_shape_the_output(
    output: TextOutput, pieces: list[bytes], expected: str, finished: bool
) -> None:
    assert shown(output, pieces) == expected
    assert output.finished is finished


@given(
    st.text(alphabet="ab\nE N€", max_size=30),
    st.lists(st.integers(1, 5), min_size=1, max_size=40),
    st.booleans(),
)
def test_any_split_into_tokens_gives_the_same_text(
    text: str, sizes: list[int], single_line: bool
) -> None:
    raw = text.encode()
    pieces: list[bytes] = []
    at = 0
    for i in range(len(raw)):
        if at >= len(raw):
            break
        size = sizes[i % len(sizes)]
        pieces.append(raw[at : at + size])
        at += size

    def make() -> TextOutput:
        return TextOutput(stop=("EN", "€a"), single_line=single_line)

    assert shown(make(), pieces) == shown(make(), [raw])
