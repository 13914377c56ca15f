"""Params of methods that are not LSP's own: checked against a struct, like settings."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from pygls.exceptions import JsonRpcInvalidParams

from nearfield.coerce import CoercionError, convert

T = TypeVar("T", bound=msgspec.Struct)


def read(kind: type[T], params: Any) -> T:
    """`params` as `kind`, by what they mean; none at all count as empty. Raises
    JsonRpcInvalidParams, which names the field and not its value."""
    try:
        return convert(kind, {} if params is None else params)
    except CoercionError as error:
        what = f"The params are wrong: missing or unfit @ {error.place}."
        raise JsonRpcInvalidParams(what) from error
    except msgspec.ValidationError as error:
        raise JsonRpcInvalidParams(f"The params are wrong: {error}.") from error
