"""Match paths against git's ignore patterns, in time linear in the pattern times the path.

The rules are those of git's `dir.c` and `wildmatch.c`: `?` is one byte, classes know ASCII alone,
and a pattern that git cannot read never matches. Patterns come from untrusted repositories, so
nothing here backtracks. `*` matches the shortest text before the next piece of the pattern, and
`**` the fewest folders. A longer one never helps, since the next `*` or `**` can take the
difference.

Most lines of real ignore files are a name, a path or `*` with an ending. Those are looked up; only
real wildcards are tried one by one, from the last line upwards until one matches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

_TRYING = 16
"""Fixed cost of trying a pattern, in bytes of its text."""
_SPECIAL = re.compile(rb"[*?\[\\]")
_STAR, _QUESTION, _OPEN, _ESCAPE, _SLASH = b"*?[\\/"
_CLOSE, _DASH, _COLON = b"]-:"

_ALL = frozenset(range(1, 256)) - {_SLASH}
_UPPER, _LOWER = frozenset(range(65, 91)), frozenset(range(97, 123))
_DIGITS = frozenset(range(48, 58))
_GRAPH = frozenset(range(33, 127))
_LETTERS = _UPPER | _LOWER
# Git brings its own <ctype.h>, where white space is these four whatever the locale.
_BYTES_OF_CLASS = {
    b"alnum": _LETTERS | _DIGITS,
    b"alpha": _LETTERS,
    b"blank": frozenset(b" \t"),
    b"cntrl": frozenset(range(32)) | {127},
    b"digit": _DIGITS,
    b"graph": _GRAPH,
    b"lower": _LOWER,
    b"print": _GRAPH | {32},
    b"punct": _GRAPH - _LETTERS - _DIGITS,
    b"space": frozenset(b" \t\n\r"),
    b"upper": _UPPER,
    b"xdigit": _DIGITS | frozenset(b"abcdefABCDEF"),
}


class _Invalid(Exception):
    """Git matches nothing with this pattern."""


def as_bytes(text: str) -> bytes:
    """Return the bytes that git would see for a path or a line."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate without a byte
        return text.encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class PatternLine:
    """A pattern as it was written, and whether it brings back (`!`) instead of ignoring."""

    text: bytes
    negated: bool


class Patterns:
    """The patterns of one ignore file; the last one that matches a path decides.

    With `fold`, ASCII letters match in either case, as git does where `core.ignoreCase` is set.
    `wildcard_bytes` is what a match costs for each byte of a path, at worst, and as many again for
    each pattern as trying it takes.
    """

    __slots__ = ("_any", "_folders", "_lines", "fold", "wildcard_bytes")

    def __init__(self, lines: Iterable[bytes], *, fold: bool = False) -> None:
        self.fold = fold
        self.wildcard_bytes = 0
        self._lines: list[PatternLine] = []
        self._any, self._folders = _PatternTable(), _PatternTable()
        for line in lines:
            self._add(line)

    def __bool__(self) -> bool:
        return bool(self._lines)

    def match(self, path: bytes, *, folder: bool) -> PatternLine | None:
        """Return the line that decides about `path`, None when none speaks of it.

        `path` is relative to the folder of the ignore file, with '/'. Folders above it are the
        caller's to ask about: below an ignored folder nothing can be brought back.
        """
        if not self._lines:
            return None
        if self.fold:
            path = path.lower()
        name = path.rpartition(b"/")[2]
        best = self._any.best(path, name, -1)
        if folder:
            best = self._folders.best(path, name, best)
        return self._lines[best] if best >= 0 else None

    def _add(self, text: bytes) -> None:
        negated = text.startswith(b"!")
        body = text[1:] if negated else text
        table = self._any
        if body.endswith(b"/"):
            body, table = body[:-1], self._folders
        if self.fold:
            body = body.lower()
        if not body:
            return
        self.wildcard_bytes += table.add(body, len(self._lines), self.fold)
        self._lines.append(PatternLine(text, negated))

    def invalid(self) -> list[bytes]:
        """Return the patterns that match nothing because git cannot read them."""
        globs = [*self._any.globs(), *self._folders.globs()]
        return [self._lines[number].text for number, glob in globs if glob.form is None]


