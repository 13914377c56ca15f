"""The gate that judges local answers."""

from __future__ import annotations

from typing import Any

import pytest

from nearfield.routing.quality import JudgedAnswer, is_endless, judge
from nearfield.types import ToolCall

OBJECT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["n"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (JudgedAnswer("return a + b"), ""),
        (JudgedAnswer(""), "empty"),
        (JudgedAnswer("  \n"), "empty"),
        (JudgedAnswer("", tool_calls=(ToolCall("1", "f", "{}"),)), ""),
        (JudgedAnswer("I'm sorry, but I can't help with that."), "refused"),
        (JudgedAnswer("As an AI language model, I have no opinion."), "refused"),
        (JudgedAnswer("def f():\n    # I cannot do that yet\n    pass"), ""),
        (JudgedAnswer("The function cannot write to the file, since it is closed."), ""),
        (JudgedAnswer("print(x)\n" + "total = total + value\n" * 6), "repeats itself"),
        (JudgedAnswer("so it goes on and on and " + "on and on and " * 12), "repeats itself"),
        (JudgedAnswer("a\nb\nc\n" + "first_line_of_two()\nsecond_line_of_two()\n" * 5), "repeats itself"),
        (JudgedAnswer("    }\n" * 4), ""),
        (JudgedAnswer("=" * 80), ""),
        (JudgedAnswer("| a | b |\n| - | - |\n| 1 | 2 |\n| 3 | 4 |\n"), ""),
        (JudgedAnswer("some words of it", (-3.0,) * 8), "unsure of itself"),
        (JudgedAnswer("some words of it", (-3.0,) * 7), ""),
        (JudgedAnswer("some words of it", (-1.0,) * 20), ""),
        (JudgedAnswer('{"n": 1}', schema=OBJECT), ""),
        (JudgedAnswer('{"n": 1, "tags": ["a"]}', schema=OBJECT), ""),
        (JudgedAnswer('{"n": true}', schema=OBJECT), "answer.n is not integer"),
        (JudgedAnswer('{"tags": []}', schema=OBJECT), "answer lacks n"),
        (JudgedAnswer('{"n": 1, "tags": [1]}', schema=OBJECT), "answer.tags[0] is not string"),
        (JudgedAnswer('{"n": 1, "m": 2}', schema=OBJECT), "answer has a key too many"),
        (JudgedAnswer('{"n": 1', schema=OBJECT), "not JSON"),
        (JudgedAnswer('"x"', schema={"enum": ["a", "b"]}), "answer is none of the allowed values"),
        (JudgedAnswer("1", schema={"anyOf": [{"type": "string"}, {"type": "null"}]}), "answer"),
    ],
)  # fmt: skip
def test_an_answer_of_no_use_is_named(answer: JudgedAnswer, wrong: str) -> None:
    assert judge(answer, -2.0) == wrong


def test_the_features_own_checks_are_asked() -> None:
    assert judge(
        JudgedAnswer("x"), -2.0, [lambda _: "", lambda text: f"{text} does not apply"]
    ) == ("x does not apply")


LINE = "List all Python files in the folder.\n"
PARAGRAPH = "".join(f"A sentence with the number {n} in it, of a paragraph.\n" for n in "abcd")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LINE * 14, True),
        (f"It is so.\n\n{LINE * 14}List all", True),
        (PARAGRAPH * 3, True),
        ("\n\n".join([PARAGRAPH] * 3), True),
        ("".join(f"{n}. Look at file {n}.\n" for n in range(60)), True),
        (LINE * 5, False),
        (PARAGRAPH * 2, False),
        ("        <td></td>\n" * 8, False),
        ("-" * 5_000, False),
        ("".join(f"{n}. Look at file {n}.\n" for n in range(20)), False),
        (f"{LINE * 14}That is all.", False),
    ],
)
def test_a_loop_that_does_not_end_is_told_from_a_long_list(text: str, expected: bool) -> None:
    assert is_endless(text) is expected
