"""From a JSON schema to the grammar that constrains decoding (GBNF)."""

from __future__ import annotations

import json
import re
from typing import Any

from llama_cpp.llama_grammar import json_schema_to_gbnf

from nearfield.coerce import NotJson, loads
from nearfield.errors import Unsupported
from nearfield.json_schema import SchemaUnusable, check

MAX_REPEATED = 200
"""Maximum repetition that is written out in a grammar; larger ones are left open."""
MAX_PROPERTIES = 100
"""Properties of one object: the rules for optional ones grow by the square."""
_LIMITS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")

_ROOT = re.compile("^root ::=", re.MULTILINE)


def from_schema(schema: str) -> str:
    """The grammar of `schema` (JSON text), or of what is like it and has less of the limits: the
    answer is checked by all of it. Raises `Unsupported` for one that has none."""
    try:
        whole = loads(schema.encode())
        check(whole)
        return json_schema_to_gbnf(json.dumps(_bounded(whole)))
    except (
        SchemaUnusable, NotJson, ValueError, LookupError, AssertionError, TypeError,
        AttributeError, RecursionError,
    ) as error:  # fmt: skip
        raise Unsupported(
            "This JSON schema cannot be turned into a grammar.",
            "Use objects, arrays, strings, numbers, booleans, enums and $ref within the schema.",
        ) from error


def _bounded(schema: Any) -> Any:
    """`schema` without what would make its grammar very large or ambiguous. Raises `ValueError` for
    an object with too many properties."""
    if isinstance(schema, list):
        return [_bounded(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(named := schema.get("properties"), dict) and len(named) > MAX_PROPERTIES:
        raise ValueError("too many properties")
    return {key: _bounded(value) for key, value in schema.items() if not _unbounded(key, value)}


def _unbounded(key: str, value: Any) -> bool:
    if key in _LIMITS:
        return isinstance(value, int | float) and value > MAX_REPEATED
    # A group may repeat what repeats: then there are endlessly many ways to go on.
    return key == "pattern" and isinstance(value, str) and ("(" in value or "{" in value)


def from_call(schema: str, opening: str, closing: str) -> str:
    """The grammar of an answer in words, of one call, or of words and then one call.

    A call is JSON of `schema` between `opening` and `closing`; words never hold `opening`. With
    `schema` "" it is words alone, and they do not begin with a bracket or a backtick: that is how
    small models begin a call in a form of their own. Raises as `from_schema`.
    """
    first = _escaped(opening[0])
    # Every beginning of `opening` that does not go on as it does.
    apart = [
        f"{_quoted(opening[:size])} [^{_escaped(opening[size])}]" for size in range(1, len(opening))
    ]
    word = f"word ::= [^{first}] | {' | '.join(apart)}"
    if not schema:
        return f"root ::= [^{first}{{\\x60\\x5b] word*\n{word}"
    body = _ROOT.sub("call-body ::=", from_schema(schema))
    call = f'call ::= {_quoted(opening)} "\\n"? call-body "\\n"? {_quoted(closing)}'
    return "\n".join(["root ::= call | word+ call?", word, call, body])


def _quoted(text: str) -> str:
    return json.dumps(text)


def _escaped(character: str) -> str:
    """Return a character in the notation of a GBNF class."""
    return f"\\x{ord(character):02x}"
