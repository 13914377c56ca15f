"""Which files the user does not want looked at: git's ignore rules, and our own file beside them.

`.gitignore` counts in every folder from the repository's top (which may lie above the workspace)
down to the file, `.git/info/exclude` and git's global excludes before them; the last rule that
speaks of a path decides, as in git. A nested repository, a submodule or a worktree starts with
rules of its own. `.nearfieldignore` and the settings' patterns are separate sets: what one of them
excludes no `.gitignore` can bring back. An excluded folder is not entered, so nothing below it can
be brought back either, again as in git.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pathspec

GIT_FILE = ".gitignore"
OWN_FILE = ".nearfieldignore"


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one ignore file. `base` is the folder that they are relative to, "" or with '/'
    at its end; for a file above the workspace `way` is the way down, likewise. `source` names the
    file in an explanation."""

    base: str
    source: str
    spec: pathspec.GitIgnoreSpec
    way: str = ""

    def says(self, path: str, folder: bool) -> bool | None:
        """True: excluded; False: brought back; None: no rule speaks of `path`."""
        if not path.startswith(self.base):
            return None
        inner = self.way + path[len(self.base) :]
        return self.spec.check_file(inner + "/" if folder else inner).include


def rules_of(lines: Sequence[str], base: str, source: str) -> Rules | None:
    """Rules from lines; a line that git's syntax does not allow is left out. None: no rule."""
    kept = [line for line in lines if line.strip() and not line.startswith("#") and _valid(line)]
    if not kept:
        return None
    return Rules(base, source, pathspec.GitIgnoreSpec.from_lines(kept))


def read_rules(file: Path, base: str, source: str) -> Rules | None:
    """The rules of a file, None where there is none that can be read."""
    try:
        if not file.is_file():  # a FIFO of that name would block for ever
            return None
        text = file.read_text("utf-8-sig", errors="replace")
    except OSError:
        return None
    return rules_of(text.splitlines(), base, source)


@dataclass(frozen=True, slots=True)
class Chain:
    """The rules in force in one folder: each set from the farthest file to the nearest."""

    git: tuple[Rules, ...] = ()
    own: tuple[Rules, ...] = ()

    def why(self, path: str, folder: bool) -> str:
        """The file that excludes `path` (relative to the workspace), "" when none does."""
        for rules in (self.own, self.git):
            for rule in reversed(rules):
                said = rule.says(path, folder)
                if said is None:
                    continue
                if said:
                    return rule.source
                break
        return ""

    def entered(self, root: Path, folder: str, names: frozenset[str] | set[str]) -> Chain:
        """The chain inside `folder` ("" or "a/b/"), of which `names` are the entries."""
        git, own = self.git, self.own
        if folder and ".git" in names:
            git = repository_rules(root / folder, folder)
        if GIT_FILE in names:
            found = read_rules(root / folder / GIT_FILE, folder, folder + GIT_FILE)
            git = (*git, found) if found else git
        if OWN_FILE in names:
            found = read_rules(root / folder / OWN_FILE, folder, folder + OWN_FILE)
            own = (*own, found) if found else own
        return Chain(git, own)


def chain_above(root: Path, patterns: Sequence[str] = ()) -> Chain:
    """The chain that holds for a workspace before its own files are read: the settings' patterns,
    global excludes, the repository's excludes and the ignore files of the folders above."""
    own = rules_of(patterns, "", "the settings")
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), None)
    if top is None:
        return Chain(_known(_global_rules("")), _known(own))
    above = [folder for folder in (*reversed(root.parents), root) if folder.is_relative_to(top)]
    way = "" if top == root else root.relative_to(top).as_posix() + "/"
    git = [replace(rules, way=way) for rules in repository_rules(top, "")]
    for folder in above[:-1]:
        found = read_rules(folder / GIT_FILE, "", str(folder / GIT_FILE))
        if found is not None:
            git.append(replace(found, way=root.relative_to(folder).as_posix() + "/"))
    return Chain(tuple(git), _known(own))


def repository_rules(top: Path, base: str) -> tuple[Rules, ...]:
    """The rules of a repository that stand in no `.gitignore`: global excludes, `info/exclude`."""
    return _known(_global_rules(base), read_rules(_exclude_file(top), base, ".git/info/exclude"))


def _known(*rules: Rules | None) -> tuple[Rules, ...]:
    return tuple(rule for rule in rules if rule is not None)


def _exclude_file(top: Path) -> Path:
    """`info/exclude` of the repository at `top`; in a submodule or a worktree `.git` is a file that
    names the real folder, and a worktree's names the main repository's."""
    git = top / ".git"
    try:
        if git.is_file():
            named = git.read_text("utf-8", errors="replace").removeprefix("gitdir:").strip()
            git = top / named
            common = git / "commondir"
            if common.is_file():
                git = git / common.read_text("utf-8", errors="replace").strip()
    except OSError:
        pass  # unreadable: then there are no such rules
    return git / "info" / "exclude"


def _global_rules(base: str, environ: Mapping[str, str] | None = None) -> Rules | None:
    """Git's `core.excludesFile`, or the place where git looks when it is not set."""
    environ = os.environ if environ is None else environ
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or "~").expanduser()
    folder = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "git"
    file = folder / "ignore"
    for config in (folder / "config", home / ".gitconfig"):
        named = _excludes_file(config)
        if named:
            file = home / named[2:] if named.startswith("~/") else Path(named)
    return read_rules(file, base, str(file))


def _excludes_file(config: Path) -> str:
    """`core.excludesFile` of one git configuration, "" where it says nothing."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        text = config.read_text("utf-8", errors="replace")
        # Git indents keys, which this parser would take for continued lines.
        parser.read_string("\n".join(line.strip() for line in text.splitlines()))
        return (parser.get("core", "excludesfile", fallback="") or "").strip('" ')
    except (OSError, configparser.Error):
        return ""


def _valid(line: str) -> bool:
    try:
        pathspec.GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True
