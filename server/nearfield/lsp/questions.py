"""Requests of the server to its client that are cancelled with their caller.

A question that stays on the screen, or an edit to confirm, would outlive its purpose.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from lsprotocol import types

from nearfield.lsp.protocol import NearfieldProtocol
from nearfield.terminal import printable

_numbers = itertools.count(1)


def spoken(text: str) -> str:
    """`text` as a client's notification may show it. VS Code makes links of `[a](command:b)` there,
    and names, settings and servers are not trusted."""
    return printable(text).replace("](", "] (")


async def ask_client(protocol: NearfieldProtocol, method: str, params: Any) -> Any:
    """The client's answer. Raises `JsonRpcException` when it has none; cancelling it tells the
    client with `$/cancelRequest`."""
    number = f"nearfield-asks-{next(_numbers)}"
    try:
        return await protocol.send_request_async(method, params, number)
    except asyncio.CancelledError:
        protocol.notify(types.CANCEL_REQUEST, types.CancelParams(number))
        raise
