"""From a JSON schema to the grammar that constrains decoding (GBNF)."""

from __future__ import annotations

import json

from llama_cpp.llama_grammar import json_schema_to_gbnf

from nearfield.errors import Unsupported


def from_schema(schema: str) -> str:
    """The grammar of `schema` (JSON text). Raises `Unsupported` for one that has none."""
    try:
        return json_schema_to_gbnf(schema)
    except (json.JSONDecodeError, ValueError, KeyError, AssertionError, TypeError) as error:
        raise Unsupported(
            "This JSON schema cannot be turned into a grammar.",
            "Use objects, arrays, strings, numbers, booleans, enums and $ref within the schema.",
        ) from error
