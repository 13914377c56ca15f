"""Decide whether a path of a workspace is excluded, and name the rule.

The index, the guard before the cloud, chat functions and actions all use this one answer.

`.gitignore` counts in every folder from the repository's top (which may lie above the workspace)
down to the path, after `.git/info/exclude` and git's global excludes. The last rule that matches a
path decides, as in git. A nested repository, a submodule or a worktree starts with rules of its
own. `.nearfieldignore` and the settings' patterns are separate sets: no `.gitignore` can bring back
what one of them excludes. Nor can the content of an excluded folder be brought back, even if the
workspace itself lies in one. Names of keys are excluded in any case.

A rule file that exists and cannot be read excludes everything under it, as its rules are unknown,
and the answer names the file.
"""

from __future__ import annotations

import codecs
import errno
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

from nearfield.files.git_config import UnreadableConfig, repository_at, settings_of
from nearfield.files.links import real_inside
from nearfield.files.patterns import Patterns, as_bytes
from nearfield.files.read import UnreadableFile, read_regular, reason
from nearfield.files.secret_names import SECRET_FILES
from nearfield.files.stamped import Stamped

GIT_FILE = ".gitignore"
OWN_FILE = ".nearfieldignore"
RULE_FILES = frozenset({GIT_FILE, OWN_FILE})
MAX_RULE_BYTES = 256_000
"""Size of one rule file. The longest of github.com/github/gitignore has 8,000."""
MAX_BYTES_IN_FORCE = 1_000_000
"""Total size of the rule files that count in one folder."""
MAX_WILDCARDS_IN_FORCE = 30_000
"""Bytes of patterns that must be tried one by one, of all rule files that count in one folder: they
are what a match costs, at worst some ms for one name. A name alone, a path alone and `*` with
an ending count nothing."""

EXCLUDED_BY = "excluded by "
UNREADABLE = ", which cannot be read"
Kind = Literal["ignored", "settings", "keys", "unreadable", "outside"]


@dataclass(frozen=True, slots=True)
class Ruling:
    """Reason why a path is excluded. `source` is the file with the rule, relative to the workspace
    if it is inside. `pattern` is the rule; `problem` says what is wrong with the file, as in "is no
    text".
    """

    kind: Kind
    source: str = ""
    pattern: str = ""
    problem: str = ""

    @property
    def reason(self) -> str:
        """Return the reason as lists of files show it."""
        if self.kind == "keys":
            return "secret-looking"
        if self.kind == "outside":
            return "a link"
        if self.kind == "unreadable":
            return f"{EXCLUDED_BY}{_clean(self.source)}{UNREADABLE} (it {self.problem})"
        return f"{EXCLUDED_BY}{_clean(self.source)}"

    @property
    def sentence(self) -> str:
        """The reason as a clause that can follow "it may not leave"."""
        if self.kind == "keys":
            return "its name says that it holds keys"
        if self.kind == "outside":
            return "it leads out of the workspace by a link"
        if self.kind == "settings":
            return "your settings withhold it"
        if self.kind == "unreadable":
            source = _clean(self.source)
            return f"{source} cannot be read (it {self.problem}), so its rules are not known"
        return f"{_clean(self.source)} ignores it"


