"""Reads what clients send as it was meant: JSON, and values that are a little beside their type.

Clients write null for "not given", 1.0 for 1, a range as a list of two positions, or a number
beyond all limits. `Coercion.of` brings such a value into the shape of its type, before it is
checked and converted; what has no meaning for its type raises `Unfit`, which names the place and
not the value. Both faces read by it. Fields that a type does not know are left out.
"""

from __future__ import annotations

import json
import math
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

MOST_DEPTH = 64
"""Of values whose shape no type bounds. Nobody nests settings or schemas that deep, and what reads
them recurses."""

_NUMBER = re.compile(r"\s*[+-]?\d{1,20}(\.\d{0,20})?\s*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SCALARS = (str, bool, int, float)


class NotJson(ValueError):
    """A text is no JSON."""


class Unfit(ValueError):
    """A value has no meaning for its type; `place` says where, as `$.range.start`."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


class _Nothing(Enum):
    NOTHING = 0


NOTHING = _Nothing.NOTHING
"""There is no such value, which None is not."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an object: its name in JSON and its type.

    `default` stands for a required one that is missing or unfit. An integer outside of `bounds`
    becomes the nearest within, an `exact` one is unfit.
    """

    name: str
    kind: Any
    required: bool
    default: Any = NOTHING
    bounds: tuple[int, int] | None = None
    exact: bool = False


Fields = Callable[[Any], Sequence[Field] | None]
"""Tells the fields of a class, None for what is no class with fields."""


def loads(text: bytes, *, constants: bool = False) -> Any:
    """The JSON value in `text`, with `constants` also where it has NaN and Infinity. Lone
    surrogates become U+FFFD, see `clean`. Raises `NotJson`, also for what is nested too deeply."""
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        pass
    try:
        # Three times slower, but it knows lone surrogates, and NaN, which some clients send.
        return _cleaned(json.loads(text, parse_constant=float if constants else _no_constant))
    except (ValueError, RecursionError) as error:
        raise NotJson("not JSON") from error


def clean(text: str) -> str:
    """`text` with every lone surrogate replaced by U+FFFD, which is as long in UTF-16, so that
    positions stay right."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    # Halves that belong together but arrived escaped apart are joined, the others replaced.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@cache
def struct_fields(kind: Any) -> Sequence[Field] | None:
    """The fields of a `msgspec.Struct`."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return None
    return [Field(one.encode_name, one.type, one.required) for one in msgspec.structs.fields(kind)]


Kind = TypeVar("Kind", bound=msgspec.Struct)


def convert(kind: type[Kind], value: Any) -> Kind:
    """`value` as a struct, by what it means. Raises `Unfit`, and `msgspec.ValidationError` for what
    has the right type and is not allowed."""
    return msgspec.convert(STRUCTS.of(kind, value), kind)


class Coercion:
    """Brings values into the shape of types whose classes `fields` knows.

    `forgiving`: an optional field with a value that is unfit counts as not given.
    """

    def __init__(self, fields: Fields, *, forgiving: bool) -> None:
        self._fields = fields
        self._forgiving = forgiving

    def of(self, kind: Any, value: Any, place: str = "$") -> Any:
        """`value` as data that fits the type `kind`. Raises `Unfit`."""
        origin = get_origin(kind)
        if origin is Annotated:
            inner, *notes = get_args(kind)
            return _within(self.of(inner, value, place), notes)
        if origin is Union or origin is types.UnionType:
            return self._union(get_args(kind), value, place)
        if origin is Literal:
            return _one_of(get_args(kind), value, place)
        if kind is None or kind is type(None):
            return _checked(value, value is None, place)
        if (fields := self._fields(kind)) is not None:
            return self._object(fields, value, place)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return _one_of([one.value for one in kind], value, place)
        if kind in _SCALARS:
            return _scalar(kind, value, place)
        return self._container(origin or kind, get_args(kind), value, place)

    def _container(self, origin: Any, inner: tuple[Any, ...], value: Any, place: str) -> Any:
        if isinstance(origin, type) and issubclass(origin, Mapping):
            _checked(value, isinstance(value, dict), place)
            of = inner[1] if inner else Any
            return {str(key): self.of(of, one, f"{place}[...]") for key, one in value.items()}
        if isinstance(origin, type) and issubclass(origin, Sequence):
            # Where a list of objects is meant, one object is that one.
            values = [value] if isinstance(value, dict) else value
            _checked(value, isinstance(values, list), place)
            of = inner[0] if inner else Any
            return [self.of(of, one, f"{place}[{index}]") for index, one in enumerate(values)]
        return _checked(value, _depth_within(value, MOST_DEPTH), place)

    def _object(self, fields: Sequence[Field], value: Any, place: str) -> dict[str, Any]:
        if isinstance(value, list) and _stands_for(fields, value):
            value = {field.name: one for field, one in zip(fields, value, strict=True)}
        if not isinstance(value, dict):
            raise Unfit(place)
        found: dict[str, Any] = {}
        for field in fields:
            given = value.get(field.name)
            try:
                found[field.name] = self._field(field, given, f"{place}.{field.name}")
            except Unfit:
                if field.default is not NOTHING:
                    found[field.name] = field.default
                elif field.required or (given is not None and not self._forgiving):
                    raise
        return found

    def _field(self, field: Field, given: Any, place: str) -> Any:
        if given is None and not (field.required and _nullable(field.kind)):
            raise Unfit(place)
        found = self.of(field.kind, given, place)
        if field.bounds is not None and isinstance(found, int):
            least, most = field.bounds
            near = min(max(found, least), most)
            return _checked(near, near == found or not field.exact, place)
        return found

    def _union(self, kinds: tuple[Any, ...], value: Any, place: str) -> Any:
        """By the kind whose JSON type is that of `value`, else by the first that it fits."""
        if value is None:
            return _checked(value, type(None) in kinds, place)
        kinds = tuple(kind for kind in kinds if kind is not type(None))
        objects = [(kind, fields) for kind in kinds if (fields := self._fields(kind)) is not None]
        if len(objects) > 1 and isinstance(value, dict):
            return self._object(_the_one_meant(objects, value, place), value, place)
        wrong = Unfit(place)
        for kind in sorted(kinds, key=lambda kind: not _of_the_type(kind, value)):
            try:
                return self.of(kind, value, place)
            except Unfit as error:
                wrong = error
        raise wrong if len(kinds) == 1 else Unfit(place)


STRUCTS = Coercion(struct_fields, forgiving=False)
"""For messages that are msgspec's structs."""


def _scalar(kind: type, value: Any, place: str) -> Any:
    if kind is str:
        return clean(_checked(value, isinstance(value, str), place))
    if kind is bool:
        return bool(_one_of([False, True, "true", "false"], value, place) in (True, "true"))
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value) if kind is float else int(value.partition(".")[0])
    return _number(kind, value, place)


