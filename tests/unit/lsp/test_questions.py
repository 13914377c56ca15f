"""Messages of the server as an editor's notifications show them."""

from __future__ import annotations

import pytest

from nearfield.lsp.questions import spoken


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "files.key[run](command:x): no such setting",
            "files.key[run] (command:x): no such setting",
        ),
        ("[[a](https://evil.test)](command:x)", "[[a] (https://evil.test)] (command:x)"),
        ("list[int] (of two)", "list[int] (of two)"),
        ("a\x1b]0;t\x07\u202eb", "a␛]0;t␇�b"),
    ],
)
def test_a_message_is_text(text: str, shown: str) -> None:
    assert spoken(text) == shown
