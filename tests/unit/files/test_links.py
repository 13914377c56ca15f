"""Links: where a path leads, also where links lead in a circle."""

from __future__ import annotations

import re
from pathlib import Path

import nearfield
from nearfield.files.links import real_inside, resolved


def test_links_in_a_circle_stay(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c").symlink_to(tmp_path)
    assert resolved(tmp_path / "c" / "file") == resolved(tmp_path) / "file"
    assert resolved(tmp_path / "a" / "file").is_relative_to(resolved(tmp_path))
    assert real_inside(tmp_path / "a", tmp_path) is not None


def test_paths_are_resolved_by_one_way() -> None:
    """`Path.resolve` raises `RuntimeError` for links in a circle."""
    folder = Path(nearfield.__file__).parent
    found = [
        path.name
        for path in folder.rglob("*.py")
        if path.name != "links.py" and re.search(r"\.resolve\b(?!/)", path.read_text("utf-8"))
    ]
    assert found == []
