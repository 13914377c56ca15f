"""Edit prompts on their way out: the role, consent, secrets, withheld files, the ledger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.routing.conftest import Make, Remote

from nearfield.config.schema import ProviderSettings
from nearfield.errors import NearfieldError
from nearfield.providers.scripted import Scripted
from nearfield.routing.redact import redact_edit
from nearfield.routing.request_context import RequestContext, Source
from nearfield.routing.store import EntryFilter, Store
from nearfield.types import Delta, EditForm, EditRequest, Segment

SECRET = "Falcon!" + "7tQz9wRk3"
MERCURY = {"edit_form": "mercury", "answers": [{"text": "answer"}]}
CLOUD = {"routing": {"strategy": "cloud_only"}, "privacy": {"keep_sent": True}}


def request(text: str, path: str = "a.py", form: EditForm = EditForm.MERCURY) -> EditRequest:
    """A prompt of one message."""
    return EditRequest(form, "d", path, (Segment(text),), is_chat=True)


def mercury(name: str = "cloud", *, remote: bool = True) -> Scripted:
    """A provider that takes Mercury's form."""
    kind = Remote if remote else Scripted
    return kind(name, ProviderSettings(kind="scripted", options=MERCURY))


async def said(router: Any, asked: EditRequest, context: RequestContext) -> str:
    """The answer's text."""
    route = router.edit(asked, context)
    async with route:
        return "".join([item.text async for item in route if isinstance(item, Delta)])


async def test_nothing_leaves_without_consent(make: Make, workspace: Path) -> None:
    cloud = mercury()
    router = make(CLOUD, cloud)
    with pytest.raises(NearfieldError):
        await said(router, request("x"), RequestContext(workspace=str(workspace)))
    assert not cloud.calls


async def test_a_request_is_redacted_and_written_down(
    make: Make, allow: Any, store: Store, workspace: Path
) -> None:
    allow("cloud")
    cloud = mercury()
    router = make(CLOUD, cloud)
    context = RequestContext(workspace=str(workspace), sources=(Source("b.py"),))
    asked = request(f'password = "{SECRET[:5]}<|cursor|>{SECRET[5:]}"\n', f"{workspace}/a.py")
    assert await said(router, asked, context) == "answer"
    await router.aclose()
    (entry,) = store.entries(EntryFilter(provider="cloud", task="edit", outcome="answered"))
    assert sorted(path for path, _, _ in entry.sending.files) == ["a.py", "b.py"]
    assert entry.sending.redactions
    (call,) = cloud.calls
    assert isinstance(call.request, EditRequest)
    for text in (call.request.text, entry.sending.content):
        assert not any(SECRET[n : n + 6] in text for n in range(len(SECRET) - 5))
        assert "<|cursor|>" in text
    assert call.request.path == "a.py"
    assert call.request.document != "d"


@pytest.mark.parametrize("where", ["own", "another"])
async def test_a_withheld_file_stays_here(
    make: Make, allow: Any, workspace: Path, where: str
) -> None:
    allow("cloud")
    cloud = mercury()
    router = make(CLOUD, cloud)
    path = f"{workspace}/.env" if where == "own" else "a.py"
    sources = (Source(f"{workspace}/.env"),) if where == "another" else ()
    context = RequestContext(workspace=str(workspace), sources=sources)
    with pytest.raises(NearfieldError, match=r"\.env"):
        await said(router, request("x", path), context)
    assert not cloud.calls


async def test_the_role_names_the_provider_and_its_form_decides(
    make: Make, workspace: Path
) -> None:
    plain = Scripted("plain", ProviderSettings(kind="scripted"))
    first, second = mercury("first", remote=False), mercury("second", remote=False)
    router = make({}, plain, first, second)
    assert router.edit_form() is EditForm.MERCURY
    assert [one.name for one in router.candidates("edit")] == ["first", "second"]
    router = make({"routing": {"roles": {"edit": ["second"]}}}, plain, first, second)
    assert await said(router, request("x"), RequestContext(workspace=str(workspace))) == "answer"
    assert not first.calls and second.calls
    with pytest.raises(NearfieldError):
        await said(router, request("x", form=EditForm.SWEEP), RequestContext())
    assert make({}, plain).edit_form() is EditForm.NONE


@pytest.mark.parametrize("cut", range(0, 30, 3))
@pytest.mark.parametrize("mark", ["<|cursor|>", "<|user_cursor|>", "<|marker_2|>"])
def test_a_mark_inside_a_secret_is_moved_after_it(cut: int, mark: str) -> None:
    text = f'password = "{SECRET}"\nrest()'
    asked = request(text[:cut] + mark + text[cut:])
    clean, redactions = redact_edit(asked)
    assert redactions.secrets
    assert not any(SECRET[n : n + 6] in clean.text for n in range(len(SECRET) - 5))
    assert clean.text.count(mark) == 1
    assert redact_edit(replace(asked, segments=(Segment("x = 1"),)))[0].text == "x = 1"
