"""`nearfield models` as a user runs it: the real process, its output and its exit codes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from pytest_httpserver import HTTPServer
from tests.unit.catalog.gguf_files import model
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from werkzeug import Request, Response

CONTENT = b"GGUF" + bytes(range(256)) * 400
OWN = """
[models.tiny]
title = "Tiny"
sources = [{ kind = "hub", repo = "maker/tiny", file = "tiny.gguf" }]
file = "tiny.gguf"
licence = "MIT"
context = 4096
roles = ["complete", "chat"]
chat = "gguf"
fim = "qwen"
memory_mb = 10
"""


class Shell:
    """Runs `nearfield models` with settings and a cache of its own; its hub is the test's."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.config = folder / "config"
        self.config.mkdir()
        self.cache = folder / "cache"
        own = {
            "NEARFIELD_CACHE_DIR": str(self.cache),
            "NEARFIELD_CONFIG_DIR": str(self.config),
            "HF_ENDPOINT": endpoint,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
        }
        drop = ("HF_TOKEN", "HF_HUB_OFFLINE", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL")
        kept = {name: value for name, value in os.environ.items() if name not in drop}
        self.environ = {**kept, **own}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nearfield", "models", *arguments]
        return subprocess.run(
            command, env=self.environ, capture_output=True, text=True, timeout=120
        )

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def shell(tmp_path: Path, httpserver: HTTPServer) -> Shell:
    """A shell whose catalogue has `tiny`, which the test's hub serves."""
    made = Shell(tmp_path, httpserver.url_for("").rstrip("/"))
    (made.config / "catalog.toml").write_text(OWN, encoding="utf-8")

    def resolve(request: Request) -> Response:
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        headers = {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(CONTENT))}
        return Response(CONTENT, headers=headers)

    httpserver.expect_request("/maker/tiny/resolve/main/tiny.gguf").respond_with_handler(resolve)
    return made


def listed(shell: Shell, name: str = "tiny") -> dict[str, Any]:
    rows = [row for row in shell.json("list") if row["name"] == name]
    assert len(rows) == 1
    return rows[0]


def test_from_pull_to_remove(shell: Shell) -> None:
    before = listed(shell)
    assert (before["installed"], before["bytes"], before["used_for"]) == (False, None, [])
    assert before["here"]["fits"]
    assert shell.run("list", "--installed").returncode == 1

    pulled = shell.run("pull", "tiny")
    assert pulled.returncode == 0
    assert pulled.stdout.startswith("tiny is ready: ")
    # One line for the stage, no bar: standard error is no terminal.
    assert pulled.stderr == "tiny: fetching 0 MB from the hub's maker/tiny\n"

    after = listed(shell)
    assert after["installed"]
    assert after["bytes"] == len(CONTENT)
    assert after["used_for"] == ["complete", "chat"]
    assert Path(after["path"]).read_bytes() == CONTENT
    table = shell.run("list", "--installed")
    assert table.returncode == 0
    assert "in use: complete, chat" in table.stdout
    assert shell.json("pull", "tiny")[0]["path"] == after["path"]

    removed = shell.json("remove", "tiny")
    assert removed["freed_bytes"] > len(CONTENT)
    assert removed["unregistered"]
    assert not Path(after["path"]).exists()
    assert shell.run("remove", "tiny").returncode == 2


def test_a_pull_tells_its_steps_to_other_programs(shell: Shell) -> None:
    done = shell.run("pull", "tiny", "--json", "--steps")
    assert done.returncode == 0
    steps = [json.loads(line) for line in done.stderr.splitlines()]
    assert [steps[0]["phase"], steps[-1]["phase"]] == ["fetching", "done"]
    assert {"phase", "source", "done", "total"} == set(steps[0])
    assert steps[-1]["done"] == steps[-1]["total"] == len(CONTENT)
    assert json.loads(done.stdout)[0]["name"] == "tiny"