class RuleFile:
    """The patterns of a rule file of `size` bytes."""

    def __init__(self, lines: Iterable[bytes], size: int) -> None:
        self.bytes = size
        self._lines = tuple(lines)
        self.exact = Patterns(self._lines)

    @cached_property
    def folded(self) -> Patterns:
        """The same, letter case ignored."""
        return Patterns(self._lines, fold=True)


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules of one file where they count: under `base`, "" or a path with '/' at its end."""

    base: bytes
    source: str
    file: RuleFile
    fold: bool = False

    def says(self, path: bytes, *, folder: bool, any_case: bool) -> tuple[bool, bytes] | None:
        """Return whether `path` is ignored and the pattern, None where no rule speaks of it."""
        if not path.startswith(self.base):
            return None
        patterns = self.file.folded if any_case or self.fold else self.file.exact
        line = patterns.match(path[len(self.base) :], folder=folder)
        return None if line is None else (not line.negated, line.text)


@dataclass(frozen=True, slots=True)
class RuleChain:
    """The rules in force in one folder, each set from the farthest file to the nearest.

    Paths are relative to the workspace; `way` leads to that from `top`, the folder of the first
    rules. `closed` is why nothing under the folder counts, whatever its name.
    """

    root: Path
    top: Path
    way: str
    git: tuple[_Rules, ...] = ()
    own: tuple[_Rules, ...] = ()
    fold: bool = False
    closed: Ruling | None = None

    def why(self, path: str, *, folder: bool, any_case: bool = False) -> Ruling | None:
        """Return why `path`, an entry of this chain's folder, is left alone; None: it is not."""
        if self.closed is not None:
            return self.closed
        return self.ruled(as_bytes(self.way + path), folder=folder, any_case=any_case)

    def ruled(self, raw: bytes, *, folder: bool, any_case: bool = False) -> Ruling | None:
        """Return what the rules say of a path that is relative to `top`."""
        for rules in (self.own, self.git):
            for one in reversed(rules):
                said = one.says(raw, folder=folder, any_case=any_case)
                if said is None:
                    continue
                if said[0]:
                    kind = "settings" if one.source == SETTINGS else "ignored"
                    return Ruling(kind, one.source, _printable(said[1]))
                break
        return None

    def entered(self, folder: str, names: Collection[str] | None = None) -> RuleChain:
        """Return the chain inside `folder` ("" or "a/b/", of the workspace). `names` are its
        entries, as far as they are known; without them it is looked which rule files there are."""
        if self.closed is not None:
            return self
        return self.below(self.root / folder, self.way + folder, folder, names)

    def below(
        self, at: Path, base: str, shown: str, names: Collection[str] | None = None
    ) -> RuleChain:
        """Return the chain inside the folder `at`, which is `base` from `top` and `shown` in
        messages."""
        chain = self
        if base and (names is None or ".git" in names):
            chain = chain.in_repository(at, base)
        for name in (GIT_FILE, OWN_FILE):
            if names is None or name in names:
                chain = chain.with_file(at / name, base, shown + name, inside=True)
        return chain

    def in_repository(self, at: Path, base: str) -> RuleChain:
        """Return the chain for a repository at `at`, which starts with rules of its own, if there
        is one.
        """
        if repository_at(at) is None:
            return self
        return replace(self, git=()).with_excludes(at, base)

    def with_excludes(self, at: Path, base: str) -> RuleChain:
        """Return the chain with the rules outside `.gitignore` files: git's global excludes, and
        the excludes of the repository at `at`, if there is one.
        """
        repository = repository_at(at)
        try:
            settings = settings_of(repository, os.environ)
        except UnreadableConfig as error:
            return self._closed_by(self._shown(error.file), _problem(error, error.file))
        chain = replace(self, fold=settings.fold).with_file(
            settings.excludes, base, str(settings.excludes)
        )
        if repository is None:
            return chain
        exclude = repository.common / "info" / "exclude"
        return chain.with_file(exclude, base, self._shown(exclude))

    def with_file(self, file: Path, base: str, shown: str, *, inside: bool = False) -> RuleChain:
        """Return the chain with the rules of one file, if there is one. With `inside` it may not be
        a link out of the folder of the first rules: git follows none."""
        if self.closed is not None:
            return self
        try:
            found = read_rules(file, self.top if inside else None)
        except UnreadableFile as error:
            return self._closed_by(shown, _problem(error, file))
        if found is None or not found.exact:
            return self
        rules = _Rules(as_bytes(base), shown, found, self.fold and file.name != OWN_FILE)
        if file.name == OWN_FILE:
            chain = replace(self, own=(*self.own, rules))
        else:
            chain = replace(self, git=(*self.git, rules))
        in_force = [one.file for one in (*chain.own, *chain.git)]
        if sum(one.exact.wildcard_bytes for one in in_force) > MAX_WILDCARDS_IN_FORCE:
            return self._closed_by(shown, "has too many wildcards")
        if sum(one.bytes for one in in_force) > MAX_BYTES_IN_FORCE:
            return self._closed_by(shown, "and those above it are too large")
        return chain

    def _closed_by(self, source: str, problem: str) -> RuleChain:
        return replace(self, closed=Ruling("unreadable", source, problem=problem))

    def _shown(self, file: Path) -> str:
        if file.is_relative_to(self.root):
            return file.relative_to(self.root).as_posix()
        return os.path.normpath(file)


