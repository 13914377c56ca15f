"""Answers kept on disk, so that the same question to the same model is not computed twice.

The key is a hash of everything that shaped the answer: the provider, its settings, the model and
the request without its deadline and priority. What holds a secret, in the question or the answer,
is not kept. The file is in the cache directory: losing it costs time, nothing else, so trouble with
it is no error but an answer that is not there.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import msgspec

from nearfield.catalog.disk import cache_dir
from nearfield.config.schema import Cache, Engine, ProviderSettings
from nearfield.routing.answers.store import AnswerStore, AnswersUnusable
from nearfield.routing.guard import has_secrets
from nearfield.types import ChatRequest, Priority

# Raise it when what an answer means changes, and every old one is forgotten.
VERSION = 1
FILE = "answers.db"


class Answers:
    """See the module. Blocks; safe from any thread."""

    def __init__(self, settings: Cache, path: Path | None = None) -> None:
        self._settings = settings
        self._store = AnswerStore(path or cache_dir() / FILE)

    def key(
        self, name: str, model: str, settings: ProviderSettings | Engine, request: ChatRequest
    ) -> str:
        """The hash under which the answer to `request` is kept."""
        bare = replace(request, deadline=None, priority=Priority.CHAT, session="")
        shaped = msgspec.json.encode([VERSION, name, model, settings, bare], order="deterministic")
        return hashlib.sha256(shaped).hexdigest()

    def get(self, key: str) -> str | None:
        """The kept answer, None when there is none or it is too old."""
        if not self._settings.enabled:
            return None
        try:
            return self._store.get(key, self._settings.max_age_hours * 3600)
        except AnswersUnusable:
            return None

    def put(self, key: str, request: ChatRequest, text: str) -> bool:
        """Keep `text`; says whether it was kept."""
        if not self._settings.enabled:
            return False
        if has_secrets([text, *(message.content for message in request.messages)]):
            return False
        try:
            self._store.put(key, text, self._settings.max_mb * 1024 * 1024)
        except AnswersUnusable:
            return False
        return True

    def close(self) -> None:
        """Close the file."""
        self._store.close()
