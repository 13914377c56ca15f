"""Extract chunks and symbols of a text.

`python -m nearfield.index.understand` does so for `parser_process`, because grammars are foreign C
code and a text that crashes them must not end the indexer. Frames of MessagePack, each after its
length, come in and go out. The process ends with its input, or after a while without requests.
"""

from __future__ import annotations

import faulthandler
import os
import queue
import signal
import struct
import sys
import threading
from pathlib import Path

import msgspec

from nearfield.files.encoding import text_in
from nearfield.index.chunks import Chunk, chunked
from nearfield.index.symbols import NO_SYMBOLS, Outline, outline
from nearfield.syntax.languages import language_for
from nearfield.syntax.notebook import as_text, is_notebook, language_in, notebook_in
from nearfield.syntax.parser import parse

MAX_SECONDS = 20.0
"""A text that takes longer ends the process. Parsing ends itself after two seconds, and 1 MB of
ordinary code takes half a second in all."""
IDLE_SECONDS = 60.0
"""Idle time after which the process ends: a workspace at rest needs no grammars in memory."""
LENGTH = struct.Struct(">I")


class ParseRequest(msgspec.Struct, frozen=True, array_like=True):
    """A request: a file's path, as the system writes it, and its content in UTF-8."""

    path: bytes
    text: bytes


class Understood(msgspec.Struct, frozen=True, array_like=True):
    """A parser's answer. `reason` says why the text could not be used, "" mostly."""

    language: str = ""
    chunks: tuple[Chunk, ...] = ()
    outline: Outline = NO_SYMBOLS
    reason: str = ""


def understand(path: str, text: str) -> Understood:
    """The chunks and symbols of the text of a file, as `text_of` gives it."""
    language = language_for(language_in(text) if is_notebook(path) else "", path)
    parsed = parse(language, text) if language is not None else None
    symbols = outline(parsed) if parsed is not None else NO_SYMBOLS
    return Understood(
        language=language.name if language else "",
        chunks=tuple(chunked(text, path, parsed, symbols.definitions)),
        outline=symbols,
    )


def text_of(path: str, raw: bytes) -> str | None:
    """The text of a file as it is indexed and shown, None where it has none: it is binary, or a
    notebook that cannot be read."""
    text = text_in(raw)
    return None if text is None else readable_text(path, text)


def readable_text(path: str, text: str) -> str | None:
    """`text` as it is shown: of a notebook only the cells count, not what they put out. None for
    one that cannot be read."""
    if not is_notebook(path):
        return text
    notebook = notebook_in(text)
    if notebook is None:
        return None
    language = language_for(notebook.language, path)
    return as_text(notebook, (language.comment if language else "") or "#")


def main() -> None:
    """Answer until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process receives Ctrl-C too
    inbox: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(inbox,), name="input", daemon=True).start()
    decoder, encoder = msgspec.msgpack.Decoder(ParseRequest), msgspec.msgpack.Encoder()
    with Path(os.devnull).open("w") as nowhere:
        _say(b"")  # that it could be started
        while True:
            try:
                asked = decoder.decode(inbox.get(timeout=IDLE_SECONDS))
            except queue.Empty:
                os._exit(0)  # the other thread is reading, which no ordinary end waits for
            faulthandler.dump_traceback_later(MAX_SECONDS, exit=True, file=nowhere)
            found = understand(os.fsdecode(asked.path), asked.text.decode())
            faulthandler.cancel_dump_traceback_later()
            _say(encoder.encode(found))


def _listen(inbox: queue.Queue[bytes]) -> None:
    """Read requests; the end of the input ends the process at once."""
    stream = sys.stdin.buffer
    while len(head := stream.read(LENGTH.size)) == LENGTH.size:
        inbox.put(stream.read(LENGTH.unpack(head)[0]))
    os._exit(0)


def _say(body: bytes) -> None:
    sys.stdout.buffer.write(LENGTH.pack(len(body)) + body)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
