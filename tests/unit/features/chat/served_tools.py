"""A server of the Model Context Protocol: over standard input and output, or HTTP on a port."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

server = MCPServer("tools")


@server.tool()
def echo(text: str) -> str:
    """Say the text again."""
    return f"echo: {text}"


@server.tool()
def flood() -> str:
    """Say very much."""
    return "x" * 1_000_000


@server.tool()
def fail() -> str:
    """Report an error."""
    raise ValueError("out of order")


@server.tool()
def slow() -> str:
    """Take long."""
    time.sleep(600)
    return ""


@server.tool()
def variables() -> str:
    """Name the environment's variables."""
    return " ".join(sorted(os.environ))


@server.tool()
def leave_a_child() -> str:
    """Start a process that would run on."""
    sleeping = [sys.executable, "-c", "import time; time.sleep(600)"]
    return str(subprocess.Popen(sleeping, stdin=subprocess.DEVNULL).pid)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run(
            "streamable-http",
            port=int(sys.argv[1]),
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )
    else:
        server.run()