def test_use_writes_the_setting_and_keeps_the_rest(shell: Shell) -> None:
    config = shell.config / "config.toml"
    config.write_text("# Mine.\n[log]\nlevel = 'error'\n", encoding="utf-8")
    done = shell.run("use", "complete", "tiny")
    assert done.returncode == 0
    assert "nearfield models pull tiny" in done.stdout
    text = config.read_text(encoding="utf-8")
    assert text.startswith("# Mine.")
    expected = {"log": {"level": "error"}, "models": {"complete": "tiny"}}
    assert tomllib.loads(text) == expected
    assert shell.json("use", "complete", "auto")["model"] == ""
    assert tomllib.loads(config.read_text(encoding="utf-8"))["models"] == {"complete": ""}


def test_a_file_of_ones_own_from_add_to_remove(shell: Shell, tmp_path: Path) -> None:
    own = tmp_path / "my model.gguf"
    own.write_bytes(model()[:-1])
    cut = shell.run("add", "mine", str(own))
    assert (cut.returncode, "the file is cut" in " ".join(cut.stderr.split())) == (2, True)
    own.write_bytes(model())
    added = shell.run("add", "mine", str(own), "--licence", "MIT", "--role", "complete")
    assert added.returncode == 0
    assert "nearfield models use complete mine" in added.stdout
    row = listed(shell, "mine")
    assert (row["path"], row["licence"], row["roles"]) == (str(own), "MIT", ["complete"])
    shell.json("use", "complete", "mine")
    assert listed(shell, "mine")["used_for"] == ["complete"]
    assert shell.run("remove", "mine").returncode == 0
    assert own.exists()


STATIC = """
[models.words]
title = "Words"
sources = [{ kind = "hub", repo = "maker/words", file = "model.safetensors" }]
file = "model.safetensors"
beside = ["tokenizer.json"]
licence = "MIT"
context = 0
roles = ["search"]
memory_mb = 10
"""


