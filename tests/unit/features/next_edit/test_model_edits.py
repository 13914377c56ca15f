"""Next edits by a model: when it is asked, with what, and what becomes of its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.features.next_edit.editing import Typist, next_edits

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Cache, Config, Engine, Index, ProviderSettings
from nearfield.features.next_edit.edit_prompt import Hunk
from nearfield.features.next_edit.edits import NextEdit
from nearfield.features.next_edit.project_names import IndexedNames, edited_definitions
from nearfield.features.service import Service
from nearfield.features.trace import TraceLog
from nearfield.providers.scripted import Scripted
from nearfield.routing.router import Router
from nearfield.types import (
    Edit,
    EditForm,
    EditRequest,
    Health,
    HealthState,
    Priority,
    Reason,
    Snapshot,
    Span,
    Surface,
)

CODE = """\
class Box {
    area(wide: number): number { return wide; }
}
const size = new Box().area(1);
const other = size;
"""
CALL = "const size = new Box().area(1, 2);\nconst other = size;\n"
SECONDS = 5.0


class Session:
    """A document in a language without rules, next edits, and a scripted model for them."""

    def __init__(
        self,
        *answers: dict[str, Any],
        form: str = "sweep",
        text: str = CODE,
        language: str = "rust",
        index: IndexedNames | None = None,
    ) -> None:
        options: dict[str, Any] = {"answers": list(answers), "edit_form": form}
        self.model = Scripted("fake", ProviderSettings(kind="scripted", options=options))
        self.traces = TraceLog()
        self.typist = Typist(text, language)
        self.typist.clock = lambda: 0.0
        self.typist.edits = next_edits(
            self.typist.documents, self.typist.clock, self.traces, facts=index
        )
        config = FolderConfigs(Config())
        self.edits = self.typist.edits
        self.edits.configure(config, Router(config, {"fake": self.model}))

    async def offered(self, at: str = "const size", seconds: float = SECONDS) -> NextEdit | None:
        """What is offered first with the cursor before `at`."""
        offset = self.typist.text.index(at)
        found = await self.edits.offered(self.typist.snapshot, offset, seconds)
        return found[0] if found else None

    @property
    def prompts(self) -> list[str]:
        """What the model was asked, the last one last."""
        found = [one.request for one in self.model.calls]
        return [one.text for one in found if isinstance(one, EditRequest)]

    @property
    def reasons(self) -> list[tuple[Reason, str]]:
        """Reason and detail of each question to the model, the last one first."""
        return [(one.reason, one.detail) for one in self.traces.last(9)]


def widen(session: Session) -> None:
    """Give `area` a second parameter: the edit before."""
    at = session.typist.text.index("wide: number") + len("wide: number")
    session.typist.edit(at, at, ", high: number")


ANSWER = {"match": r"updated/a:\d+:\d+\n", "text": CALL}


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody types on."""
    monkeypatch.setattr("nearfield.features.next_edit.edits.REST_SECONDS", 0.0)


async def test_the_model_is_asked_where_no_rule_has_an_offer() -> None:
    session = Session(ANSWER)
    widen(session)
    offer = await session.offered()
    assert offer is not None
    assert (offer.by, offer.old) == ("model", "const size = new Box().area(1);")
    assert offer.new == "const size = new Box().area(1, 2);"
    (call,) = session.model.calls
    assert isinstance(call.request, EditRequest)
    assert call.request.priority is Priority.EDIT
    assert call.request.form is EditForm.SWEEP
    text = call.request.text
    assert "original:\n    area(wide: number): number { return wide; }\n" in text
    assert "<|cursor|>const size" in text
    assert session.reasons == [(Reason.SHOWN, "")]
    (trace,) = session.traces.last(1)
    assert (trace.surface, trace.provider, trace.shown) == (Surface.NEXT_EDIT, "fake", True)
    assert [name for name, _ in trace.stages] == ["context", "wait", "read", "generate", "gate"]
    assert 0 < sum(ms for _, ms in trace.stages) <= trace.total_ms
    assert call.request.copied == "const size = new Box().area(1);\nconst other = size;\n\n"


async def test_a_second_request_for_the_same_text_asks_no_model() -> None:
    session = Session(ANSWER)
    widen(session)
    first = await session.offered()
    assert await session.offered() == first
    assert await session.offered(seconds=0.0) == first
    assert len(session.model.calls) == 1