SETTINGS = "the settings"


class IgnoreRules:
    """The answer for one workspace folder, under the settings' `patterns`.

    Rule files are read when they are needed and kept until they change, so that an answer is of
    now. Threads may share it.
    """

    def __init__(self, root: str | Path, patterns: Sequence[str] | SettingsRules = ()) -> None:
        self.root = Path(os.path.realpath(root))
        known = isinstance(patterns, SettingsRules)
        self._settings = patterns if known else SettingsRules(patterns)

    def why(self, path: str, *, folder: bool = False, any_case: bool = False) -> Ruling | None:
        """Return why `path` (relative, with '/') is left alone, None when it is not.

        It need not exist. With `any_case`, also when a rule speaks of it in other letter case: on
        some disks that is the same file.
        """
        chain = self.chain()
        above = ""
        for step, is_folder in _steps(path, folder=folder):
            chain = chain.entered(above)
            ruling = chain.why(step, folder=is_folder) or named_as_keys(step, folder=is_folder)
            if ruling is None and any_case:
                ruling = chain.why(step, folder=is_folder, any_case=True)
            if ruling is not None:
                return ruling
            above = step + "/"
        return None

    def chain(self) -> RuleChain:
        """Return what is in force before the workspace's own files are read: the settings'
        patterns, and what the repository says above the workspace."""
        folders = (self.root, *self.root.parents)
        top = next((one for one in folders if repository_at(one) is not None), self.root)
        steps = self.root.relative_to(top).parts
        way = "".join(f"{step}/" for step in steps)
        chain = RuleChain(self.root, top, way)
        if self._settings.problem:
            return replace(
                chain, closed=Ruling("unreadable", SETTINGS, problem=self._settings.problem)
            )
        if self._settings:
            chain = replace(chain, own=(_Rules(as_bytes(way), SETTINGS, self._settings.file),))
        chain = chain.with_excludes(top, "")
        at, base = top, ""
        for step in steps:
            chain = chain.below(at, base, f"{at}{os.sep}")
            if chain.closed is not None:
                return chain
            if ruling := chain.ruled(as_bytes(base + step), folder=True):
                return replace(chain, closed=ruling)
            at, base = at / step, f"{base}{step}/"
        return chain


def _problem(error: UnreadableFile, file: Path) -> str:
    """Return an error of reading as a clause without its subject."""
    return error.message.removeprefix(f"{file.name} ").rstrip(".")


def read_rules(file: Path, within: Path | None = None) -> RuleFile | None:
    """Return the rules of a file, None where there is none. Raises `UnreadableFile`.

    A folder of that name holds no rules, for git neither. With `within`, a link may not lead out of
    that folder.
    """
    try:
        mode = os.lstat(file).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise UnreadableFile(f"cannot be read: {reason(error)}") from error
    # The device is how people say "none".
    if os.path.isdir(file) or os.path.realpath(file) == os.devnull:  # noqa: PTH112 - does not raise
        return None
    if within is not None and stat.S_ISLNK(mode) and real_inside(file, within) is None:
        raise UnreadableFile("is a link to elsewhere")
    found = _rule_files.get(file, partial(_read_rules, file))
    if found is None:
        raise UnreadableFile("is a link that leads nowhere")
    return found


