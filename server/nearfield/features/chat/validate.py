"""Check whether a value meets a JSON schema, in bounded time, with both untrusted.

`jsonschema` checks all of the language. But it uses Python's regular expressions, which can take
exponential time and block every thread meanwhile, and tries all alternatives that a schema
multiplies to. Here patterns are matched by RE2, in linear time, and the steps are counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Protocol, cast

from nearfield.json_schema import SchemaUnusable, check

MAX_STEPS = 200_000
"""Keywords of the schema looked at for one value; a second, about. An answer of some thousand
tokens takes some thousand."""
COMPLAINT_CHARS = 300
"""The validator quotes the value, and whatever enum it is not in."""
PATTERN_MEMORY = 4 << 20
"""Bytes, of RE2 for one pattern."""

Wrong = Callable[[Any], str]

_REPEATS = re.compile(r"[*+{(]")


class _Validator(Protocol):
    """The used part of a validator of the `jsonschema` package."""

    def iter_errors(self, instance: Any) -> Any:
        """Yield the errors of a value."""
        ...


class _TooMuch(Exception):
    """More steps than `MAX_STEPS`."""


def validator(schema: Mapping[str, Any]) -> Wrong:
    """Says what is wrong with a value, "" for nothing. Raises `SchemaUnusable`. References lead
    within the schema only: nothing is fetched."""
    import jsonschema
    from jsonschema.validators import validator_for  # pyright: ignore[reportUnknownVariableType] - it has no types
    from referencing import Registry

    check(schema)
    for pattern in _patterns(schema):
        compiled(pattern)
    try:
        kind: Any = validator_for(dict(schema), default=jsonschema.Draft202012Validator)
        if kind is jsonschema.Draft3Validator:
            raise SchemaUnusable("The schema is of a draft before 4.", "Use a later one.")
        kind.check_schema(dict(schema))
    except jsonschema.SchemaError as error:
        raise SchemaUnusable(
            f"This is no JSON schema: {_short(error.message)}.",
            f"Look at {error.json_path}.",
        ) from error
    except (RecursionError, ValueError, ArithmeticError) as error:
        raise SchemaUnusable("This is no JSON schema that can be used.") from error
    steps = _Steps()
    counted = _counted(kind, steps)
    checking = cast(_Validator, counted(dict(schema), registry=Registry()))

    def wrong(value: Any) -> str:
        steps.left = MAX_STEPS
        try:
            found: Any = next(iter(checking.iter_errors(value)), None)
        except (_TooMuch, RecursionError):
            return "it is too large or too deeply nested to be checked"
        except ArithmeticError:
            return "a number in it is too large"
        return f"{found.json_path}: {_short(found.message)}" if found is not None else ""

    return wrong


@cache
def compiled(pattern: str) -> Any:
    """A pattern of a schema for matching in linear time. Raises `SchemaUnusable`."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = PATTERN_MEMORY
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        raise SchemaUnusable(
            f"The schema's pattern {pattern[:100]!r} cannot be used.",
            "Look-around, back-references and more than 1,000 repetitions are not supported.",
        ) from error


class _Steps:
    left = MAX_STEPS


def _counted(kind: Any, steps: _Steps) -> Any:
    """`kind` with every keyword counted, and those replaced whose own time is not bounded."""
    import attrs
    from jsonschema.validators import extend  # pyright: ignore[reportUnknownVariableType]

    def counting(keyword: Callable[..., Any]) -> Callable[..., Any]:
        def run(of: Any, value: Any, instance: Any, schema: Any) -> Any:
            steps.left -= 1
            if steps.left < 0:
                raise _TooMuch
            return keyword(of, value, instance, schema)

        return run

    keywords: dict[str, Any] = {**kind.VALIDATORS, "pattern": _matches, "uniqueItems": _unique}
    own: Any = extend(kind, {name: counting(of) for name, of in keywords.items()})
    # Its own one takes a validator that counts nothing for a part that has a $schema.
    own.evolve = attrs.evolve
    return own


def _matches(_of: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if not isinstance(instance, str):
        return
    # Half of a surrogate pair, which JSON can hold, is no text to RE2.
    if not compiled(pattern).search(instance.encode("utf-8", "replace").decode()):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _unique(_of: Any, wanted: bool, instance: Any, _schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if wanted and isinstance(instance, list):
        written = {json.dumps(one, sort_keys=True) for one in instance}
        if len(written) < len(instance):
            yield ValidationError("it has items twice")


def _short(message: str) -> str:
    """Its beginning and its end."""
    half = COMPLAINT_CHARS // 2
    return message if len(message) <= COMPLAINT_CHARS else f"{message[:half]} … {message[-half:]}"


def _patterns(schema: Any) -> Iterator[str]:
    """Every pattern for a value. Those for names are matched by Python, so that they may repeat
    only once, and no group. Raises `SchemaUnusable`."""
    if isinstance(schema, list):
        for one in schema:
            yield from _patterns(one)
    if not isinstance(schema, dict):
        return
    for key, value in schema.items():
        if key == "pattern" and isinstance(value, str):
            yield value
        if key == "patternProperties" and isinstance(value, dict):
            for name in value:
                yield name
                if len(_REPEATS.findall(name)) > 1:
                    raise SchemaUnusable(
                        f"The pattern {name[:100]!r} for names is too complicated.",
                        "Let it repeat one thing and have no group.",
                    )
        yield from _patterns(value)
