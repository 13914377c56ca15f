"""What is recorded of what a user does in front of a service."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.config.schema import Provenance as Settings
from nearfield.features.accepted import Accepted, Origin
from nearfield.features.completion.acceptance import Acceptance, Taken
from nearfield.features.documents import DocumentChange, Documents
from nearfield.features.provenance import signing
from nearfield.features.provenance.chain import Fields
from nearfield.features.provenance.recorder import ProvenanceRecorder
from nearfield.features.provenance.report import report, trailers
from nearfield.features.provenance.signing import KeyPair
from nearfield.features.provenance.store import ProvenanceStore
from nearfield.types import Cell, Edit, Snapshot, Span, Suggestion

URI = "file:///w/a.py"
BEFORE = "def add(a, b):\n    \nprint(add)\n"
TEXT = "return a + b"
AFTER = BEFORE.replace("    \n", f"    {TEXT}\n")
AT = BEFORE.index("    ") + 4


@pytest.fixture(autouse=True)
def keyless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "key_pair", lambda is_made=False: KeyPair())


class Desk:
    """A document with a suggestion in it, and the record of what becomes of that."""

    def __init__(
        self, folder: Path, root: str | None = None, above: tuple[Cell, ...] | None = None
    ):
        self.folder = folder
        self.provenance = ProvenanceRecorder(folder)
        self.set(FolderConfigs(Config()))
        self.documents = Documents()
        self.acceptance = Acceptance(self.documents, on_accepted=self.provenance.accepted)
        self.now = Snapshot(URI, "python", 1, BEFORE, "/w/a.py", root, above)
        self.documents.opened(self.now)
        one = Suggestion("1", TEXT, Span(AT, AT), None, "fake", "model-1", "cd" * 32)
        self.acceptance.offered(URI, [one])

    def set(self, configs: FolderConfigs) -> None:
        self.provenance.configure(configs, None)

    def change(self, start: int, end: int, text: str) -> None:
        before = self.now
        after = before.text[:start] + text + before.text[end:]
        self.now = replace(before, version=(before.version or 0) + 1, text=after)
        edit = Edit(Span(start, end), text)
        self.documents.changed(self.now, [edit])
        change = DocumentChange(before, self.now, [edit])
        self.acceptance.changed(change)
        self.provenance.changed(change)

    async def records(self) -> list[Fields]:
        await self.provenance.aclose()
        await self.acceptance.aclose()
        return ProvenanceStore(self.folder).verdict().records


async def test_a_suggestion_that_is_seen_to_be_inserted_is_recorded(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.change(AT, AT, TEXT)
    desk.acceptance.report("1", Taken.ACCEPTED)
    (record,) = await desk.records()
    assert (record["file"], record["rows"], record["kind"]) == ("/w/a.py", [1, 1], "suggestion")
    assert (record["provider"], record["model"]) == ("fake", "model-1")
    assert len(record["prompt"]) == 64
    assert record["prompt"] != "cd" * 32


async def test_parts_that_are_taken_one_after_the_other_are_one_record(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.change(AT, AT, "return ")
    desk.change(AT + 7, AT + 7, "a + b")
    assert len(await desk.records()) == 1


@pytest.mark.parametrize("is_reported_first", [True, False])
async def test_a_reported_one_is_found_whatever_edit_brings_it(
    is_reported_first: bool, tmp_path: Path
) -> None:
    desk = Desk(tmp_path)
    if is_reported_first:
        desk.acceptance.report("1", Taken.ACCEPTED)
    desk.change(0, len(BEFORE), AFTER)  # a client that sends whole texts
    if not is_reported_first:
        desk.acceptance.report("1", Taken.ACCEPTED)
    (record,) = await desk.records()
    assert record["rows"] == [1, 1]


async def test_what_is_typed_is_not_recorded(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for number, key in enumerate(TEXT):
        desk.change(AT + number, AT + number, key)
    assert await desk.records() == []
    assert not (tmp_path / "records.jsonl").exists()


@pytest.mark.parametrize("is_turned_off_later", [True, False])
async def test_nothing_is_recorded_where_it_is_off(
    is_turned_off_later: bool, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, root="/w")
    off = FolderConfigs(Config(), {"/w": Config(provenance=Settings(enabled=False))})
    if not is_turned_off_later:
        desk.set(off)
    desk.change(AT, AT, TEXT)
    if is_turned_off_later:
        desk.set(off)
    assert await desk.records() == []


async def test_a_cell_is_not_its_file(tmp_path: Path) -> None:
    desk = Desk(tmp_path, above=())
    desk.change(AT, AT, TEXT)
    assert await desk.records() == []


def edit(after: str) -> Accepted:
    origin = Origin("fake", "model-2")
    return Accepted("", "action", "/w/a.py", None, after, 0.0, None, BEFORE, origin)


async def test_an_offered_edit_counts_once_its_document_has_become_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.provenance.offered(URI, edit(AFTER))
    desk.provenance.offered(URI, edit(AFTER))  # again, as the cursor moved
    desk.provenance.offered(URI, edit(BEFORE + "x = 1\n"))
    desk.provenance.offered("file:///w/b.py", edit(AFTER))
    desk.change(len(BEFORE), len(BEFORE), "# mine\n")
    desk.change(len(BEFORE), len(BEFORE) + 7, "")
    desk.change(0, len(BEFORE), AFTER)
    desk.change(0, 0, "\n")
    desk.change(0, 1, "")
    records = await desk.records()
    assert [(one["kind"], one["model"], one["rows"]) for one in records] == [
        ("action", "model-2", [1, 1])
    ]


async def test_files_that_cannot_be_written_cost_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    desk = Desk(tmp_path / "file")
    for _ in range(2):
        desk.change(AT, AT, TEXT)
        await desk.provenance.flush()
    assert len(caplog.records) == 1
    assert "Suggestions go on without it." in caplog.text
    (tmp_path / "file").unlink()
    assert len(await desk.records()) == 1


async def test_a_report_and_trailers_of_what_is_left(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.change(AT, AT, TEXT)
    records = await desk.records()
    kept = ProvenanceStore(tmp_path)
    found = report(Path("/w/a.py"), AFTER, records, kept.secret())
    (one,) = found.suggested
    assert (found.lines, found.unchanged, one.lines, one.gone) == (3, 1, (2,), 0)
    assert trailers([(found, None)]) == ["Assisted-by: fake/model-1"]
    assert trailers([(found, frozenset({0}))]) == []
    named = replace(found, suggested=(replace(one, model_sha256="e" * 64),))
    assert trailers([(named, frozenset({1}))]) == [f"Assisted-by: model-1@sha256:{'e' * 64}"]
    forged = replace(found, suggested=(replace(one, model="m\nSigned-off-by: a\rb"),))
    assert trailers([(forged, None)]) == ["Assisted-by: fake/m Signed-off-by: a b"]
    altered = [{**records[0], "lines": "x"}, {}, {"file": "/w/a.py"}]
    assert report(Path("/w/a.py"), AFTER, altered, kept.secret()).suggested == ()
    assert report(Path("/w/b.py"), AFTER, records, kept.secret()).suggested == ()
