"""The files of the provenance: private, without code, whole after every kind of accident."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config, Files
from nearfield.features.accepted import Accepted, Origin
from nearfield.features.provenance import chain, signing, store
from nearfield.features.provenance.chain import ChainHead
from nearfield.features.provenance.signing import KeyPair
from nearfield.features.provenance.store import ProvenanceStore, ProvenanceUnusable
from nearfield.features.provenance.write import Writer, record_of
from nearfield.types import Span

NO_KEY = KeyPair(why="none")
CODE = "total = sum(prices)\nreturn total\n"


@pytest.fixture(scope="module")
def key() -> KeyPair:
    """A real key, from a keyring in memory."""
    held: dict[str, str] = {}
    patch = pytest.MonkeyPatch()
    patch.setattr(signing.keys, "lookup", held.get)
    patch.setattr(signing.keys, "keep_own", held.__setitem__)
    assert signing.key_pair().checking is None  # none is made by looking
    made = signing.key_pair(is_made=True)
    assert made.public and signing.key_pair().public == made.public
    patch.undo()
    return made


def add(kept: ProvenanceStore, key: KeyPair = NO_KEY, count: int = 1, at: float = 1e9) -> None:
    kept.append(lambda secret: [{"at": at, "lines": ["0" * 16]} for _ in range(count)], key, at)


def test_two_batches_are_one_signed_chain(tmp_path: Path, key: KeyPair) -> None:
    kept = ProvenanceStore(tmp_path / "p")
    assert kept.verdict().records == []
    assert not (tmp_path / "p").exists()
    add(kept, key, 2)
    add(kept, key)
    found = kept.verdict(key.checking)
    assert (len(found.records), found.problems, found.unsigned) == (3, [], [])
    assert kept.append(lambda secret: [], key) == 0


def test_an_altered_signature_and_record_are_found_with_the_real_key(
    tmp_path: Path, key: KeyPair
) -> None:
    kept = ProvenanceStore(tmp_path)
    add(kept, key)
    file = tmp_path / "records.jsonl"
    content = file.read_bytes()
    for old, new in ((b'"sig":"', b'"sig":"F'), (b"1000000000.0", b"1000000001.0")):
        assert old in content
        file.write_bytes(content.replace(old, new))
        assert kept.verdict(key.checking).problems, old


def test_records_without_a_key_are_told_apart_from_those_with_one(
    tmp_path: Path, key: KeyPair
) -> None:
    kept = ProvenanceStore(tmp_path)
    add(kept, key, 2)
    add(kept, NO_KEY, 2)
    assert kept.verdict(key.checking).unsigned == [3, 4]
    add(kept, key)
    found = kept.verdict(key.checking)
    assert (found.problems, found.unsigned) == ([], [3, 4])
    assert found.records[4][chain.UNSIGNED] is True


def test_a_cut_end_stays_a_problem_after_later_records(tmp_path: Path, key: KeyPair) -> None:
    kept = ProvenanceStore(tmp_path)
    add(kept, key)
    before = (tmp_path / "records.jsonl").read_bytes()
    add(kept, key)
    (tmp_path / "records.jsonl").write_bytes(before)
    assert kept.verdict(key.checking).problems == ["Record 2 is missing at the end."]
    add(kept, key)
    assert kept.verdict(key.checking).problems == [
        "Before record 2 was written, the end of the chain had been altered or removed."
    ]


@pytest.mark.parametrize("lost", ["records.jsonl", "head.json"])
def test_a_lost_file_is_a_problem(lost: str, tmp_path: Path) -> None:
    kept = ProvenanceStore(tmp_path)
    add(kept)
    (tmp_path / lost).unlink()
    assert kept.verdict().problems
    add(kept)
    assert kept.verdict().problems


def test_a_line_that_a_killed_process_began_is_told_and_cut_off(tmp_path: Path) -> None:
    kept = ProvenanceStore(tmp_path)
    add(kept)
    file = tmp_path / "records.jsonl"
    file.write_bytes(file.read_bytes() + b'{"at":1.0,"li')
    found = kept.verdict()
    assert (found.problems, found.is_torn) == ([], True)
    add(kept)
    found = kept.verdict()
    assert (found.problems, found.is_torn, len(found.records)) == ([], False, 2)


def test_a_line_that_nests_too_deeply_is_an_alteration(tmp_path: Path) -> None:
    kept = ProvenanceStore(tmp_path)
    add(kept)
    file = tmp_path / "records.jsonl"
    file.write_bytes(file.read_bytes() + b"[" * 200_000 + b"\n")
    add(kept)
    found = kept.verdict()
    assert found.problems[0] == "Record 2 cannot be read: it was altered."
    assert len(found.records) == 3


@pytest.mark.parametrize("there", ["file", "link"])
def test_what_is_no_folder_is_no_empty_record(there: str, tmp_path: Path) -> None:
    kept = ProvenanceStore(tmp_path / "p")
    if there == "link":
        kept.folder.symlink_to(tmp_path / "nowhere" / "p")
    else:
        kept.folder.write_text("")
    with pytest.raises(ProvenanceUnusable):
        kept.verdict()


def test_what_a_killed_process_was_writing_is_deleted_later(tmp_path: Path) -> None:
    kept = ProvenanceStore(tmp_path)
    add(kept)
    for name, age in (("tmpabcdefgh.records.jsonl", 7_200), ("tmpabcdefgi.head.json", 0)):
        (tmp_path / name).write_text("half")
        at = time.time() - age
        os.utime(tmp_path / name, (at, at))
    add(kept)
    assert [path.name for path in tmp_path.glob("tmp*")] == ["tmpabcdefgi.head.json"]


def test_a_process_killed_before_it_wrote_the_head_is_no_problem(
    tmp_path: Path, key: KeyPair
) -> None:
    kept = ProvenanceStore(tmp_path)
    add(kept, key)
    head = (tmp_path / "head.json").read_bytes()
    add(kept, key, 2)
    (tmp_path / "head.json").write_bytes(head)
    assert kept.verdict(key.checking).problems == []
    add(kept, key)
    found = kept.verdict(key.checking)
    assert (found.problems, found.unsigned, len(found.records)) == ([], [], 4)


def test_a_full_disk_leaves_the_chain_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = ProvenanceStore(tmp_path)
    add(kept)
    before = (tmp_path / "records.jsonl").read_bytes()
    real, calls = os.write, list[int]()

    def full(handle: int, content: Any) -> int:
        calls.append(handle)
        if len(calls) == 1:
            return real(handle, bytes(content)[:7])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(ProvenanceUnusable, match="cannot be used"):
            add(kept)
    assert len(calls) == 2
    assert (tmp_path / "records.jsonl").read_bytes() == before
    assert kept.verdict().problems == []


@pytest.mark.parametrize("is_signed", [True, False])
def test_old_records_and_those_beyond_the_size_are_pruned_to_a_checkpoint(
    is_signed: bool, tmp_path: Path, key: KeyPair
) -> None:
    by = key if is_signed else NO_KEY
    kept = ProvenanceStore(tmp_path, max_bytes=3_000)
    for number in range(60):
        add(kept, by, 1, 1e9 + number)
    found = kept.verdict(by.checking)
    assert (tmp_path / "records.jsonl").stat().st_size <= 3_000
    assert found.problems == []
    assert found.pruned + len(found.records) == 60
    assert found.pruned > 30
    later = 1e9 + (store.KEPT_DAYS + 1) * store.DAY
    add(ProvenanceStore(tmp_path), by, 1, later)
    found = kept.verdict(by.checking)
    assert (found.problems, found.pruned, len(found.records)) == ([], 60, 1)
    # The checkpoint is under the head, and under the key.
    lines = (tmp_path / "records.jsonl").read_bytes().split(b"\n")
    (tmp_path / "records.jsonl").write_bytes(b"\n".join(lines[1:]))
    assert kept.verdict(by.checking).problems


def test_a_process_killed_while_it_prunes_leaves_a_whole_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = ProvenanceStore(tmp_path)
    add(kept, count=3, at=1e9)
    real, wrote = store.write_private, list[str]()
    later = 1e9 + (store.KEPT_DAYS + 1) * store.DAY
    for stop in ("head.json", "records.jsonl"):
        copy = tmp_path / stop.partition(".")[0]
        copy.mkdir()
        for name in ("records.jsonl", "head.json", "secret"):
            (copy / name).write_bytes((tmp_path / name).read_bytes())
        wrote.clear()

        def killed(path: Path, content: bytes, stop: str = stop) -> None:
            real(path, content)
            wrote.append(path.name)
            # The first head is that of the new record.
            if path.name == stop and len(wrote) > 1:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(store, "write_private", killed)
            with pytest.raises(KeyboardInterrupt):
                add(ProvenanceStore(copy), at=later)
        assert ProvenanceStore(copy).verdict().problems == []
        add(ProvenanceStore(copy), at=later)
        assert ProvenanceStore(copy).verdict().problems == []


WRITES = """
import sys
from pathlib import Path
from nearfield.features.provenance.signing import KeyPair
from nearfield.features.provenance.store import ProvenanceStore
for number in range(20):
    ProvenanceStore(Path(sys.argv[1])).append(lambda secret: [{"at": 1e9}], KeyPair(), 1e9)