class _PatternTable:
    """Patterns by form, each with its line's number. Later lines overwrite earlier ones."""

    def __init__(self) -> None:
        self._everything = -1
        self._names: dict[bytes, int] = {}
        self._paths: dict[bytes, int] = {}
        self._endings: dict[int, dict[bytes, int]] = {}
        self._name_globs: list[tuple[int, _NameGlob]] = []
        self._path_globs: list[tuple[int, _PathGlob]] = []

    def add(self, body: bytes, number: int, fold: bool) -> int:
        """Return how many bytes of wildcards that adds."""
        if b"/" not in body:
            special = _SPECIAL.search(body)
            if special is None:
                self._names[body] = number
            elif body == b"*":
                self._everything = number
            elif body[0] == _STAR and not _SPECIAL.search(body, 1):
                self._endings.setdefault(len(body) - 1, {})[body[1:]] = number
            else:
                self._name_globs.append((number, _NameGlob(body, fold)))
                return len(body) + _TRYING
            return 0
        body = body.removeprefix(b"/")
        special = _SPECIAL.search(body)
        if special is None:
            self._paths[body] = number
            return 0
        self._path_globs.append((number, _PathGlob(body, special.start(), fold)))
        return len(body) + _TRYING

    def best(self, path: bytes, name: bytes, best: int) -> int:
        """Return the number of the last line that matches, `best` unless that is later."""
        best = max(best, self._everything, self._names.get(name, -1), self._paths.get(path, -1))
        for length, found in self._endings.items():
            number = found.get(name[-length:], -1)
            if number > best:
                best = number
        if self._name_globs and self._name_globs[-1][0] > best and self._some_glob(name):
            best = _last(self._name_globs, name, best)
        return _last(self._path_globs, path, best)

    @cached_property
    def _some_glob(self) -> Callable[[bytes], object]:
        """Return a test of whether any of the globs for names matches: mostly none does, which is
        known at once.
        """
        forms = [glob.form for _, glob in self._name_globs if glob.form is not None]
        joined = b"|".join(
            re.escape(form) if isinstance(form, bytes) else b"(?:%b)" % form.pattern
            for form in forms
        )
        flags = re.DOTALL | (re.IGNORECASE if any(g.fold for _, g in self._name_globs) else 0)
        return re.compile(joined or b"(?!)", flags).fullmatch

    def globs(self) -> Iterator[tuple[int, _NameGlob | _PathGlob]]:
        """Yield all that must be tried."""
        yield from self._name_globs
        yield from self._path_globs


def _last(globs: Sequence[tuple[int, _NameGlob | _PathGlob]], text: bytes, best: int) -> int:
    """Return the number of the last glob that matches, `best` unless that is later."""
    for number, glob in reversed(globs):
        if number <= best:
            break
        if glob.matches(text):
            return number
    return best


class _NameGlob:
    """A pattern without '/', for the last part of a path. It is understood when first tried."""

    def __init__(self, body: bytes, fold: bool) -> None:
        self._body, self.fold = body, fold

    @cached_property
    def form(self) -> _Matcher | None:
        try:
            return _part(list(_tokens(self._body, path=False)), self.fold)
        except _Invalid:
            return None

    def matches(self, name: bytes) -> bool:
        return self.form is not None and _fits(self.form, name)


class TextGlob:
    """A glob for a whole text, in which '/' is a letter like any other."""

    def __init__(self, glob: str) -> None:
        self._glob = _NameGlob(as_bytes(glob), fold=False)

    def matches(self, text: str) -> bool:
        """Tell whether all of `text` matches; a glob that git could not read matches nothing."""
        return self._glob.matches(as_bytes(text))


class _PathGlob:
    """A pattern with '/', for a whole path: parts in groups, with a `**` between the groups.

    Git compares the text before the first wildcard literally and starts matching after it, so that
    `a**/b` is `a` and then `**/b`.
    """

    def __init__(self, body: bytes, literal: int, fold: bool) -> None:
        self._prefix, self._rest, self._fold = body[:literal], body[literal:], fold

    @cached_property
    def form(self) -> tuple[list[list[_Matcher]], bool] | None:
        """The groups, and whether anything may follow the last one."""
        open_end = False
        groups: list[list[list[_Token]]] = [[[]]]
        try:
            for token in _tokens(self._rest, path=True):
                if token is _Mark.SLASH:
                    groups[-1].append([])
                elif token is _Mark.FOLDERS:
                    groups[-1].pop()
                    groups.append([[]])
                elif token is _Mark.REST:
                    groups[-1].pop()
                    open_end = True
                else:
                    groups[-1][-1].append(token)
            return [[_part(part, self._fold) for part in group] for group in groups], open_end
        except _Invalid:
            return None

    def matches(self, path: bytes) -> bool:
        if not path.startswith(self._prefix) or self.form is None:
            return False
        parts = path[len(self._prefix) :].split(b"/")
        (first, *others), open_end = self.form
        if not _stand(first, parts, 0):
            return False
        at = len(first)
        last = others.pop() if others and not open_end else None
        for group in others:
            while not _stand(group, parts, at):
                at += 1
                if at + len(group) > len(parts):
                    return False
            at += len(group)
        if open_end:
            return at < len(parts)
        if last is None:
            return at == len(parts)
        return at + len(last) <= len(parts) and _stand(last, parts, len(parts) - len(last))


_Matcher = bytes | re.Pattern[bytes]
"""For one part of a path: that very text, or what the expression matches as a whole."""
_ANYTHING = re.compile(rb".*+", re.DOTALL)


def _stand(group: list[_Matcher], parts: list[bytes], at: int) -> bool:
    """Tell whether `parts` match `group` from `at` on."""
    if at + len(group) > len(parts):
        return False
    for matcher in group:
        if not _fits(matcher, parts[at]):
            return False
        at += 1
    return True


