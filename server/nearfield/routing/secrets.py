"""Find what looks like a key, a token or a password in any text.

There are three kinds of evidence, from sure to likely:

* shapes that only a secret has (`shapes`): vendors' token formats, private key blocks, JSON web
  tokens, authorisation headers;
* places that only hold secrets: the password of an address or on a command line;
* a value near a name that means secret (`assigned`), which looks random or like a password, and
  not like a word, a path, a variable or a placeholder.

A bare random string with no such name stays: hashes, ids and test vectors are everywhere in code,
and a prompt without them is worth little. Time is linear in the text and bounded: `find` raises
`NotPermitted` at its deadline. docs/privacy.md says what is not found.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nearfield.errors import NotPermitted
from nearfield.routing.assigned_secrets import assigned, pairs
from nearfield.routing.linear import Pattern, compiled_for_bytes
from nearfield.routing.shapes import private_keys, shaped, shapes
from nearfield.routing.values import is_password

# curl's -u user:password, and the options of programs whose -p, -a or -w is a password
_PROGRAMS = (
    "sshpass|docker login|podman login|helm registry login|az login|mysql|mysqldump|mysqladmin|"
    "redis-cli|ldapsearch|smbclient|htpasswd|7z|zip|unzip"
)
_OPTIONS = (
    r"\bcurl\b[^\n|]{0,200}?\s(?:-u|--user)[ \t]+[\"']?[^\s:\"']{1,80}:[\"']?([^\s\"']{4,})",
    rf"\b(?:{_PROGRAMS})\b[^\n|]{{0,120}}?\s-(?:p|a|w|P)[ \t]?[\"']?([^\s\"']{{6,}})",
)


@dataclass(frozen=True, slots=True, order=True)
class FoundSecret:
    """A secret at `start:end` of the text, of a `kind` in a few words."""

    start: int
    end: int
    kind: str


class ScanDeadline:
    """When looking for secrets has to be over: after some seconds of the processor, by the one
    thread that makes it and looks. By the clock a machine that stalls would refuse what is short.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at = time.thread_time() + seconds

    def check(self) -> None:
        """Raise `NotPermitted` when it has passed."""
        if time.thread_time() > self._at:
            raise NotPermitted(
                f"Nothing is sent: looking for secrets in it took longer than {self._seconds:g} s.",
                "Ask about less text.",
            )


def find(
    text: str, own: Iterable[Pattern] = (), deadline: ScanDeadline | None = None
) -> list[FoundSecret]:
    """Every secret in `text`, in order, none overlapping another. `own` are the user's patterns.
    Raises `NotPermitted` at the deadline."""
    found = _all(text, own, deadline or NEVER)
    return merged(whole for one in found if (whole := _with_whole_escapes(text, one)))


def _with_whole_escapes(text: str, one: FoundSecret) -> FoundSecret | None:
    """`one` so that it begins and ends with no half of a `\\n` or `\\"`, and what is JSON stays so;
    None where nothing is left."""
    start, end = one.start, one.end
    start -= _backslashes(text, start) % 2
    end -= end < len(text) and _backslashes(text, end) % 2
    return FoundSecret(start, end, one.kind) if start < end else None


def _backslashes(text: str, at: int) -> int:
    """Return the number of backslashes right before `at`, up to 64."""
    before = text[max(0, at - 64) : at]
    return len(before) - len(before.rstrip("\\"))


def merged(found: Iterable[FoundSecret]) -> list[FoundSecret]:
    """`found` in order, with those that overlap made one."""
    kept: list[FoundSecret] = []
    for one in sorted(found, key=lambda f: (f.start, -f.end)):
        if kept and one.start < kept[-1].end:
            if one.end > kept[-1].end:
                kept[-1] = FoundSecret(kept[-1].start, one.end, kept[-1].kind)
        else:
            kept.append(one)
    return kept


NEVER = ScanDeadline(float("inf"))


def _all(text: str, own: Iterable[Pattern], deadline: ScanDeadline) -> Iterator[FoundSecret]:
    for pattern in own:
        for match in pattern.finditer(text):
            deadline.check()
            yield from _found(match.span(1 if pattern.groups else 0), "your pattern")
    # A byte a character, so that offsets are the same in both.
    view = text.encode("ascii", "replace")
    for shape in shapes():
        deadline.check()
        for span in shaped(view, shape):
            deadline.check()
            yield FoundSecret(*span, shape.kind)
    for span in private_keys(view):
        yield FoundSecret(*span, "private key")
    for pattern in _OPTIONS:
        for match in compiled_for_bytes(pattern).finditer(view):
            deadline.check()
            start, end = match.span(1)
            if is_password(text[start:end].rstrip(".,;:")):
                yield FoundSecret(start, end, "secret on a command line")
    for span in assigned(text, view, deadline.check):
        yield from _found(span, "assigned secret")
    for span in pairs(text):
        yield FoundSecret(*span, "assigned secret")


def _found(span: tuple[int, int], kind: str) -> Iterator[FoundSecret]:
    start, end = span
    if 0 <= start < end:
        yield FoundSecret(start, end, kind)
