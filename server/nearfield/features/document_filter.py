"""Filter of the documents that Nearfield works on, by the settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.errors import NearfieldError
from nearfield.files.ignore import SettingsRules
from nearfield.routing.pause import UserPause
from nearfield.routing.router import Router, built
from nearfield.types import Reason, Snapshot

_WORDS = {Reason.TOO_BIG: "too large", Reason.EXCLUDED: "excluded by the settings"}


@dataclass(slots=True)
class _FolderRules:
    """The settings of one folder, compiled."""

    enabled: bool
    languages: frozenset[str]
    max_bytes: int
    excluded: SettingsRules

    @classmethod
    def of(cls, config: Config) -> _FolderRules:
        return cls(
            config.completion.enabled,
            frozenset(name.lower() for name in config.completion.disabled_languages),
            config.files.max_bytes,
            SettingsRules(config.files.exclude),
        )


class DocumentFilter:
    """`completion.enabled`, `completion.disabled_languages` and `[files]`, by folder."""

    def __init__(self, config: Config | FolderConfigs) -> None:
        self._configs = FolderConfigs.over(config)
        self._rules: dict[str, _FolderRules] = {}
        self._verdicts: dict[tuple[str, str | None], bool] = {}

    def reason(self, snapshot: Snapshot) -> Reason:
        """Return why `snapshot` gets no completion, `SHOWN` where it does."""
        rules = self._of(snapshot)
        if not rules.enabled:
            return Reason.DISABLED
        if snapshot.language.lower() in rules.languages:
            return Reason.LANGUAGE
        return self.kept_out(snapshot)

    def kept_out(self, snapshot: Snapshot) -> Reason:
        """Return why no part of `snapshot` enters any prompt, `SHOWN` where it may."""
        if _is_longer(snapshot.text, self._of(snapshot).max_bytes):
            return Reason.TOO_BIG
        return Reason.EXCLUDED if self._is_excluded(snapshot) else Reason.SHOWN

    def left_out(self, snapshot: Snapshot) -> str:
        """The same in words that follow "is", "" for nothing."""
        return _WORDS.get(self.kept_out(snapshot), "")

    def require(self, snapshot: Snapshot, router: Router | None, pause: UserPause) -> Router:
        """The router, when a model may be asked about `snapshot` now. Raises `NotReady` where that
        is so in a while, and `NearfieldError` where the settings keep the file out."""
        pause.check()
        if why := self.left_out(snapshot):
            raise NearfieldError(f"The file is {why}.", "See files.exclude and files.max_bytes.")
        return built(router)

    def _of(self, snapshot: Snapshot) -> _FolderRules:
        root = snapshot.root or ""
        if root not in self._rules:
            self._rules[root] = _FolderRules.of(self._configs.of(root))
        return self._rules[root]

    def _is_excluded(self, snapshot: Snapshot) -> bool:
        if not snapshot.path:
            return False
        key = (snapshot.path, snapshot.root)
        if key not in self._verdicts:
            excluded = self._of(snapshot).excluded
            self._verdicts[key] = bool(excluded) and excluded.match(_relative(*key))
        return self._verdicts[key]


def _relative(path: str, root: str | None) -> str:
    """`path` as patterns see it: from the workspace folder, else without the drive or root."""
    absolute = Path(path)
    if root and absolute.is_relative_to(root):
        return absolute.relative_to(root).as_posix()
    return absolute.relative_to(absolute.anchor).as_posix()


def _is_longer(text: str, most: int) -> bool:
    """Return whether `text` is longer than `most` bytes of UTF-8; encodes only when it must."""
    if len(text) > most:
        return True
    if text.isascii() or len(text) * 4 <= most:
        return False
    return len(text.encode("utf-8", "surrogatepass")) > most