"""


def test_two_processes_write_one_chain(tmp_path: Path) -> None:
    both = [subprocess.Popen([sys.executable, "-c", WRITES, str(tmp_path)]) for _ in range(2)]
    assert [one.wait(120) for one in both] == [0, 0]
    found = ProvenanceStore(tmp_path).verdict()
    assert (found.problems, len(found.records)) == ([], 40)


# --- what a record holds ----------------------------------------------------------------------


def accepted(path: Path, text: str = CODE, root: Path | None = None) -> Accepted:
    origin = Origin("embedded", "qwen2.5-coder-0.5b-instruct", "ab" * 32)
    where = str(root) if root else None
    return Accepted(
        "s-1", "suggestion", str(path), where, text, 1e9, Span(0, len(text)), "", origin
    )


@pytest.fixture
def writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    monkeypatch.setattr(signing, "key_pair", lambda is_made=False: NO_KEY)
    return Writer(tmp_path / "kept")


def test_no_code_is_written_and_the_files_are_private(tmp_path: Path, writer: Writer) -> None:
    text = "password = 'hunter2'\n}\n"
    made = accepted(tmp_path / "a.py", text)
    assert writer.write([made], FolderConfigs(Config()), 0.0) == 1
    files = sorted((tmp_path / "kept").iterdir())
    assert [file.name for file in files] == ["head.json", "lock", "records.jsonl", "secret"]
    content = b"".join(file.read_bytes() for file in files)
    assert b"password" not in content
    assert b"hunter2" not in content
    assert b"abababab" not in content  # the hash of the prompt is keyed, too
    if os.name != "nt":
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700


def test_a_record_names_its_model_by_hash_and_its_lines_by_keyed_hashes(
    tmp_path: Path, writer: Writer
) -> None:
    writer.write([accepted(tmp_path / "a.py")], FolderConfigs(Config()), 0.0)
    kept = ProvenanceStore(tmp_path / "kept")
    (record,), secret = kept.verdict().records, kept.secret()
    assert len(record["model_sha256"]) == 64  # the catalogue's
    assert record["lines"] == record_of(secret, accepted(tmp_path / "a.py"), "")["lines"]
    assert record["lines"] != record_of(b"another", accepted(tmp_path / "a.py"), "")["lines"]
    assert record_of(b"x", accepted(tmp_path / "a.py", " \n"), "") == {}


def test_files_that_are_ignored_or_withheld_leave_no_record(tmp_path: Path, writer: Writer) -> None:
    root = tmp_path / "work"
    (root / ".git").mkdir(parents=True)
    (root / ".gitignore").write_text("build/\n")
    config = FolderConfigs(Config(files=Files(exclude=["*.gen.py"])))
    for name in ("build/a.py", ".env", "a.gen.py"):
        assert writer.write([accepted(root / name, root=root)], config, 0.0) == 0, name
    assert writer.write([accepted(root / "a.py", root=root)], config, 0.0) == 1
    assert ChainHead.read((tmp_path / "kept" / "head.json").read_bytes()) is not None
