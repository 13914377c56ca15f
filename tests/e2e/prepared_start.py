"""What a test starts in place of a command: it has `prepared.py` fork one, with its own streams,
folder and environment, passes signals on, and ends as the command does. It imports little.

    python prepared_start.py ADDRESS ARGUMENTS...
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys


def main(address: str, arguments: list[str]) -> int:
    """Return the exit code of the command, or the negative number of the signal that ended it."""
    umask = os.umask(0)
    os.umask(umask)
    folder = os.getcwd()  # noqa: PTH109 (slow to import)
    job = json.dumps([arguments, folder, umask, {**os.environ}]).encode()
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect(address)
        socket.send_fds(asked, [b"%08x" % len(job)], [0, 1, 2])
        asked.sendall(job)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda sent, _: asked.send(bytes([sent])) and None)
        nowhere = os.open(os.devnull, os.O_RDWR)
        # The other ends of the streams learn at once when the command has closed them.
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        return int(asked.recv(8) or -signal.SIGKILL)


if __name__ == "__main__":
    code = main(sys.argv[1], sys.argv[2:])
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    os._exit(code)
