"""Diagnostics of other language servers, as a client has passed them on, and what is known of such
servers by these."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nearfield.types import Span

OWN_SOURCE = "nearfield review"
"""The source of the diagnostics that this server publishes."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A problem that another server reports. `source` names that server, `code` its rule ("" for
    unknown); `severity` is "error", "warning", "information" or "hint"."""

    span: Span
    message: str
    source: str = ""
    code: str = ""
    severity: str = "error"


class LanguageServers:
    """The languages for which another server is at work: it has reported a problem, or the client
    says so."""

    def __init__(self) -> None:
        self._languages: set[str] = set()

    def add(self, languages: Iterable[str]) -> None:
        """Note the languages that the client names."""
        self._languages.update(languages)

    def note(self, language: str, problems: Iterable[Diagnostic]) -> None:
        """Note who reports `problems` in a document of `language`."""
        if any(problem.source != OWN_SOURCE for problem in problems):
            self._languages.add(language)

    def serve(self, language: str) -> bool:
        """Return whether another server is at work for `language`."""
        return language in self._languages