class IndexWith:
    """An index that answers after `seconds`."""

    def __init__(self, seconds: float = 0.0, **facts: set[str]) -> None:
        self.seconds = seconds
        self.facts = facts
        self.asked: list[str] = []

    async def _answer(self, kind: str, about: Collection[str]) -> frozenset[str]:
        self.asked += about
        await asyncio.sleep(self.seconds)
        return frozenset(self.facts.get(kind, set()))

    async def unknown(self, names: Collection[str], snapshot: Snapshot) -> frozenset[str]:
        return (await self._answer("unknown", names)) & frozenset(names)

    async def defined_around(
        self, places: Sequence[tuple[str, int]], snapshot: Snapshot
    ) -> frozenset[str]:
        return await self._answer("around", [f"{path}:{row}" for path, row in places])


LOADS = """\
def load(path):
    return open(path)


def first():
    return 1


def show(path):
    print("at", path)
    return path
"""


def proposing(line: str) -> dict[str, Any]:
    """An answer that makes `line` of the one with "at"."""
    return {"match": r"updated/a:\d+:\d+\n", "text": f"    {line}\n    return path\n"}


NAMED = proposing('print("at", path.name)')
MADE_UP = proposing('print("at", shortened(path))')
SHOWN = (Reason.SHOWN, "")
UNKNOWN = (Reason.UNKNOWN_NAME, "unknown_name")


@pytest.mark.parametrize(
    ("answer", "index", "reason", "asked"),
    [
        # Nothing defines the function that is called.
        (MADE_UP, IndexWith(unknown={"shortened"}), UNKNOWN, ["shortened"]),
        (MADE_UP, IndexWith(), SHOWN, ["shortened"]),
        # An index that is busy, or not there, speaks against nothing.
        (MADE_UP, IndexWith(60.0, unknown={"shortened"}), SHOWN, ["shortened"]),
        (MADE_UP, None, SHOWN, []),
        # What calls nothing new needs no index.
        (NAMED, IndexWith(unknown={"path", "name"}), SHOWN, []),
    ],
)
async def test_the_index_may_object_to_a_proposal(
    answer: dict[str, Any],
    index: IndexWith | None,
    reason: tuple[Reason, str],
    asked: list[str],
) -> None:
    session = Session(answer, index=index, text=LOADS, language="python")
    at = session.typist.text.index("path)\n\n") + len("path")
    session.typist.edit(at, at, ', "rb"')
    offer = await session.offered('    print("at"')
    assert session.reasons == [reason]
    assert (offer is not None) == (reason is SHOWN)
    assert (index.asked if index is not None else []) == asked


async def test_the_definition_that_an_edit_of_another_document_was_in_explains_an_edit() -> None:
    here, other = (Snapshot(f"file:///w/{one}.py", "python", 1, "", f"/w/{one}.py", "/w")
                   for one in ("here", "other"))  # fmt: skip
    hunks = [(here, Hunk("here.py", "a", "b", 4)), (other, Hunk("other.py", "a", "b", 7))]
    index = IndexWith(around={"total"})
    assert await edited_definitions(index, here, hunks) == {"total"}
    assert index.asked == ["/w/other.py:6"]
    assert await edited_definitions(IndexWith(60.0, around={"total"}), here, hunks) == set()
    assert await edited_definitions(None, here, hunks) == set()


@pytest.mark.parametrize("how", ["no edit", "no model", "no form", "disabled", "a marker"])
async def test_no_model_is_asked_in_vain(how: str) -> None:
    text = CODE + "// <|cursor|>\n" if how == "a marker" else CODE
    session = Session(ANSWER, form="" if how == "no form" else "sweep", text=text)
    if how != "no edit":
        widen(session)
    if how == "no model":
        session.edits.configure(FolderConfigs(Config()), None)
    if how == "disabled":
        off = Config()
        config = FolderConfigs(
            type(off)(completion=type(off.completion)(next_edit=False)),
        )
        session.edits.configure(config, Router(config, {"fake": session.model}))
    assert await session.offered() is None
    assert not session.model.calls


async def test_an_offer_ends_with_the_text_that_it_was_made_for() -> None:
    session = Session(ANSWER, {"text": "nothing of use"})
    widen(session)
    assert await session.offered() is not None
    session.typist.edit(0, 0, "\n")
    assert await session.offered(seconds=0.0) is None