def _number(kind: type, value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit(place)
    if isinstance(value, int):
        return value if kind is int else _float(value)
    if math.isnan(value):
        raise Unfit(place)
    if kind is float:
        return value
    # Beyond every limit, so that it becomes the limit where there is one.
    return int(value) if math.isfinite(value) else int(math.copysign(2**63, value))


def _float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _one_of(values: Sequence[Any], value: Any, place: str) -> Any:
    """The one of `values` that `value` is, by another spelling of the number or the word."""
    for one in values:
        if one == value and isinstance(one, str) == isinstance(value, str):
            return one
    if isinstance(value, str):
        written = value.strip().lower()
        for one in values:
            if str(one).lower() == written:
                return one
    raise Unfit(place)


def _within(value: Any, notes: Sequence[Any]) -> Any:
    """A number within the limits of its annotation; another value as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    for note in notes:
        if isinstance(note, msgspec.Meta):
            value = max(value, note.ge) if note.ge is not None else value
            value = min(value, note.le) if note.le is not None else value
    return value


def _stands_for(fields: Sequence[Field], values: Sequence[Any]) -> bool:
    """Whether a list has a value for each field of an object that has no optional ones: VS Code
    writes its own ranges as lists."""
    return len(values) == len(fields) and all(field.required for field in fields)


def _the_one_meant(
    objects: Sequence[tuple[Any, Sequence[Field]]], value: Mapping[str, Any], place: str
) -> Sequence[Field]:
    """The fields of the class that demands most of what `value` has. Not the one that it fits: a
    change whose range cannot be read is not the whole document."""
    found: Sequence[Field] | None = None
    most = -1
    for _, fields in objects:
        needed = [one.name for one in fields if one.required]
        if len(needed) > most and all(value.get(name) is not None for name in needed):
            found, most = fields, len(needed)
    if found is None:
        raise Unfit(place)
    return found


def _of_the_type(kind: Any, value: Any) -> bool:
    origin = get_origin(kind) or kind
    if isinstance(value, str):
        return origin is str or origin is Literal
    if isinstance(value, bool):
        return origin is bool
    if isinstance(value, list):
        return isinstance(origin, type) and issubclass(origin, Sequence)
    return origin in (int, float)


@cache
def _nullable(kind: Any) -> bool:
    return kind is Any or kind is type(None) or type(None) in get_args(kind)


def _checked(value: Any, fits: bool, place: str) -> Any:
    if not fits:
        raise Unfit(place)
    return value


def _depth_within(value: Any, most: int) -> bool:
    if most < 0:
        return False
    if isinstance(value, dict):
        return all(_depth_within(one, most - 1) for one in value.values())
    if isinstance(value, list):
        return all(_depth_within(one, most - 1) for one in value)
    return True


def _cleaned(value: Any) -> Any:
    """`value` with every text in it `clean`."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _cleaned(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    return value


def _no_constant(name: str) -> Any:
    raise NotJson(name)