def words() -> dict[str, bytes]:
    """A static embedding of two words, in model2vec's format."""
    vocabulary = {"[UNK]": 0, "quaggle": 1, "html": 2}
    tokenizer = tokenizers.Tokenizer(WordLevel(vocabulary, "[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    shape = {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24]}
    header = json.dumps({"embeddings": shape}).encode()
    table = struct.pack("<Q", len(header)) + header + struct.pack("<6f", 9, 9, 1, 0, 1, 0)
    return {"model.safetensors": table, "tokenizer.json": tokenizer.to_str().encode()}


@pytest.fixture
def static(shell: Shell, httpserver: HTTPServer) -> Shell:
    """The shell with `words` in its catalogue too."""
    catalogue = shell.config / "catalog.toml"
    catalogue.write_text(catalogue.read_text("utf-8") + STATIC, encoding="utf-8")

    def resolve(request: Request) -> Response:
        name = request.path.rpartition("/")[2]
        content = words()[name]
        blob = hashlib.sha1(b"blob %d\0%s" % (len(content), content), usedforsecurity=False)
        digest = hashlib.sha256(content) if name == "model.safetensors" else blob
        headers = {"X-Repo-Commit": "c0ffee", "X-Linked-Etag": f'"{digest.hexdigest()}"'}
        return Response(content, headers={**headers, "X-Linked-Size": str(len(content))})

    address = re.compile("/maker/words/resolve/(main|c0ffee)/[a-z.]+")
    httpserver.expect_request(address).respond_with_handler(resolve)
    return shell


def test_a_static_embedding_from_pull_to_remove(static: Shell, tmp_path: Path) -> None:
    pulled = static.run("pull", "words")
    assert pulled.returncode == 0, pulled.stderr
    assert "Next: `nearfield models use search words`." in pulled.stdout
    assert pulled.stderr == "words: fetching 0 MB from the hub's maker/words\n"
    row = listed(static, "words")
    assert (row["installed"], row["used_for"]) == (True, [])
    assert row["bytes"] == sum(map(len, words().values()))
    assert (row["here"]["fits"], row["here"]["tokens_per_second"]) == (True, None)

    used = static.run("use", "search", "words")
    assert used.returncode == 0 and "search is served by words" in used.stdout
    settings = tomllib.loads((static.config / "config.toml").read_text("utf-8"))
    assert settings == {"index": {"static_model": "words"}}
    assert "in use: search" in static.run("list", "--role", "search").stdout

    # It is what answers.
    work = tmp_path / "work"
    work.mkdir()
    (work / "page.py").write_text("def render(template):\n    return html(template)\n")
    (work / "net.py").write_text("def connect(host):\n    return open_socket(host)\n")

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "nearfield", *arguments]
        return subprocess.run(
            line, env=static.environ, cwd=work, capture_output=True, text=True, timeout=120
        )

    assert command("search", "what is a quaggle").stdout.startswith("page.py:")
    assert "words, 2 dimensions" in command("doctor", "--quick").stdout

    # A table that is damaged, and then gone, is said, and the shipped one answers.
    Path(row["path"]).write_bytes(b"rotten")
    damaged = static.run("list")
    assert "damaged" in damaged.stdout and "models pull words" in damaged.stderr
    assert static.json("remove", "words")["freed_bytes"] > 0
    assert not Path(row["path"]).parent.exists()
    indexed = command("index", "--no-vectors")
    assert indexed.returncode == 0
    assert indexed.stderr.count("index.static_model = 'words' cannot be used") == 1
    assert "The shipped one is used." in indexed.stderr
    assert "'words' cannot be used" in command("doctor", "--quick").stdout
    assert static.json("use", "search", "auto")["model"] == ""
    assert command("index", "--no-vectors").stderr == ""


def test_a_folder_for_the_search(static: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    for name, content in words().items():
        (folder / name).write_bytes(content)
    assert static.json("use", "search", str(folder))["model"] == str(folder.resolve())
    (folder / "tokenizer.json").unlink()
    refused = static.run("use", "search", str(folder))
    assert refused.returncode == 2 and "has no tokenizer.json" in refused.stderr


def test_recommend(shell: Shell) -> None:
    done = shell.run("recommend")
    assert done.returncode == 0
    assert "This machine: " in done.stdout
    for item in shell.json("recommend")["roles"]:
        assert item["model"] in done.stdout
        assert item["reason"]
        assert item["memory_mb"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["pull", "tinny"], 2, "Did you mean tiny"),
        (["remove", "nosuch"], 2, "no model called 'nosuch'"),
        (["remove", "qwen2.5-coder-7b"], 1, "not on this machine"),
        (["use", "cook", "tiny"], 2, "no role 'cook'"),
        (["use", "complete", "nosuch"], 2, "no model called 'nosuch'"),
        (["use", "search", "nosuch"], 2, "no model called 'nosuch'"),
        (["use", "search", "tiny"], 2, "tiny is no static embedding"),
        (["use", "search", __file__], 2, "There is no folder"),
        (["use", "chat", "potion-code-16m"], 2, "is a static embedding, so it cannot serve chat"),
        (["pull", "potion-code-16m"], 3, "nearfield models use search FOLDER"),
        (["add", "potion-code-16m", "me/it/m.gguf"], 2, "model.safetensors"),
        (["use", "complete", __file__], 2, "is not a GGUF model"),
        (["add", "mine", "nosuch"], 2, "neither a file"),
        (["add", "Mine!", "me/it/m.gguf"], 2, "small letters"),
        (["add", "mine", "me/it/m.gguf", "--fim", "nosuch"], 2, "is no template"),
        (["pull", "qwen2.5-coder-7b"], 3, "nearfield models add qwen2.5-coder-7b PATH"),
        (["list", "--role", "cook"], 1, "no such model"),
    ],
)
def test_what_goes_wrong_is_said(shell: Shell, arguments: list[str], code: int, says: str) -> None:
    done = shell.run(*arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    if code != 1:
        told = shell.run(*arguments, "--json")
        assert told.returncode == code
        answer = json.loads(told.stdout)
        assert says in f"{answer['error']} {answer['hint']}"


def test_a_bad_entry_of_ones_own_is_a_warning(shell: Shell) -> None:
    with (shell.config / "catalog.toml").open("a", encoding="utf-8") as file:
        file.write("\n[models.bad]\ntitle = 3\n")
    done = shell.run("list")
    assert done.returncode == 0
    assert "warning: " in done.stderr
    assert "models.bad" in done.stderr
    assert "tiny" in done.stdout