@pytest.mark.parametrize("how", ["types on", "undoes", "jumps", "closes", "pauses"])
async def test_what_the_user_does_next_ends_a_question_and_frees_the_model(how: str) -> None:
    options = {"answers": [{**ANSWER, "delay_ms": 600_000}], "edit_form": "sweep"}
    model = Scripted("fake", ProviderSettings(kind="scripted", options=options))
    off: dict[str, Any] = {"index": Index(enabled=False), "cache": Cache(enabled=False)}
    service = Service(Config(engine=Engine(enabled=False), **off), {"fake": model})
    await service.start()
    before = Snapshot("file:///a", "java", 1, CODE)
    service.opened(before)
    at = CODE.index("wide: number") + len("wide: number")
    now = replace(before, version=2, text=CODE[:at] + ", high: number" + CODE[at:])
    service.changed(now, [Edit(Span(at, at), ", high: number")])
    far = now.text.index("const size")
    async with asyncio.timeout(60):
        while not service.next_edits.model.form(now):
            await asyncio.sleep(0)  # the providers are built in the background
        waiting = asyncio.create_task(service.next_edits.offered(now, far, 600.0))
        while not model.streaming:
            await asyncio.sleep(0)
        if how == "jumps":
            assert await service.next_edits.offered(now, 0, 0.001) == ()
        elif how == "closes":
            service.closed(now.uri)
        elif how == "pauses":
            service.pause()
        elif how == "undoes":
            gone = Edit(Span(at, at + len(", high: number")), "")
            service.changed(replace(before, version=3), [gone])
        else:
            service.changed(replace(now, version=3, text="\n" + now.text), [Edit(Span(0, 0), "\n")])
        assert await waiting == ()
        while not model.calls[0].ended:
            await asyncio.sleep(0)
    assert len(model.calls) == (2 if how == "jumps" else 1)
    assert service.traces.last(9)[-1].reason is Reason.CANCELLED
    await service.aclose()
    assert model.streaming == 0


async def test_a_late_answer_is_returned_at_the_next_request() -> None:
    session = Session({**ANSWER, "delay_ms": 30})
    widen(session)
    assert await session.offered(seconds=0.001) is None
    assert await session.offered() is not None
    assert len(session.model.calls) == 1


async def test_a_dismissed_edit_is_not_proposed_again() -> None:
    session = Session(ANSWER)
    widen(session)
    offer = await session.offered()
    assert offer is not None
    assert session.edits.dismiss(offer.id)
    assert not session.edits.dismiss(offer.id)
    assert await session.offered() is None
    session.typist.edit(0, 0, "//\n")
    assert await session.offered() is None
    assert len(session.model.calls) == 2


@pytest.mark.parametrize(
    ("answer", "reason", "detail"),
    [
        ({"text": "const size = new Box().area(1);\nconst other = size;\n"}, Reason.NOTHING, ""),
        ({"text": "const size = new Box().area(1);\n"}, Reason.DELETES, "deletes"),
        ({"text": "<|cursor|>"}, Reason.NOTHING, ""),
        ({"text": ""}, Reason.NOTHING, ""),
        ({"error": "Unreachable"}, Reason.UNREACHABLE, ""),
        ({"text": "x = 1\n" * 400}, Reason.LENGTH, ""),
    ],
)
async def test_why_nothing_is_offered_is_in_the_trace(
    answer: dict[str, Any], reason: Reason, detail: str
) -> None:
    session = Session(answer)
    widen(session)
    assert await session.offered() is None
    assert session.reasons == [(reason, detail)]


async def test_rules_come_before_the_model() -> None:
    session = Session({"text": "x"}, text="def f(wide):\n    return wide\n", language="python")
    session.typist.retype("wide", "width")
    offer = await session.offered("return")
    assert offer is not None
    assert offer.by == "tree"
    assert not session.model.calls


async def test_windows_line_breaks_are_kept() -> None:
    session = Session(ANSWER, text=CODE.replace("\n", "\r\n"))
    widen(session)
    offer = await session.offered()
    assert offer is not None
    text = session.typist.text
    assert text[offer.span.start : offer.span.end] == offer.old
    made = text[: offer.span.start] + offer.new + text[offer.span.end :]
    assert "area(1, 2);\r\nconst other" in made
    assert made.count("\r\n") == made.count("\n")
    (call,) = session.model.calls
    assert isinstance(call.request, EditRequest)
    assert "\r" not in call.request.text


async def test_a_model_of_another_form_is_passed_over() -> None:
    session = Session(ANSWER)
    mercury = Scripted("other", ProviderSettings(kind="scripted", options={"edit_form": "mercury"}))
    config = FolderConfigs(Config())
    session.edits.configure(config, Router(config, {"fake": session.model, "other": mercury}))
    session.model.health_now = Health(HealthState.UNAVAILABLE, "gone")
    widen(session)
    assert await session.offered() is None
    assert not mercury.calls


