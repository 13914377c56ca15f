"""Lenient reading of what clients send: JSON, and values that nearly fit their type.

Clients write null for "not given", 1.0 for 1, a range as a list of two positions, or a number
beyond all limits. `Coercion.coerce` turns such a value into its type's form before it is checked
and converted. A value without a meaning for its type raises `CoercionError`, which names the place
and not the value. Unknown fields are dropped. LSP and HTTP both read messages this way.
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
from itertools import accumulate
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

MAX_DEPTH = 64
"""Maximum nesting of values without a type: settings and schemas are never that deep, and the code
that reads them recurses."""

_NUMBER = re.compile(r"\s*[+-]?\d{1,20}(\.\d{0,20})?\s*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SCALARS = (str, bool, int, float)
_NO_BRACKETS = bytes(one for one in range(256) if one not in b"[{]}")


class NotJson(ValueError):
    """A text is not JSON."""


class CoercionError(ValueError):
    """A value has no meaning for its type; `place` is its path, such as `$.range.start`."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


class _Missing(Enum):
    MISSING = 0


MISSING = _Missing.MISSING
"""Marks an absent value, unlike None."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an object: its name in JSON and its type.

    `default` replaces a required value that is missing or unfit. An integer outside `bounds` is
    clamped; an `exact` one raises `CoercionError`.
    """

    name: str
    kind: Any
    required: bool
    default: Any = MISSING
    bounds: tuple[int, int] | None = None
    exact: bool = False


Fields = Callable[[Any], Sequence[Field] | None]
"""Returns the fields of a class, None for other types."""


def loads(text: bytes, *, constants: bool = False) -> Any:
    """Return the JSON value in `text`; with `constants` NaN and Infinity are allowed. Lone
    surrogates become U+FFFD, see `clean`. Raises `NotJson`, also for too deep nesting."""
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        pass
    try:
        # Three times slower, but it accepts lone surrogates, and NaN, which some clients send.
        return _cleaned(json.loads(text, parse_constant=float if constants else _no_constant))
    except (ValueError, RecursionError) as error:
        raise NotJson("not JSON") from error


def shallow(text: str | bytes) -> Any:
    """Return the JSON value in what a model or its server wrote. Raises `NotJson`, also for more
    levels than `MAX_DEPTH`: what reads or writes such a value calls itself for each."""
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if is_deep(content):
        raise NotJson("JSON that is nested too deep")
    return loads(content)


def shallow_object(text: str) -> dict[str, Any]:
    """Return the JSON object that a model or its server wrote; an empty one where it is none."""
    try:
        value = shallow(text)
    except NotJson:
        return {}
    return value if isinstance(value, dict) else {}


