"""Providers that the settings want."""

from __future__ import annotations

import msgspec

from nearfield.config.schema import Config
from nearfield.routing.provider_pool import variants


def test_variants_name_a_model_of_a_provider() -> None:
    config = msgspec.convert(
        {
            "providers": {"ollama": {"kind": "ollama", "model": "small", "base_url": "http://h"}},
            "routing": {"roles": {"large": ["ollama/big:32b", "ollama", "unknown/x"]}},
        },
        Config,
    )
    wanted = variants(config)
    assert set(wanted) == {"ollama", "ollama/big:32b"}
    assert (wanted["ollama/big:32b"].model, wanted["ollama/big:32b"].base_url) == (
        "big:32b",
        "http://h",
    )