async def test_a_model_of_this_machine_is_asked_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nearfield.features.next_edit.edits.ASK_AFTER_SECONDS", 0.0)
    session = Session({"match": "", "text": "    area(wide: number, high: number): number {}\n"})
    widen(session)
    session.typist.stay()
    while not session.traces.last(1):
        await asyncio.sleep(0.001)
    # The answer is judged, and is there for who asks next.
    (call,) = session.model.calls
    assert call.ended == "finished"
    await session.offered(at="high: number", seconds=0.0)
    session.typist.stay()
    await asyncio.sleep(0.02)
    assert len(session.model.calls) == 1
    await session.edits.aclose()


@pytest.mark.parametrize("how", ["typed on", "a rule", "stopped"])
async def test_no_model_is_asked_at_rest_in_vain(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nearfield.features.next_edit.edits.ASK_AFTER_SECONDS", 0.01)
    text = "def f(wide):\n    return wide\n" if how == "a rule" else CODE
    session = Session(ANSWER, text=text, language="python" if how == "a rule" else "rust")
    if how == "a rule":
        session.typist.retype("wide", "width")
    else:
        widen(session)
    session.typist.stay()
    if how == "typed on":
        session.typist.edit(0, 0, "\n")
    if how == "stopped":
        session.edits.stop()
    await asyncio.sleep(0.05)
    assert not session.model.calls
    await session.edits.aclose()


def long_code() -> str:
    """A file that no window and no small model holds."""
    return CODE + "".join(f"const one_{number} = other + {number};\n" for number in range(700))


async def test_a_prompt_fits_the_model_that_reads_it() -> None:
    session = Session({"match": "", "text": CALL}, text=long_code())
    session.model = Scripted(
        "fake",
        ProviderSettings(
            kind="scripted",
            options={
                "answers": [{"match": "", "text": CALL}],
                "edit_form": "sweep",
                "context_tokens": 1024,
            },
        ),
    )
    config = FolderConfigs(Config())
    session.edits.configure(config, Router(config, {"fake": session.model}))
    widen(session)
    await session.offered()
    (call,) = session.model.calls
    assert isinstance(call.request, EditRequest)
    assert len(call.request.text) <= 3 * 1024
    assert "updated:\n    area(wide: number, high: number)" in call.request.text


async def test_the_beginning_of_a_prompt_stays_while_the_user_edits_on() -> None:
    session = Session({"match": "", "text": CALL}, text=long_code())
    widen(session)
    await session.offered()
    at = session.typist.text.index("const other") + len("const ")
    session.typist.edit(at, at, "an")
    await session.offered("const an")
    first, second = (call.request for call in session.model.calls)
    assert isinstance(first, EditRequest)
    assert isinstance(second, EditRequest)
    head = first.text[: first.text.index("updated:\n")]
    assert len(head) > 8_000
    assert second.text.startswith(head)


def numbered(rows: int) -> str:
    """A long document."""
    return "".join(f"row({n});\n" for n in range(rows))


@pytest.mark.parametrize("form", ["sweep", "instruct"])
async def test_the_file_begins_the_next_prompt_as_it_began_the_last(form: str) -> None:
    session = Session({"match": "", "text": "NO_EDITS"}, form=form, text=numbered(4000))
    for row in (5, 3000, 3004, 8):
        at = session.typist.text.index(f"row({row});")
        session.typist.edit(at, at, f"new{row} ")
        await session.offered(f"new{row}")
    texts = session.prompts
    assert len(texts) == 4
    kept = texts[0][: texts[0].index("\nrow(200);")]
    assert all(text.startswith(kept) for text in texts)
    assert "\nrow(3000);" not in texts[0]
    assert all("\nrow(3003);" in text for text in texts[1:])
    with_second = texts[1][: texts[1].index("\nrow(3003);")]
    assert all(text.startswith(with_second) for text in texts[1:])


async def test_the_window_is_kept_where_the_text_beside_it_begins_the_prompt() -> None:
    session = Session({"match": "", "text": "NO_EDITS"}, form="zeta2", text=numbered(400))
    for row in (200, 203, 300):
        at = session.typist.text.index(f"row({row});")
        session.typist.edit(at, at, f"let new{row};\n")
        await session.offered(f"let new{row}")
    below = [text.partition("<[fim-prefix]>")[0] for text in session.prompts]
    assert below[0] == below[1] != below[2]


async def test_a_replaced_document_is_not_shown_as_it_was() -> None:
    session = Session({"match": "", "text": "NO_EDITS"}, text=numbered(300))
    session.typist.edit(0, 0, "first ")
    await session.offered("first")
    session.typist.edit(0, len(session.typist.text), "x\n" + numbered(300).replace("row", "line"))
    at = session.typist.text.index("line(9)")
    session.typist.edit(at, at, "second ")
    await session.offered("second")
    assert "row(" in session.prompts[0]
    assert "row(" not in session.prompts[1].partition("original:")[0]
