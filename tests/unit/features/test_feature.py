"""A failing feature leaves the others right."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from nearfield.config.schema import Config
from nearfield.features.documents import DocumentChange
from nearfield.features.feature import Feature, Features
from nearfield.types import Edit, Span

from .conftest import FakeUser, Start, scripted

HOOKS = ("opened", "changed", "closed", "idle", "activity_changed", "configure", "answered")
FEATURES = (
    "Prefill",
    "TrialFollower",
    "Completer",
    "NextEdits",
    "Acceptance",
    "Recorder",
    "ProvenanceRecorder",
    "Explainer",
    "Reviewer",
    "PromptCache",
    "Knowledge",
    "Consents",
    "ModelLoader",
)


class Spy(Feature):
    """Notes which hooks were called."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def opened(self, snapshot: Any) -> None:
        self.called.append("opened")

    def changed(self, change: DocumentChange) -> None:
        assert change.before is not None
        assert (change.before.text, change.after.text) == ("return ", "return a")
        assert change.edits == [Edit(Span(7, 7), "a")]
        self.called.append("changed")

    def closed(self, uri: str) -> None:
        self.called.append("closed")

    def activity_changed(self) -> None:
        self.called.append("activity_changed")

    def configure(self, config: Any, router: Any) -> None:
        self.called.append("configure")

    async def aclose(self) -> None:
        self.called.append("aclose")


def _broken(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError("injected")


async def test_the_service_has_every_feature_in_its_tuple(start: Start) -> None:
    service = await start(scripted("demo"))
    assert tuple(type(feature).__name__ for feature in service.features) == FEATURES


@pytest.mark.parametrize("name", FEATURES)
async def test_a_fault_in_one_feature_leaves_the_others_right(
    name: str, start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    service = await start(scripted("demo", {"text": "a + b\n"}))
    faulty = next(one for one in service.features if type(one).__name__ == name)
    for hook in HOOKS:
        if hasattr(faulty, hook):
            monkeypatch.setattr(faulty, hook, _broken)
    monkeypatch.setattr(faulty, "aclose", _broken)
    spy = Spy()
    service.features = Features(*service.features, spy)
    person = FakeUser(service, "return |")
    person.type("a")
    service.pause()
    service.resume()
    await service.configure(Config(completion=service.config.completion))
    service.closed(person.uri)
    assert spy.called == [
        "opened",
        "changed",
        "activity_changed",
        "activity_changed",
        "configure",
        "closed",
    ]
    # Whatever is broken, a question about the text of now is answered.
    assert await FakeUser(service, "return a + b|", "b.py").ask() is not None
    await service.aclose()
    assert spy.called[-1] == "aclose"
    failures = [record.getMessage() for record in caplog.records]
    assert failures and all(message.startswith(f"{name}.") for message in failures), failures
    assert not any("injected" in message for message in failures)
