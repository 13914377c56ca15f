"""Which documents are completed, by the settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nearfield.config.schema import Completion, Config, Files
from nearfield.features.documents import DocumentFilter
from nearfield.types import Snapshot

FILE = Snapshot("file:///w/a/b.py", "python", 1, "x" * 100, "/w/a/b.py", "/w")

PERMITTED = [
    ("by default", {}, {}, FILE, ""),
    ("switched off", {"enabled": False}, {}, FILE, "disabled"),
    ("language", {"disabled_languages": ["PYTHON"]}, {}, FILE, "language"),
    ("another language", {"disabled_languages": ["go"]}, {}, FILE, ""),
    ("just fits", {}, {"max_bytes": 100}, FILE, ""),
    ("too big", {}, {"max_bytes": 99}, FILE, "too_big"),
    ("in bytes", {}, {"max_bytes": 100}, replace(FILE, text="é" * 51), "too_big"),
    ("fits in bytes", {}, {"max_bytes": 102}, replace(FILE, text="é" * 51), ""),
    ("a lone surrogate", {}, {"max_bytes": 2}, replace(FILE, text="\ud800"), "too_big"),
    ("excluded", {}, {"exclude": ["*.py"]}, FILE, "excluded"),
    ("excluded folder", {}, {"exclude": ["/a/"]}, FILE, "excluded"),
    ("anchored elsewhere", {}, {"exclude": ["/b.py"]}, FILE, ""),
    ("taken back", {}, {"exclude": ["*.py", "!b.py"]}, FILE, ""),
    ("untitled", {}, {"exclude": ["*"]}, replace(FILE, path=None), ""),
    ("in no folder", {}, {"exclude": ["w/"]}, replace(FILE, root=None), "excluded"),
]


@pytest.mark.parametrize("case", PERMITTED, ids=[c[0] for c in PERMITTED])
def test_the_settings_decide_which_documents_are_completed(
    case: tuple[str, dict[str, Any], dict[str, Any], Snapshot, str],
) -> None:
    _, completion, files, snapshot, reason = case
    config = Config(completion=Completion(**completion), files=Files(**files))
    permitted = DocumentFilter(config)
    assert permitted.reason(snapshot) == reason
    assert permitted.reason(snapshot) == reason