def is_deep(text: bytes) -> bool:
    """Return whether JSON nests deeper than `MAX_DEPTH`. Takes time in proportion to its length."""
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False
    outside = b"".join(text.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    marks = outside.translate(None, _NO_BRACKETS)
    return max(accumulate(1 if one in b"[{" else -1 for one in marks), default=0) > MAX_DEPTH


def clean(text: str) -> str:
    """Return `text` with lone surrogates replaced by U+FFFD, which is as long in UTF-16, so that
    positions stay right."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    # Two halves that were escaped separately are joined, lone ones replaced.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def storable(text: str) -> str:
    """Return `text` as files and databases in UTF-8 can hold it. A byte of a path that is no text
    becomes an escape such as `\\udce9`, so that two paths stay two."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


@cache
def struct_fields(kind: Any) -> Sequence[Field] | None:
    """Return the fields of a `msgspec.Struct`."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return None
    return [Field(one.encode_name, one.type, one.required) for one in msgspec.structs.fields(kind)]


Kind = TypeVar("Kind", bound=msgspec.Struct)


def convert(kind: type[Kind], value: Any) -> Kind:
    """Return `value`, read leniently, as a struct. Raises `CoercionError`, and
    `msgspec.ValidationError` for a value of the right type that is not allowed."""
    return msgspec.convert(STRUCTS.coerce(kind, value), kind)


class Coercion:
    """Coerces values to types whose classes `fields` knows. With `forgiving` an optional field with
    an unfit value counts as not given."""

    def __init__(self, fields: Fields, *, forgiving: bool) -> None:
        self._fields = fields
        self._forgiving = forgiving

    def coerce(self, kind: Any, value: Any, place: str = "$") -> Any:
        """Return `value` as data that fits the type `kind`. Raises `CoercionError`."""
        origin = get_origin(kind)
        if origin is Annotated:
            inner, *notes = get_args(kind)
            return _clamped(self.coerce(inner, value, place), notes)
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
            return {str(key): self.coerce(of, one, f"{place}[...]") for key, one in value.items()}
        if isinstance(origin, type) and issubclass(origin, Sequence):
            # A single object is read as a list of one.
            values = [value] if isinstance(value, dict) else value
            _checked(value, isinstance(values, list), place)
            of = inner[0] if inner else Any
            return [self.coerce(of, one, f"{place}[{index}]") for index, one in enumerate(values)]
        return _checked(value, _is_within_depth(value, MAX_DEPTH), place)

    def _object(self, fields: Sequence[Field], value: Any, place: str) -> dict[str, Any]:
        if isinstance(value, list) and _is_list_form(fields, value):
            value = {field.name: one for field, one in zip(fields, value, strict=True)}
        if not isinstance(value, dict):
            raise CoercionError(place)
        found: dict[str, Any] = {}
        for field in fields:
            given = value.get(field.name)
            try:
                found[field.name] = self._field(field, given, f"{place}.{field.name}")
            except CoercionError:
                if field.default is not MISSING:
                    found[field.name] = field.default
                elif field.required or (given is not None and not self._forgiving):
                    raise
        return found

    def _field(self, field: Field, given: Any, place: str) -> Any:
        if given is None and not (field.required and _is_nullable(field.kind)):
            raise CoercionError(place)
        found = self.coerce(field.kind, given, place)
        if field.bounds is not None and isinstance(found, int):
            least, most = field.bounds
            near = min(max(found, least), most)
            return _checked(near, near == found or not field.exact, place)
        return found

    def _union(self, kinds: tuple[Any, ...], value: Any, place: str) -> Any:
        """Coerce to the type whose JSON type is that of `value`, else to the first that fits."""
        if value is None:
            return _checked(value, type(None) in kinds, place)
        kinds = tuple(kind for kind in kinds if kind is not type(None))
        objects = [(kind, fields) for kind in kinds if (fields := self._fields(kind)) is not None]
        if len(objects) > 1 and isinstance(value, dict):
            return self._object(_meant_class(objects, value, place), value, place)
        wrong = CoercionError(place)
        for kind in sorted(kinds, key=lambda kind: not _has_type(kind, value)):
            try:
                return self.coerce(kind, value, place)
            except CoercionError as error:
                wrong = error
        raise wrong if len(kinds) == 1 else CoercionError(place)


STRUCTS = Coercion(struct_fields, forgiving=False)
"""Coerces messages that are msgspec structs."""


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
        raise CoercionError(place)
    if isinstance(value, int):
        if kind is int:
            return value
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if math.isnan(value):
        raise CoercionError(place)
    if kind is float:
        return value
    # Larger than every limit, so that it is clamped if there is one.
    return int(value) if math.isfinite(value) else int(math.copysign(2**63, value))


def _one_of(values: Sequence[Any], value: Any, place: str) -> Any:
    """Return the one of `values` that equals `value`, also in another spelling or case."""
    for one in values:
        if one == value and isinstance(one, str) == isinstance(value, str):
            return one
    if isinstance(value, str):
        written = value.strip().lower()
        for one in values:
            if str(one).lower() == written:
                return one
    raise CoercionError(place)


def _clamped(value: Any, notes: Sequence[Any]) -> Any:
    """Clamp a number to the limits of its annotation; return other values as they are."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    for note in notes:
        if isinstance(note, msgspec.Meta):
            value = max(value, note.ge) if note.ge is not None else value
            value = min(value, note.le) if note.le is not None else value
    return value


def _is_list_form(fields: Sequence[Field], values: Sequence[Any]) -> bool:
    """Return whether a list has a value for each field of an object without optional fields: VS
    Code writes its ranges as lists."""
    return len(values) == len(fields) and all(field.required for field in fields)


def _meant_class(
    objects: Sequence[tuple[Any, Sequence[Field]]], value: Mapping[str, Any], place: str
) -> Sequence[Field]:
    """Return the fields of the class that requires most of the keys in `value`. Not of the one that
    it fits: a change with an unreadable range is not a change of the whole document."""
    found: Sequence[Field] | None = None
    most = -1
    for _, fields in objects:
        needed = [one.name for one in fields if one.required]
        if len(needed) > most and all(value.get(name) is not None for name in needed):
            found, most = fields, len(needed)
    if found is None:
        raise CoercionError(place)
    return found


def _has_type(kind: Any, value: Any) -> bool:
    """Return whether `value` has the JSON type of `kind`."""
    origin = get_origin(kind) or kind
    if isinstance(value, str):
        return origin is str or origin is Literal
    if isinstance(value, bool):
        return origin is bool
    if isinstance(value, list):
        return isinstance(origin, type) and issubclass(origin, Sequence)
    return origin in (int, float)


@cache
def _is_nullable(kind: Any) -> bool:
    return kind is Any or kind is type(None) or type(None) in get_args(kind)


def _checked(value: Any, fits: bool, place: str) -> Any:
    if not fits:
        raise CoercionError(place)
    return value


def _is_within_depth(value: Any, most: int) -> bool:
    if most < 0:
        return False
    if isinstance(value, dict):
        return all(_is_within_depth(one, most - 1) for one in value.values())
    if isinstance(value, list):
        return all(_is_within_depth(one, most - 1) for one in value)
    return True


def _cleaned(value: Any) -> Any:
    """Return `value` with every text in it cleaned."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _cleaned(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    return value


def _no_constant(name: str) -> Any:
    raise NotJson(name)