_rule_files: Stamped[RuleFile] = Stamped(most=256)


def _read_rules(file: Path) -> RuleFile:
    content = read_regular(file, MAX_RULE_BYTES)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        # Git would not read these, but their author meant them, as with PowerShell's `>`.
        try:
            content = content.decode("utf-16").encode()
        except UnicodeError as error:
            raise UnreadableFile("is no text") from error
    if b"\0" in content:
        raise UnreadableFile("is no text")
    return RuleFile(lines_of(content), len(content))


def lines_of(content: bytes) -> Iterator[bytes]:
    """Yield the patterns of a rule file, without comments, line ends and trailing spaces, as git
    reads them."""
    for line in content.removeprefix(codecs.BOM_UTF8).split(b"\n"):
        if pattern := _pattern(line.removesuffix(b"\r")):
            yield pattern


def _pattern(line: bytes) -> bytes:
    """Return the pattern on a line, empty for none."""
    return b"" if line.startswith(b"#") else _without_trailing_spaces(line)


def _without_trailing_spaces(line: bytes) -> bytes:
    kept = line.rstrip(b" ")
    if kept == line:
        return line
    slashes = len(kept) - len(kept.rstrip(b"\\"))
    # An odd number of backslashes: the last one escapes the first of the spaces.
    return line[: len(kept) + slashes % 2]


class SettingsRules:
    """The settings' patterns alone."""

    def __init__(self, patterns: Sequence[str]) -> None:
        # One by one: what a repository adds must not become two patterns by a line end in it.
        lines = [pattern for one in patterns if (pattern := _pattern(as_bytes(one.lstrip())))]
        size = sum(map(len, lines))
        self.problem = ""
        if size > MAX_RULE_BYTES:
            self.problem, lines = "holds too many patterns", []
        self.file = RuleFile(lines, size)
        if self.file.exact.wildcard_bytes > MAX_WILDCARDS_IN_FORCE:
            self.problem = "has too many wildcards"

    def __bool__(self) -> bool:
        return bool(self.file.exact or self.problem)

    def match(self, path: str) -> bool:
        """Tell whether the file at `path`, with '/', or a folder above it is excluded. Everything
        is where there is a `problem`."""
        if self.problem:
            return True
        return any(
            line is not None and not line.negated
            for step, folder in _steps(path)
            for line in (self.file.exact.match(as_bytes(step), folder=folder),)
        )

    @property
    def invalid(self) -> list[str]:
        """The patterns that match nothing, since git could not read them."""
        return [_printable(line) for line in self.file.exact.invalid()]


def _steps(path: str, *, folder: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield the folders above `path` from the farthest, and `path`; each with whether it is one."""
    at = path.find("/")
    while at >= 0:
        yield path[:at], True
        at = path.find("/", at + 1)
    yield path, folder


_SECRET = Patterns(map(as_bytes, SECRET_FILES))


def named_as_keys(path: str, *, folder: bool = False) -> Ruling | None:
    """Return a ruling when the name of `path` says that it holds keys; folders above it are the
    caller's to ask about. Letter case does not matter: to a person it is the same name."""
    line = _SECRET.match(as_bytes(path.lower()), folder=folder)
    return None if line is None or line.negated else Ruling("keys")


def holds_keys(path: str) -> bool:
    """Tell whether the name of the file at `path`, or of a folder above it, says that it does."""
    path = path.replace("\\", "/").strip("/")
    return any(named_as_keys(step, folder=folder) for step, folder in _steps(path))


def _printable(raw: bytes) -> str:
    return _clean(raw.decode("utf-8", "replace"))[:80]


def _clean(text: str) -> str:
    """Return a name from a repository as a message may hold it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
