"""A prompt of the protocol as a message: its texts, with what it links to and embeds.

A file of the folder becomes a reference, `@file:…`, whatever the client has sent of it: so it is
read by the rules of the workspace, with the client's unsaved text, and known by its path. Text that
is from no file is quoted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from acp.helpers import ContentBlock
from acp.schema import (
    EmbeddedResourceContentBlock,
    ResourceContentBlock,
    TextContentBlock,
    TextResourceContents,
)

from nearfield.files.encoding import TEXT_ALONE

NO_PICTURES = f"Pictures and sound are not read here. {TEXT_ALONE}"
QUOTED_CHARS = 24_000
_LINES = re.compile(r"^L?(\d{1,7})(?:[-:]L?(\d{1,7}))?$")
_COMMAND = re.compile(r"^\s*/([a-z]+)\b[ \t]*(.*)", re.DOTALL)


@dataclass(slots=True)
class Prompt:
    """A prompt that was read. `files` are the referenced files as `path` or `path:first-last`;
    `refused` says why it is not answered, "" if it is."""

    words: str = ""
    files: list[str] = field(default_factory=list[str])
    quoted: str = ""
    notes: list[str] = field(default_factory=list[str])
    refused: str = ""

    @property
    def message(self) -> str:
        """The message with its references."""
        references = " ".join(f'@file:"{name}"' for name in self.files)
        return "\n\n".join(part for part in (self.words, references, self.quoted) if part)

    @property
    def command(self) -> tuple[str, str]:
        """The name of a slash command and the words after it; ("", "") for none."""
        found = _COMMAND.match(self.words)
        return (found[1], found[2].strip()) if found else ("", "")


def read_prompt(blocks: Sequence[ContentBlock], root: str) -> Prompt:
    """Return the prompt of `blocks` in the folder `root`."""
    prompt = Prompt()
    words: list[str] = []
    for block in blocks:
        if isinstance(block, TextContentBlock):
            # A path is known from the folder, as chats name files.
            words.append(block.text.replace(f"{root.rstrip('/')}/", ""))
        elif isinstance(block, ResourceContentBlock):
            _refer(prompt, block.uri, root, None)
        elif isinstance(block, EmbeddedResourceContentBlock):
            resource = block.resource
            text = resource.text if isinstance(resource, TextResourceContents) else None
            _refer(prompt, resource.uri, root, text)
        else:
            prompt.refused = NO_PICTURES
    prompt.words = "\n".join(words).strip()
    return prompt


def _refer(prompt: Prompt, uri: str, root: str, text: str | None) -> None:
    """Add a resource, whose `text` is None where none was sent."""
    path, lines = _place(uri)
    if path:
        whole = Path(path)
        if not whole.is_relative_to(root):
            prompt.notes.append(f"{whole.name} is outside of the folder, so it is not shown.")
            return
        name = whole.relative_to(root).as_posix()
        one = f"{name}:{lines}" if lines else name
        if '"' in one or "\n" in one:
            prompt.notes.append(f"{whole.name} has a name that cannot be referred to.")
        elif one not in prompt.files:
            prompt.files.append(one)
    elif text is None:
        prompt.notes.append(f"{uri[:200]} is not looked at: only files of the folder are.")
    else:
        prompt.quoted += f"\n\nQuoted from {uri[:200]}:\n```\n{text[:QUOTED_CHARS]}\n```"


def _place(uri: str) -> tuple[str, str]:
    """Return the absolute path that a URI names, "" for none, and its lines, as "3-9"."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "", ""
    # A client may wrap a file, as in `zed:///agent/selection?path=/a.py#L3:9`.
    named = parse_qs(parts.query).get("path", [""])[0]
    is_file = parts.scheme in ("file", "")
    path = named or (unquote(parts.path) if is_file else "")
    if re.match(r"^/[A-Za-z]:", path):  # Windows
        path = path[1:]
    found = _LINES.match(parts.fragment)
    lines = f"{found[1]}-{found[2] or found[1]}" if found else ""
    return (path, lines) if Path(path).is_absolute() else ("", "")
