"""Secrets are not shown."""

from __future__ import annotations

from typing import Any

import pytest

from nearfield.features.settings import HIDDEN, shown


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("providers.p.options.api_key", "sk-1", HIDDEN),
        ("providers.p.options.apiToken", "t", HIDDEN),
        ("providers.p.options.headers", {"x": "y"}, HIDDEN),
        ("providers.p.options.password", 3, HIDDEN),
        ("providers.p.options.api_key_env", "MY_KEY", "MY_KEY"),
        (
            "providers.p.options.extra",
            {"secret": "s", "n": [1, {"auth": 2}]},
            {"secret": HIDDEN, "n": [1, {"auth": HIDDEN}]},
        ),
        ("providers.p.base_url", "http://u:p@h:1/v1?key=3", f"http://{HIDDEN}@h:1/v1"),
        ("providers.p.base_url", "http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1"),
        ("providers.p.model", "m", "m"),
        ("completion.max_tokens", 3, 3),
        ("engine.enabled", True, True),
    ],
)
def test_values_are_shown_without_keys(key: str, value: Any, expected: Any) -> None:
    assert shown(tuple(key.split(".")), value) == expected
