"""What a model has evaluated outlives the server, as long as it is true."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from nearfield.config.schema import Completion, Config
from nearfield.errors import EngineDied
from nearfield.features import state_folder
from nearfield.features.completion.prompt_cache import PromptCache
from nearfield.features.completion.prompting import cut
from nearfield.features.documents import Document, DocumentFilter, Documents
from nearfield.features.state_folder import StateFolder
from nearfield.syntax.parser import Cursor
from nearfield.types import InfillRequest, Snapshot, Snippet

TEXT = "".join(f"value_{i} = compute({i}, 'some words')\n" for i in range(100))
AT = TEXT.index("value_60")


class Keeper:
    """Writes the document's name, and reads only that."""

    def __init__(self, model: str = "model") -> None:
        self.model = model
        self.recalled: list[str] = []
        self.asked: list[InfillRequest] = []
        self.dies = False

    def kept_as(self) -> str:
        return self.model

    async def keep(self, request: InfillRequest, path: str) -> int:
        Path(path).write_text(request.document * 100)
        self.asked.append(request)
        return 10

    async def recall(self, document: str, path: str) -> int:
        if self.dies:
            raise EngineDied("gone")
        assert Path(path).read_text() == document * 100
        self.recalled.append(document)
        return 10


def snapshot(text: str, name: str = "a.py") -> Snapshot:
    return Snapshot(f"file:///{name}", "python", 1, text)


def worked_on(documents: Documents, name: str = "a.py") -> Document:
    """A document of which a slice has been evaluated."""
    document = documents.opened(snapshot(TEXT, name))
    cursor = Cursor(document.snapshot, None, AT)
    snippets = (Snippet("b.py", "def compute(n, words): ..."),)
    plan = cut(cursor, document, 500, Completion(), snippets, full=True)
    document.sent(plan.sent)
    return document


async def kept(folder: Path, name: str = "a.py", mb: int = 1) -> Document:
    documents = Documents()
    document = worked_on(documents, name)
    warm = PromptCache(documents, StateFolder(folder))
    warm.use(Keeper(), DocumentFilter(Config()), mb)
    assert await warm.keep(document) is bool(mb)
    assert not await warm.keep(document)  # it is on the disk
    return document


async def restored(
    folder: Path, text: str = TEXT, keeper: Keeper | None = None, config: Config | None = None
) -> Document | None:
    """The document in the next run; None where nothing was restored."""
    documents = Documents()
    document = documents.opened(snapshot(text))
    warm = PromptCache(documents, StateFolder(folder))
    warm.use(keeper or Keeper(), DocumentFilter(config or Config()), 1)
    assert await warm.restore(document.snapshot.uri) is bool(document.prompts)
    return document if document.prompts else None


async def test_an_evaluated_prompt_is_restored_in_the_next_run(tmp_path: Path) -> None:
    before = await kept(tmp_path)
    after = await restored(tmp_path)
    assert after is not None
    assert after.prompts[0].text == before.prompts[0].text
    assert after.cursor == AT
    assert not after.prompts[0].stale


async def test_the_last_prompt_is_saved_for_its_provider(tmp_path: Path) -> None:
    documents, keeper = Documents(), Keeper()
    document = worked_on(documents)
    later = Cursor(document.snapshot, None, TEXT.index("value_20"))
    plan = cut(later, document, 300, Completion())
    document.sent(plan.sent)
    assert plan.sent.text.chars < document.prompts[0].text.chars
    warm = PromptCache(documents, StateFolder(tmp_path))
    warm.use(keeper, DocumentFilter(Config()), 1)
    assert await warm.keep(document)
    (request,) = keeper.asked
    assert request.prefill_only
    assert (request.prefix, request.suffix) == (plan.piece.prefix, plan.piece.suffix)
    assert (request.written, request.typed) == (plan.sent.text.written, plan.piece.typed)
    assert (request.path, request.language) == (
        document.snapshot.shown_path,
        document.snapshot.language,
    )
    after = await restored(tmp_path)
    assert after is not None
    assert after.prompts[0].text == plan.sent.text


def left(folder: Path) -> list[Path]:
    """What is in the folder beside the key."""
    return [file for file in folder.iterdir() if file.name != state_folder.KEY_FILE]


async def test_only_the_user_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    await kept(folder)
    files = list(folder.iterdir())
    assert len(files) == 3  # and the key
    if os.name == "posix":
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("text", "there", "stale"),
    [
        ("import os\n" + TEXT, True, True),
        (TEXT.replace("value_99", "value_x"), True, False),
        (TEXT.replace("value_0 ", "value_x "), True, True),
        (TEXT.replace("value_58", "value_x"), False, False),
        ("", False, False),
    ],
    ids=["more above", "changed below", "changed far above", "changed in it", "all gone"],
)
async def test_a_file_that_has_changed_meanwhile(
    tmp_path: Path, text: str, there: bool, stale: bool
) -> None:
    await kept(tmp_path)
    after = await restored(tmp_path, text)
    assert (after is not None) is there
    if after is not None:
        held = after.prompts[0]
        assert held.stale is stale
        assert text[held.anchor - len(held.above) : held.anchor] == held.above
    else:
        assert not left(tmp_path)  # of no use to anybody


async def test_another_model_has_its_own(tmp_path: Path) -> None:
    await kept(tmp_path)
    assert await restored(tmp_path, keeper=Keeper("another model")) is None
    assert await restored(tmp_path, keeper=Keeper("")) is None  # none is loaded
    assert await restored(tmp_path) is not None


