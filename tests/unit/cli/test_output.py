"""What the user says to a question."""

from __future__ import annotations

import io

import pytest

from nearfield.cli.output import ask_choice

SEND = ("once", "workspace", "never", "no")


@pytest.mark.parametrize(
    ("choices", "said", "meant"),
    [
        (("yes", "no"), "y", "yes"),
        (("yes", "no"), "Yes", "yes"),
        (("yes", "no"), "", "no"),
        (("yes", "no"), "yesterday", "no"),
        (("yes", "always", "no"), "a", "always"),
        (SEND, "o", "once"),
        (SEND, "n", "no"),
        (SEND, "ne", "never"),
        (SEND, "no", "no"),
    ],
)
def test_the_beginning_of_a_choice_is_enough(
    monkeypatch: pytest.MonkeyPatch, choices: tuple[str, ...], said: str, meant: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{said}\n"))
    assert ask_choice("Do it?", choices) == meant
