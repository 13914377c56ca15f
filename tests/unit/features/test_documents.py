"""What is known of a document between two questions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.context.slice import PromptText, SentPrompt
from nearfield.features.documents import MAX_PROMPTS, Document, Documents, PerDocument, difference
from nearfield.types import Edit, Situation, Snapshot, Span

PROMPT = SentPrompt(PromptText("import os\n", "x", "\n"), 0, 0, "", "", to_end=False)


def snapshot(text: str, version: int | None = 1) -> Snapshot:
    return Snapshot("file:///a.py", "python", version, text)


def check(edits: list[tuple[int, int, str]], ask: int, expected: Situation, accepted: bool) -> None:
    """A question at 10 of a text of 20 characters, then the edits, then one at `ask`."""
    document = Document(snapshot("x" * 20))
    document.sent(PROMPT)
    document.asked(10)
    for start, end, text in edits:
        now = document.snapshot.text
        after = snapshot(now[:start] + text + now[end:])
        document.apply(after, [Edit(Span(start, end), text)])
        document.accepted = accepted
    assert document.asked(ask) is expected


SITUATIONS = [
    ("a character", [(10, 10, "a")], 11, Situation.TYPING, False),
    ("several", [(10, 10, "a"), (11, 11, "b")], 12, Situation.TYPING, False),
    ("a character deleted", [(9, 10, "")], 9, Situation.TYPING, False),
    ("nothing", [], 10, Situation.TYPING, False),
    ("a bracket that the editor closes", [(10, 10, "()")], 11, Situation.TYPING, False),
    ("a line break", [(10, 10, "\n")], 11, Situation.NEW_LINE, False),
    (
        "a line break and its indentation",
        [(10, 10, "\n"), (11, 11, "    ")],
        15,
        Situation.NEW_LINE,
        False,
    ),
    ("a carriage return", [(10, 10, "\r")], 11, Situation.NEW_LINE, False),
    ("a suggestion taken", [(10, 10, "abc\n")], 14, Situation.ACCEPTED, True),
    ("the cursor moved", [], 3, Situation.MOVED, False),
    ("typed, then moved", [(10, 10, "a")], 3, Situation.MOVED, False),
    ("typed below", [(15, 15, "a")], 16, Situation.MOVED, False),
    ("typed above, the cursor stays", [(2, 2, "ab")], 12, Situation.MOVED, False),
]


@pytest.mark.parametrize("case", SITUATIONS, ids=[s[0] for s in SITUATIONS])
def test_a_request_has_its_situation(
    case: tuple[str, list[tuple[int, int, str]], int, Situation, bool],
) -> None:
    check(*case[1:])


def test_a_document_without_a_prompt_is_cold() -> None:
    document = Document(snapshot("x"))
    assert document.asked(1) is Situation.COLD
    assert document.asked(1) is Situation.COLD
    document.sent(PROMPT)
    assert document.asked(1) is Situation.TYPING


def test_a_document_remembers_its_last_prompts() -> None:
    document = Document(snapshot(""))
    prompts = [
        SentPrompt(PromptText(str(i), "", ""), 0, 0, "", "", to_end=False)
        for i in range(MAX_PROMPTS + 2)
    ]
    for prompt in prompts:
        document.sent(prompt)
    assert document.prompts == prompts[2:]
    document.begun(prompts[0])
    assert document.prompts == [prompts[0], *prompts[3:]], "one that was only begun is the oldest"
    later = SentPrompt(PromptText("0", "written", ""), 0, 0, "", "", to_end=False)
    document.sent(later)
    assert document.prompts == [*prompts[3:], later], "it replaces one with the same beginning"


@given(st.text(alphabet="ab\n"), st.text(alphabet="ab\n"))
def test_the_difference_leads_from_one_text_to_the_other(before: str, after: str) -> None:
    text = before
    for edit in difference(before, after):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    assert text == after


def test_a_face_that_sends_no_edits_is_followed_by_the_texts() -> None:
    documents = Documents()
    document = documents.at(snapshot("x = ", 1))
    document.sent(PROMPT)
    document.asked(4)
    assert documents.at(snapshot("x = 1\n", 2)).asked(6) is Situation.NEW_LINE


@pytest.mark.parametrize("how", ["closed", "opened again", "displaced"])
def test_a_document_that_is_held_elsewhere_tells_that_it_is_no_longer_open(how: str) -> None:
    documents = Documents(kept=1)
    first = Snapshot("a", "python", 1, "x = 1")
    held = documents.opened(first)
    assert held.is_open
    if how == "closed":
        documents.closed("a")
    else:
        documents.opened(first if how == "opened again" else replace(first, uri="b"))
    assert not held.is_open
    assert [document.is_open for document in documents] == [True] * (how != "closed")


def test_an_older_snapshot_changes_nothing_and_is_stale() -> None:
    documents = Documents()
    old, new = snapshot("x", 1), snapshot("xy", 2)
    documents.opened(old)
    documents.changed(new, [Edit(Span(1, 1), "y")])
    assert documents.at(old).snapshot is new
    assert documents.is_stale(old)
    assert not documents.is_stale(new)
    documents.closed(new.uri)
    assert documents.is_stale(new)


def test_no_more_documents_than_are_kept() -> None:
    documents = Documents(kept=2)
    for name in "abc":
        documents.opened(Snapshot(name, "", 1, ""))
    assert [documents.get(name) is not None for name in "abc"] == [False, True, True]


def test_the_state_of_a_feature_is_dropped_with_its_document() -> None:
    documents = Documents()
    states, others = PerDocument[int](documents), PerDocument[int](documents)
    states.set("file:///none", 1)
    assert states.get("file:///none") is None, "no such document"
    for uri in ("file:///a", "file:///b"):
        documents.opened(Snapshot(uri, "python", 1, "x"))
        states.set(uri, len(uri))
    others.set("file:///a", 7)
    assert (states.get("file:///a"), others.get("file:///a"), others.values()) == (9, 7, [7])
    documents.opened(Snapshot("file:///a", "python", 1, "y"))
    documents.closed("file:///b")
    assert states.values() == others.values() == []
