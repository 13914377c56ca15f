"""What a folder restricts of the routing holds for its requests and for no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config, Privacy, Routing
from nearfield.errors import NotPermitted
from nearfield.routing.consent import Consent
from nearfield.routing.guard import Guard, Remote
from nearfield.routing.request_context import RequestContext, Source
from nearfield.routing.store import Store
from nearfield.types import ChatRequest, Message, Role

FAR = Remote("far", "m", "https://far.example/v1", "https://far.example/v1")
REQUEST = ChatRequest((Message(Role.USER, "a question about plans.md"),))


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    """A user who allows a cloud everywhere, and two folders that restrict that."""
    user = Config(routing=Routing(strategy="local_first"))
    local = Config(routing=Routing(strategy="local_only"))
    withholding = Config(routing=user.routing, privacy=Privacy(withhold=["plans.md"]))
    store = Store(tmp_path / "ledger.db")
    for folder in ("/free", "/local", "/withholding"):
        store.say(folder, "far", FAR.destination, Consent.WORKSPACE)
    return Guard(FolderConfigs(user, {"/local": local, "/withholding": withholding}), store)


@pytest.mark.parametrize(
    ("folder", "refusal"),
    [("/free", ""), ("/local", "local_only"), ("/withholding", "plans.md may not leave")],
)
def test_each_folder_is_routed_by_its_own_settings(guard: Guard, folder: str, refusal: str) -> None:
    context = RequestContext(
        workspace=folder, sources=(Source(f"{folder}/plans.md", text="not in it"),)
    )
    if not refusal:
        assert guard.admit(FAR, REQUEST, context).request == REQUEST
        return
    with pytest.raises(NotPermitted, match=refusal):
        guard.admit(FAR, REQUEST, context)
