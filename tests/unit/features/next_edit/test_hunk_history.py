"""What the user changed lately, as hunks of whole lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nearfield.features.next_edit.edit_prompt import HUNK_STEP, MAX_HUNKS, Hunk
from nearfield.features.next_edit.hunk_history import HunkHistory
from nearfield.types import Edit, Snapshot, Span

TEXT = "".join(f"line {n}\n" for n in range(40))


class Writer:
    """Somebody who edits documents of one folder."""

    def __init__(self) -> None:
        self.recent = HunkHistory()
        self.now = 0.0
        self.documents: dict[str, Snapshot] = {}

    def open(self, name: str, text: str = TEXT, root: str = "/w") -> None:
        """A document of the folder `root`."""
        uri, path = f"file://{root}/{name}", f"{root}/{name}"
        self.documents[name] = Snapshot(uri, "python", 0, text, path, root)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace the first `old`, a second after the edit before."""
        before = self.documents[name]
        at = before.text.index(old)
        self.replace(name, at, at + len(old), new)

    def replace(self, name: str, start: int, end: int, new: str) -> None:
        """Replace a span."""
        before = self.documents[name]
        text = before.text[:start] + new + before.text[end:]
        after = Snapshot(
            before.uri, "python", (before.version or 0) + 1, text, before.path, before.root
        )
        self.now += 1
        self.recent.change(before, after, [Edit(Span(start, end), new)], self.now)
        self.documents[name] = after

    def hunks(self, name: str) -> list[Hunk]:
        """Those that a question about `name` shows."""
        return [hunk for _, hunk in self.recent.hunks(self.documents[name])]


def writer(*names: str) -> Writer:
    """A writer with these documents open."""
    found = Writer()
    for name in names:
        found.open(name)
    return found


def test_edits_at_one_place_are_one_hunk() -> None:
    one = writer("a.py")
    for before, after in (("line 3\n", "line 3x\n"), ("line 3x", "line 3xy"), ("line 4", "row 4")):
        one.edit("a.py", before, after)
    assert one.hunks("a.py") == [Hunk("a.py", "line 3\nline 4", "line 3xy\nrow 4", 4)]
    assert one.recent.has(one.documents["a.py"])
    assert one.recent.before(one.documents["a.py"]) == (0, TEXT)


def test_edits_elsewhere_are_other_hunks_oldest_first() -> None:
    one = writer("a.py", "b.py")
    one.edit("a.py", "line 30", "x")
    one.edit("b.py", "line 1\n", "")
    one.edit("a.py", "line 2\n", "line 2\nnew\n")
    assert one.hunks("a.py") == [
        Hunk("a.py", "line 30", "x", 31),
        Hunk("b.py", "line 1", "", 2),
        Hunk("a.py", "", "new", 4),
    ]
    assert one.recent.states("file:///w/a.py")[0] == TEXT
    assert len(one.recent.states("file:///w/a.py")) == 2


def test_undone_and_white_space_edits_are_no_hunks() -> None:
    one = writer("a.py")
    one.edit("a.py", "line 3\n", "line\n")
    one.edit("a.py", "line\n", "line 3\n")
    assert one.hunks("a.py") == []
    assert not one.recent.has(one.documents["a.py"])
    one.edit("a.py", "line 20\n", "  line 20\n")
    assert one.hunks("a.py") == []


def test_the_same_place_after_a_pause_is_another_hunk() -> None:
    one = writer("a.py")
    one.edit("a.py", "line 3\n", "line x\n")
    one.now += 100
    one.edit("a.py", "line x\n", "line 3\n")
    assert [hunk.new for hunk in one.hunks("a.py")] == ["line x", "line 3"]


def test_other_folders_and_documents_that_were_replaced_are_left_out() -> None:
    one = writer("a.py")
    one.open("far.py", root="/other")
    one.edit("far.py", "line 1\n", "secret\n")
    assert one.hunks("a.py") == []
    one.edit("a.py", "line 1\n", "x\n")
    one.recent.forget("file:///w/a.py")
    assert one.hunks("a.py") == []


def test_old_and_huge_edits_explain_nothing() -> None:
    one = writer("a.py")
    one.edit("a.py", "line 1\n", "line 1\n" + "new\n" * 100)
    assert one.hunks("a.py") == []
    for number in range(0, 40, 4):
        one.edit("a.py", f"line {number}\n", f"row {number}\n")
    assert MAX_HUNKS - HUNK_STEP < len(one.hunks("a.py")) <= MAX_HUNKS
    one.now += 10_000
    one.edit("a.py", "row 36", "x")
    assert [hunk.new for hunk in one.hunks("a.py")] == ["x"]


@given(
    edits=st.lists(
        st.tuples(
            st.integers(0, 60), st.integers(0, 8), st.sampled_from(["", "x", "a\nb\n", "\n"])
        ),
        max_size=12,
    )
)
def test_a_hunk_holds_the_lines_of_its_document(edits: list[tuple[int, int, str]]) -> None:
    one = writer("a.py")
    for start, length, new in edits:
        text = one.documents["a.py"].text
        first = min(start, len(text))
        one.replace("a.py", first, min(first + length, len(text)), new)
    for document, hunk in one.recent.hunks(one.documents["a.py"]):
        rows = document.text.split("\n")[hunk.row - 1 :]
        assert hunk.new == "" or hunk.new.split("\n") == rows[: hunk.new.count("\n") + 1]
