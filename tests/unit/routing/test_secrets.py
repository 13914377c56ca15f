"""What is found, what is left alone, and that a placeholder comes back whole."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nearfield.routing import secrets
from nearfield.routing.linear import compiled
from nearfield.routing.redact import Restorer, redact_chat, redact_infill, redact_texts
from nearfield.routing.withhold import Withheld
from nearfield.types import ChatRequest, Delta, Finish, InfillRequest, Message, Role, Tool

# The corpus is made anew from its seed; these two were not looked at while patterns were written.
SEEDS = (2024, 77)
WORST_RECALL = 0.99
WORST_PRECISION = 0.99
WORST_FORMS = 0.95


def _left(needle: str, text: str) -> bool:
    """Whether the secret, or a piece of it that is of use, is still in `text`."""
    size = 12
    pieces = [needle[i : i + size] for i in range(0, len(needle) - size + 1, size)] or [needle]
    return any(piece in text for piece in pieces)


@pytest.mark.parametrize("seed", SEEDS)
def test_keys_of_every_kind_are_replaced(corpus: ModuleType, seed: int) -> None:
    cases = list(corpus.keys(seed))
    assert len(cases) >= 200 and len({case.kind for case in cases}) >= 20
    missed = [
        case
        for case in cases
        if _left(case.needle, redact_texts([f"a = 1\n{case.text}\nb()"])[0][0])
    ]
    assert len(missed) <= len(cases) * (1 - WORST_RECALL), [(c.kind, c.text) for c in missed]


@pytest.mark.parametrize("seed", SEEDS)
def test_text_that_only_resembles_a_key_survives(
    bench: Callable[[str], ModuleType], seed: int
) -> None:
    cases = list(bench("secret_lookalikes").lookalikes(seed))
    assert len({case.kind for case in cases}) >= 150
    lost = [
        case
        for case in cases
        if case.needle not in redact_texts([f"a = 1\n{case.text}\nb()"])[0][0]
    ]
    assert len(lost) <= len(cases) * (1 - WORST_PRECISION), [(c.kind, c.text) for c in lost]


def test_secrets_are_found_however_they_are_written(bench: Callable[[str], ModuleType]) -> None:
    """Three hundred forms with a kind each in turn; the bench crosses them all."""
    module = bench("secret_forms")
    cases = list(module.cases(11))[:: len(module.KINDS) - 1]
    assert len(cases) >= 300 and len({case.kind for case in cases}) >= 20
    missed = [
        case
        for case in cases
        if module.missed(case, redact_texts([f"a = 1\n{case.text}\nb()"])[0][0])
    ]
    assert len(missed) <= len(cases) * (1 - WORST_FORMS), [(c.kind, c.text) for c in missed]


def test_our_own_source_survives() -> None:
    """Code about tokens and secrets, hundreds of kilobytes of it, with no secret in it."""
    folder = Path(secrets.__file__).parents[1]
    found = [
        (path.name, text[one.start - 20 : one.end + 5])
        for path in folder.rglob("*.py")
        for text in [path.read_text("utf-8")]
        for one in secrets.find(text)
    ]
    assert found == []


def test_equal_secrets_share_a_placeholder_even_without_evidence() -> None:
    secret = "Falcon!" + "7tQz9w"
    texts = [f'password = "{secret}"', f"log: {secret} was used", "nothing"]
    clean, redactions = redact_texts(texts)
    assert clean == [
        'password = "REDACTED_SECRET_0001"', "log: REDACTED_SECRET_0001 was used", "nothing",
    ]  # fmt: skip
    assert redactions.secrets == {"REDACTED_SECRET_0001": secret}


def test_a_placeholder_in_the_text_is_not_taken_for_ours() -> None:
    secret = "Falcon!" + "7tQz9w"
    clean, redactions = redact_texts([f"REDACTED_SECRET_0001\npassword = '{secret}'"])
    assert clean[0].startswith("REDACTED_SECRET_0001\n") and secret not in clean[0]
    restored = Restorer(redactions).feed(Delta(clean[0], finish=Finish.STOP))
    assert restored is not None
    assert restored.text == f"REDACTED_SECRET_0001\npassword = '{secret}'"


def test_a_users_pattern() -> None:
    own = [compiled(r"EMP-\d+"), compiled(r"host=(\w+)")]
    clean, redactions = redact_texts(["EMP-4711 host=secretive x"], own)
    assert clean == ["REDACTED_SECRET_0001 host=REDACTED_SECRET_0002 x"]
    assert redactions.kinds == (("your pattern", 2),)


@pytest.mark.parametrize("cut", range(32))
def test_a_secret_around_the_cursor_is_replaced(cut: int) -> None:
    secret = "Falcon!" + "7tQz9wRk3"
    text = f'password = "{secret}"\nrest()'
    request = InfillRequest("d", "a.py", "python", text[:cut], text[cut:], typed=text[:cut])
    clean, redactions = redact_infill(request)
    for part in (clean.prefix, clean.suffix, clean.typed):
        assert not _left(secret, part) and not any(secret[n : n + 6] in part for n in range(11))
    assert clean.prefix.endswith(clean.typed)
    assert redactions.secrets


def _made(corpus: ModuleType) -> dict[str, tuple[str, str]]:
    """A text with a secret in it, and the secret, by name."""
    rng = random.Random(8)
    pem, key, token = (
        corpus.pem(rng),
        corpus.pick(rng, corpus.ALNUM, 32),
        corpus.KEYS["github"](rng),
    )
    return {
        "private key": (f'KEY = """{pem}"""\nx()\n', "".join(pem.split("\n")[1:-1])),
        "vendor's token": (f't = "{token}"\nx()\n', token[4:]),
        "named key": (f'api_key = "{key}"\nx()\n', key),
        "key on its own line": (f"first: 1\napi_key:\n  {key}\nb: 2\n", key),
        "password": ("db_password = 'Falcon!7tQz9wRk3'\nx()\n", "Falcon!7tQz9wRk3"),
    }


# Less of a secret than this is of no use to anybody; so much of one that is just being typed, or of
# the end of one whose beginning nobody sees, cannot be told from a word.
TYPED_CHARS = 11
TAIL_CHARS = 15


def _longest_left(secret: str, text: str) -> int:
    flat = re.sub(r"\s", "", text)
    longest = 0
    for start in range(len(secret)):
        while secret[start : start + longest + 1] in flat and start + longest < len(secret):
            longest += 1
    return longest


@pytest.mark.parametrize(
    "name", ["private key", "vendor's token", "named key", "key on its own line", "password"]
)
@pytest.mark.parametrize("rest_follows", [True, False])
def test_a_secret_around_or_before_the_cursor(
    corpus: ModuleType, name: str, rest_follows: bool
) -> None:
    text, secret = _made(corpus)[name]
    for cut in range(len(text)):
        suffix = text[cut:] if rest_follows else "\nfoo()\n"
        request = InfillRequest("d", "a.py", "python", text[:cut], suffix, typed="x")
        clean, _ = redact_infill(request)
        left = _longest_left(secret, f"{clean.prefix} | {clean.suffix} | {clean.typed}")
        assert left <= TYPED_CHARS, (cut, clean)


@pytest.mark.parametrize(
    "name", ["private key", "vendor's token", "named key", "key on its own line"]
)
def test_a_secret_that_a_windows_edge_cuts(corpus: ModuleType, name: str) -> None:
    text, secret = _made(corpus)[name]
    for cut in range(1, len(text)):
        [end], _ = redact_texts([text[:cut]])
        assert _longest_left(secret, end) <= TYPED_CHARS, (cut, end)
        if text[cut - 1] == "\n" or cut > text.index(secret[:8]):
            [start], _ = redact_texts([text[cut:]])
            assert _longest_left(secret, start) <= TAIL_CHARS, (cut, start)


def test_thousands_of_repeated_secrets_are_replaced(corpus: ModuleType) -> None:
    rng = random.Random(9)
    keys = [corpus.pick(rng, corpus.ALNUM, rng.randrange(20, 40)) for _ in range(3000)]
    named, bare = "".join(f"api_key = '{key}'\n" for key in keys), " ".join(keys)
    clean, redactions = redact_texts([named, bare])
    found = set(redactions.secrets.values())
    assert len(found) > 0.99 * len(keys)
    assert not [key for key in keys if key in clean[1] and key in found]


@settings(deadline=None)
@given(
    text=st.lists(
        st.sampled_from(["REDACTED_SECRET_0001", "REDACTED_SECRET_0002", "RED", "_", "x = ", "\n"]),
        max_size=12,
    ).map("".join),
    cuts=st.lists(st.integers(0, 200), max_size=12),
)
def test_a_placeholder_is_restored_in_any_chunks(text: str, cuts: list[int]) -> None:
    _, redactions = redact_texts(["password = 'Falcon!7tQz'\npasswd = 'Heron?8sPy'"])
    assert len(redactions.secrets) == 2
    restorer = Restorer(redactions)
    bounds = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in itertools.pairwise(bounds)]
    said, logprobs = "", 0
    for piece in pieces:
        delta = restorer.feed(Delta(piece, (-1.0,)))
        if delta is not None:
            said += delta.text
            logprobs += len(delta.logprobs)
    last = restorer.feed(Delta(finish=Finish.STOP))
    assert last is not None and last.finish is Finish.STOP
    said += last.text
    expected = text
    for name, secret in redactions.secrets.items():
        expected = expected.replace(name, secret)
    assert said == expected
    assert logprobs + len(last.logprobs) == len(pieces)


PIECES = (
    "\\",
    '"',
    "\n",
    "'",
    "password = ",
    "api_key: ",
    "Falcon!7tQz9",
    "kT8sW2nB5xQ9zR4v",
    " ",
    "{",
    "}",
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
@example('password = "api_key: "')
def test_tool_calls_are_redacted_and_restored(text: str) -> None:
    """They are looked through as JSON, in which a placeholder must not split an escape."""
    tool = Tool("read", text, {"default": text, "enum": [text]})
    request = ChatRequest((Message(Role.USER, "hi"),), tools=(tool,), schema={"title": text})
    clean, redactions = redact_chat(request)
    restored = json.dumps([clean.tools[0].description, clean.tools[0].parameters, clean.schema])
    for name, secret in redactions.secrets.items():
        restored = restored.replace(name, secret)
    assert json.loads(restored) == [text, {"default": text, "enum": [text]}, {"title": text}]


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_found_the_same_way_and_in_order(text: str) -> None:
    found = secrets.find(text)
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))
    assert all(0 <= one.start < one.end <= len(text) for one in found)


@pytest.mark.parametrize(
    ("path", "withheld"),
    [
        (".env", True),
        ("config/.env.production", True),
        (".ENV", True),
        (".env.example", False),
        ("deploy/server.pem", True),
        ("home/.ssh/config", True),
        ("id_ed25519", True),
        ("id_ed25519.pub", False),
        ("terraform.tfstate", True),
        ("src/credentials.py", False),
        ("credentials.json", True),
        ("src/secrets.py", False),
        ("src/main.py", False),
        ("build/out.js", True),
        ("build/keep.js", False),
        ("nested/private/a.py", True),
        ("nested/open/a.py", False),
        ("docs/internal.md", True),
        ("../outside/.env", True),
        ("../outside/a.py", False),
    ],
)
@pytest.mark.parametrize("absolute", [False, True])
def test_withheld_files_are_never_sent(
    workspace: Path, path: str, withheld: bool, absolute: bool
) -> None:
    (workspace / ".gitignore").write_text("build/*\n!build/keep.js\n\\\n", "utf-8")
    (workspace / "nested").mkdir()
    (workspace / "nested" / ".nearfieldignore").write_text("private/\n", "utf-8")
    rules = Withheld(["docs/internal.md"])
    name = str(workspace / path) if absolute else path
    assert bool(rules.why(str(workspace), name)) is withheld


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_path_out_of_the_workspace_is_never_sent(workspace: Path, tmp_path: Path) -> None:
    """A repository may hold a link to any file of the user's."""
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "a.py").write_text("a = 1\n", "utf-8")
    (workspace / "link.py").symlink_to(outside / "a.py")
    (workspace / "folder").symlink_to(outside)
    (workspace / "b.py").write_text("b = 1\n", "utf-8")
    (workspace / "inside.py").symlink_to("b.py")
    alias = tmp_path / "alias"
    alias.symlink_to(workspace)
    rules = Withheld()
    for name in ("link.py", "folder/a.py"):
        for folder, path in itertools.product((workspace, alias), (name, str(workspace / name))):
            ruling = rules.why(str(folder), path)
            assert ruling is not None and "by a link" in ruling.sentence
    for folder in (workspace, alias):
        assert not rules.why(str(folder), "inside.py")
        # Named by the user, not by the repository.
        assert not rules.why(str(folder), str(outside / "a.py"))


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ('let password = String::from("{}");', ""),
        ('secret!: string = "{}"', ""),
        ("token!: '{}'", ""),
        ("mot_de_passe = '{}'", ""),
        ("password: Vault::Entry,", "Vault::Entry"),
        ("let password = Secret::read();", "Secret::read"),
        ("token!: string;", "string"),
    ],
)
def test_declarations_of_other_languages(line: str, kept: str) -> None:
    secret = "k7Qz!pR2vX9m"
    text = f"x = 1\n{line.format(secret)}\n"
    clean = redact_texts([text])[0][0]
    assert secret not in clean and (not kept or clean == text)


def test_a_changed_ignore_file_counts_at_once(workspace: Path) -> None:
    rules = Withheld()
    assert not rules.why(str(workspace), "a.py")
    (workspace / ".gitignore").write_text("a.py\n", "utf-8")
    ruling = rules.why(str(workspace), "a.py")
    assert ruling is not None and ruling.sentence == ".gitignore ignores it"
    (workspace / ".gitignore").unlink()
    assert not rules.why(str(workspace), "a.py")
