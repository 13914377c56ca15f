"""What is said about the settings is complete."""

from __future__ import annotations

import pytest

from nearfield.config.keys import Leaf, leaves


@pytest.mark.parametrize("leaf", list(leaves()), ids=lambda leaf: ".".join(leaf.pattern))
def test_every_setting_says_what_it_means(leaf: Leaf) -> None:
    assert leaf.doc
    assert "\n" not in leaf.doc
