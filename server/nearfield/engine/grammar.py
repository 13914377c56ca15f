"""From a JSON schema to the grammar that constrains decoding (GBNF)."""

from __future__ import annotations

import json
import re

from llama_cpp.llama_grammar import json_schema_to_gbnf

from nearfield.errors import Unsupported

_ROOT = re.compile("^root ::=", re.MULTILINE)


def from_schema(schema: str) -> str:
    """The grammar of `schema` (JSON text). Raises `Unsupported` for one that has none."""
    try:
        return json_schema_to_gbnf(schema)
    except (json.JSONDecodeError, ValueError, KeyError, AssertionError, TypeError) as error:
        raise Unsupported(
            "This JSON schema cannot be turned into a grammar.",
            "Use objects, arrays, strings, numbers, booleans, enums and $ref within the schema.",
        ) from error


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
    """A character as it stands in a GBNF class."""
    return f"\\x{ord(character):02x}"