@pytest.mark.parametrize("suffix", [".state", ".about"])
@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "flipped"])
async def test_a_damaged_file_never_reaches_the_engine(
    tmp_path: Path, suffix: str, damage: str
) -> None:
    await kept(tmp_path)
    (file,) = tmp_path.glob(f"*{suffix}")
    data = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        flipped = bytes([*data[:40], data[40] ^ 1, *data[41:]])
        file.write_bytes({"cut": data[:30], "empty": b"", "flipped": flipped}[damage])
    keeper = Keeper()
    assert await restored(tmp_path, keeper=keeper) is None
    assert keeper.recalled == []
    assert not left(tmp_path)


digest = state_folder._digest  # pyright: ignore[reportPrivateUsage]


def replaced(folder: Path) -> None:
    """Another state, with its own hash in what stands beside it."""
    (state,), (about,) = folder.glob("*.state"), folder.glob("*.about")
    forged = b"forged" + state.read_bytes()[6:]
    old, new = digest(state.read_bytes()), digest(forged)
    state.write_bytes(forged)
    about.write_bytes(about.read_bytes().replace(old, new))


def proven_by_another(folder: Path) -> None:
    """As `replaced`, with the proof of somebody who has another key."""
    replaced(folder)
    (state,), (about,) = folder.glob("*.state"), folder.glob("*.about")
    rest = about.read_bytes()[state_folder.PROOF_BYTES :]
    kept_key = (folder / state_folder.KEY_FILE).read_bytes()
    (folder / state_folder.KEY_FILE).write_bytes(bytes(state_folder.KEY_BYTES))
    proof = StateFolder(folder)._proof(state, rest)  # pyright: ignore[reportPrivateUsage]
    about.write_bytes(proof + rest)
    (folder / state_folder.KEY_FILE).write_bytes(kept_key)


def under_another_name(folder: Path) -> None:
    for file in [*folder.glob("*.state"), *folder.glob("*.about")]:
        file.rename(folder / f"{'0' * 32}{file.suffix}")


def linked(folder: Path) -> None:
    (state,) = folder.glob("*.state")
    state.rename(folder / "elsewhere")
    state.symlink_to(folder / "elsewhere")


def endless(folder: Path) -> None:
    (state,) = folder.glob("*.state")
    state.unlink()
    state.symlink_to("/dev/zero")


def a_pipe(folder: Path) -> None:
    (state,) = folder.glob("*.state")
    state.unlink()
    os.mkfifo(state)


def written_by_others(folder: Path) -> None:
    (state,) = folder.glob("*.state")
    state.chmod(0o666)


def open_to_others(folder: Path) -> None:
    folder.chmod(0o777)


@pytest.mark.skipif(os.name == "nt", reason="files of POSIX")
@pytest.mark.parametrize(
    "change",
    [
        replaced, proven_by_another, under_another_name, linked, endless, a_pipe,
        written_by_others, open_to_others,
    ],
)  # fmt: skip
async def test_a_file_that_others_may_write_never_reaches_the_engine(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    folder = tmp_path / "prompts"
    await kept(folder)
    change(folder)
    keeper = Keeper()
    assert await restored(folder, keeper=keeper) is None
    assert keeper.recalled == []


async def test_a_file_that_kills_the_engine_is_not_loaded_again(tmp_path: Path) -> None:
    await kept(tmp_path)
    keeper = Keeper()
    keeper.dies = True
    assert await restored(tmp_path, keeper=keeper) is None
    assert await restored(tmp_path) is None


async def test_a_file_that_is_excluded_now_is_not_restored(tmp_path: Path) -> None:
    await kept(tmp_path)
    config = Config(completion=Completion(disabled_languages=["python"]))
    assert await restored(tmp_path, config=config) is None


async def test_the_oldest_go_when_it_is_full(tmp_path: Path) -> None:
    for i in range(40):
        document = worked_on(documents := Documents(), f"{i}.py")
        document.prompts[0].above += "x" * 60_000
        warm = PromptCache(documents, StateFolder(tmp_path))
        warm.use(Keeper(), DocumentFilter(Config()), 1)
        assert await warm.keep(document)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 1 << 20
    assert 5 < len(list(tmp_path.glob("*.state"))) < 20


async def test_files_left_by_a_killed_server_are_deleted(tmp_path: Path) -> None:
    for name, age in {"old.draft": 3600, "old.about": 3600, "new.draft": 0}.items():
        file = tmp_path / name
        file.write_text("x")
        then = file.stat().st_mtime - age
        os.utime(file, (then, then))
    await kept(tmp_path)
    names = {file.name for file in tmp_path.iterdir()}
    assert "new.draft" in names
    assert not names & {"old.draft", "old.about"}


async def test_nothing_is_kept_where_the_user_wants_none(tmp_path: Path) -> None:
    await kept(tmp_path / "prompts", mb=0)
    assert not (tmp_path / "prompts").exists()


async def test_a_folder_that_cannot_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "prompts").write_text("in the way")
    documents = Documents()
    warm = PromptCache(documents, StateFolder(tmp_path / "prompts"))
    warm.use(Keeper(), DocumentFilter(Config()), 1)
    for name in ("a.py", "b.py"):
        assert not await warm.keep(worked_on(documents, name))
    assert len(caplog.records) == 1


async def test_at_the_end_the_last_documents_are_kept(tmp_path: Path) -> None:
    documents = Documents()
    warm = PromptCache(documents, StateFolder(tmp_path))
    warm.use(Keeper(), DocumentFilter(Config()), 1)
    for name in ("a.py", "b.py", "c.py"):
        worked_on(documents, name)
    await warm.aclose()
    assert len(list(tmp_path.glob("*.state"))) == 2
