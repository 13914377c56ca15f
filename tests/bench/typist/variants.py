"""Those who are compared, by name."""

from __future__ import annotations

from typing import Any

VARIANTS: dict[str, dict[str, Any]] = {
    "ours": {},
    "ours, no index": {"index": {"enabled": False}},
    "ours, one line": {"completion": {"multiline": "never"}},
    "ours, all shown": {"completion": {"min_confidence": -100.0, "min_token_confidence": -100.0}},
    "ours, nothing prepared": {"engine": {"keep_prompts_mb": 0}},
}
"""Settings of the product."""
PEERS = ("peer", "tuned peer")
"""llama.vim's way, as shipped and for a slow machine."""
