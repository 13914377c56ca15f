"""Params of methods that are not LSP's own: checked against a struct, like settings."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from pygls.exceptions import JsonRpcInvalidParams

T = TypeVar("T")


def read(kind: type[T], params: Any) -> T:
    """`params` as `kind`; none at all count as empty. Raises JsonRpcInvalidParams, which names the
    field and not its value."""
    try:
        return msgspec.convert({} if params is None else params, kind)
    except msgspec.ValidationError as error:
        raise JsonRpcInvalidParams(f"The params are wrong: {error}.") from error
