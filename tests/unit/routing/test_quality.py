"""The gate that judges local answers."""

from __future__ import annotations

from typing import Any

import pytest

from nearfield.routing.quality import Answer, is_endless, judge
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
        (Answer("return a + b"), ""),
        (Answer(""), "empty"),
        (Answer("  \n"), "empty"),
        (Answer("", tool_calls=(ToolCall("1", "f", "{}"),)), ""),
        (Answer("I'm sorry, but I can't help with that."), "refused"),
        (Answer("As an AI language model, I have no opinion."), "refused"),
        (Answer("def f():\n    # I cannot do that yet\n    pass"), ""),
        (Answer("The function cannot write to the file, since it is closed."), ""),
        (Answer("print(x)\n" + "total = total + value\n" * 6), "repeats itself"),
        (Answer("so it goes on and on and " + "on and on and " * 12), "repeats itself"),
        (Answer("a\nb\nc\n" + "first_line_of_two()\nsecond_line_of_two()\n" * 5), "repeats itself"),
        (Answer("    }\n" * 4), ""),
        (Answer("=" * 80), ""),
        (Answer("| a | b |\n| - | - |\n| 1 | 2 |\n| 3 | 4 |\n"), ""),
        (Answer("some words of it", (-3.0,) * 8), "unsure of itself"),
        (Answer("some words of it", (-3.0,) * 7), ""),
        (Answer("some words of it", (-1.0,) * 20), ""),
        (Answer('{"n": 1}', schema=OBJECT), ""),
        (Answer('{"n": 1, "tags": ["a"]}', schema=OBJECT), ""),
        (Answer('{"n": true}', schema=OBJECT), "answer.n is not integer"),
        (Answer('{"tags": []}', schema=OBJECT), "answer lacks n"),
        (Answer('{"n": 1, "tags": [1]}', schema=OBJECT), "answer.tags[0] is not string"),
        (Answer('{"n": 1, "m": 2}', schema=OBJECT), "answer has a key too many"),
        (Answer('{"n": 1', schema=OBJECT), "not JSON"),
        (Answer('"x"', schema={"enum": ["a", "b"]}), "answer is none of the allowed values"),
        (Answer("1", schema={"anyOf": [{"type": "string"}, {"type": "null"}]}), "answer"),
    ],
)  # fmt: skip
def test_an_answer_of_no_use_is_named(answer: Answer, wrong: str) -> None:
    assert judge(answer, -2.0) == wrong


def test_the_features_own_checks_are_asked() -> None:
    assert judge(Answer("x"), -2.0, [lambda _: "", lambda text: f"{text} does not apply"]) == (
        "x does not apply"
    )


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
