"""Grammars from schemas that may be meant badly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from llama_cpp.llama_grammar import json_schema_to_gbnf

from nearfield.engine.grammar import from_schema
from nearfield.errors import Unsupported

MANY = {f"p{n}": {} for n in range(300)}


@pytest.mark.parametrize(
    "schema",
    [
        None,
        "string",
        {"$ref": "#"},
        {"$ref": "http://127.0.0.1:1/x.json"},
        {"anyOf": [{"const": n} for n in range(1500)]},
        {"minimum": float("nan")},
        {"type": "object", "properties": MANY},
    ],
)
def test_an_unsafe_schema_has_no_grammar(schema: Any) -> None:
    with pytest.raises(Unsupported):
        from_schema(json.dumps(schema))


def test_a_large_limit_is_left_open() -> None:
    list_of_many = {"type": "array", "items": {"type": "string"}, "maxItems": 10**9}
    assert len(from_schema(json.dumps(list_of_many))) < 2000


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
        {"type": "string", "pattern": "^[a-z]+$"},
    ],
)
def test_what_a_grammar_can_hold_to_is_kept(schema: dict[str, Any]) -> None:
    text = json.dumps(schema)
    assert from_schema(text) == json_schema_to_gbnf(text)
