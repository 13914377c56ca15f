"""docs/protocol.md, the page that client authors read."""

from __future__ import annotations

import re
from pathlib import Path

from nearfield.lsp.server import build

PAGE = Path(__file__).parents[3] / "docs" / "protocol.md"
STANDARD = re.compile(
    r"(initialize|initialized|shutdown|exit|\$/setTrace|workspace/|window/|notebookDocument/"
    r"|codeAction/|textDocument/(did(Open|Change|Close)|completion|inlineCompletion|hover|codeAction)$)"
)


def test_every_message_and_command_of_our_own_is_documented() -> None:
    known = build().session.protocol.fm
    ours = {name for name in (*known.features, *known.commands) if not STANDARD.match(name)}
    named = set(re.findall(r"`([\w./$]+)`", PAGE.read_text()))
    assert len(ours) > 15
    assert ours - named == set()