def _fits(matcher: _Matcher, part: bytes) -> bool:
    if matcher is _ANYTHING:
        return True
    return part == matcher if isinstance(matcher, bytes) else bool(matcher.fullmatch(part))


# --- reading a pattern ---


class _Mark(Enum):
    """Elements of a pattern besides bytes and classes."""

    STAR = 0
    SLASH = 1
    FOLDERS = 2  # `**/`: any number of folders, also none
    REST = 3  # `**` at the end: whatever follows


_Token = _Mark | int | frozenset[int]
"""An `int` is one byte, a set is any one of its bytes."""


def _tokens(body: bytes, *, path: bool) -> Iterator[_Token]:
    """Yield what `body` is made of. Raises `_Invalid`."""
    at, end = 0, len(body)
    while at < end:
        byte = body[at]
        if byte == _STAR:
            start = at
            while at < end and body[at] == _STAR:
                at += 1
            alone = path and at - start > 1 and (start == 0 or body[start - 1] == _SLASH)
            if alone and at == end:
                yield _Mark.REST
            elif alone and body[at] == _SLASH:
                yield _Mark.FOLDERS
                at += 1
            elif alone and body.startswith(b"\\/", at):
                # Git takes no shortcut here, so that there must be a folder.
                yield from (_Mark.FOLDERS, _Mark.STAR, _Mark.SLASH)
                at += 2
            else:
                yield _Mark.STAR
        elif byte == _OPEN:
            one_of, at = _class(body, at + 1)
            yield one_of
        elif byte == _QUESTION:
            yield _ALL
            at += 1
        else:
            if byte == _ESCAPE:
                at += 1
                if at == end:
                    raise _Invalid
                byte = body[at]
            yield _Mark.SLASH if path and byte == _SLASH else byte
            at += 1


def _class(body: bytes, at: int) -> tuple[frozenset[int], int]:
    """Return the bytes of the class whose inside begins at `at`, and where it ends."""
    body += b"\0"  # git's own end of a text; no class holds it
    negated = body[at] in b"!^"
    at += negated
    found: set[int] = set()
    before = 0
    first = True
    while first or body[at] != _CLOSE:
        first = False
        byte = body[at]
        if not byte:
            raise _Invalid
        if byte == _DASH and before and body[at + 1] and body[at + 1] != _CLOSE:
            at += 1
            if body[at] == _ESCAPE:
                at += 1
            if not body[at]:
                raise _Invalid
            found.update(range(before, body[at] + 1))
            byte = 0  # the end of one range is not the start of another
        elif byte == _OPEN and body[at + 1] == _COLON:
            close = body.find(b"]", at + 2)
            if close < 0:
                raise _Invalid
            if close - at - 3 >= 0 and body[close - 1] == _COLON:
                named = _BYTES_OF_CLASS.get(body[at + 2 : close - 1])
                if named is None:
                    raise _Invalid
                found |= named
                byte, at = 0, close
            else:
                found.add(byte)
        else:
            if byte == _ESCAPE:
                at += 1
                byte = body[at]
                if not byte:
                    raise _Invalid
            found.add(byte)
        before = byte
        at += 1
    one_of = (_ALL - found) if negated else (_ALL & found)
    if not one_of:
        raise _Invalid
    return frozenset(one_of), at + 1


# --- one part of a path ---


def _part(tokens: list[_Token], fold: bool) -> _Matcher:
    """Return what matches the text between two '/'."""
    pieces: list[list[_Token]] = [[]]
    for token in tokens:
        if token is _Mark.STAR:
            pieces.append([])
        else:
            pieces[-1].append(token)
    if len(pieces) == 1 and all(isinstance(token, int) for token in tokens):
        return bytes(token for token in tokens if isinstance(token, int))
    if not any(pieces):
        return _ANYTHING
    flags = re.DOTALL | (re.IGNORECASE if fold else 0)
    return re.compile(b"".join(_linear(pieces)), flags)


def _linear(pieces: list[list[_Token]]) -> Iterator[bytes]:
    """Yield an expression for pieces with a `*` between them that never backtracks."""
    first, *others = pieces
    yield b"".join(map(_one, first))
    if not others:
        return
    *middle, last = others
    for piece in middle:
        yield b"(?>.*?" + b"".join(map(_one, piece)) + b")"
    # The last piece is at the very end, after all others.
    yield b"(?=.{%d}).*+(?<=%b)" % (len(last), b"".join(map(_one, last))) if last else b".*+"


def _one(token: _Token) -> bytes:
    """Return an expression for one byte."""
    if isinstance(token, int):
        return b"\\x%02x" % token
    assert isinstance(token, frozenset)  # noqa: S101 - marks have been taken out
    if token == _ALL:
        return b"."
    return b"[" + b"".join(b"\\x%02x" % byte for byte in sorted(token)) + b"]"
