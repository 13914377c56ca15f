"""`nearfield models` as a user runs it: the real process, its output and its exit codes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from tests.unit.catalog.gguf_files import hub_entry, linked, model
from werkzeug import Request, Response

from nearfield.catalog.models import Catalog, HubSource, ModelEntry

CONTENT = model() + bytes(range(256)) * 400


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
    (made.config / "catalog.toml").write_text(hub_entry(), encoding="utf-8")

    def resolve(request: Request) -> Response:
        return Response(CONTENT, headers=linked(CONTENT))

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


EDIT_MODELS = [entry for entry in Catalog.load().entries.values() if entry.edit_form]


@pytest.mark.parametrize("entry", EDIT_MODELS, ids=lambda entry: entry.name)
def test_each_model_for_next_edits_comes_from_the_hub_and_serves_them(
    shell: Shell, httpserver: HTTPServer, entry: ModelEntry
) -> None:
    (source,) = entry.sources
    assert isinstance(source, HubSource)
    httpserver.expect_request(
        f"/{source.repo}/resolve/{source.revision}/{source.file}"
    ).respond_with_data(CONTENT, headers=linked(CONTENT))
    done = shell.run("pull", entry.name)
    if entry.sha256:
        # The hub of this test has another file than the one that the catalogue vouches for.
        assert done.returncode != 0
        assert entry.name in done.stderr
        assert not listed(shell, entry.name)["installed"]
        return
    assert done.returncode == 0, done.stderr
    row = listed(shell, entry.name)
    assert Path(row["path"]).read_bytes() == CONTENT
    assert shell.json("use", "edit", entry.name)["model"] == entry.name
    assert "edit" in listed(shell, entry.name)["used_for"]


def test_a_newer_file_on_the_hub_is_told(shell: Shell, httpserver: HTTPServer) -> None:
    assert shell.run("outdated").returncode == 1, "no model is here"
    shell.json("pull", "tiny")
    latest = shell.run("outdated")
    assert (latest.returncode, latest.stdout) == (1, "tiny is the hub's latest.\n")
    httpserver.clear()
    newer = {"X-Linked-Etag": f'"{"0" * 64}"', "X-Linked-Size": "10"}
    httpserver.expect_request("/maker/tiny/resolve/main/tiny.gguf").respond_with_data(
        b"", headers=newer
    )
    outdated = shell.run("outdated")
    assert outdated.returncode == 0
    assert "nearfield models remove tiny && nearfield models pull tiny" in outdated.stdout
    (row,) = shell.json("outdated")
    assert (row["name"], row["outdated"], row["published"]) == ("tiny", True, "0" * 64)
    assert row["here"] == hashlib.sha256(CONTENT).hexdigest()
    httpserver.clear()
    unknown = shell.run("outdated")
    assert unknown.returncode == 3
    assert "tiny: unknown." in unknown.stderr


def test_the_hub_is_searched_and_a_found_file_fetched(shell: Shell, httpserver: HTTPServer) -> None:
    asked = {"search": "tiny coder", "filter": "gguf", "sort": "downloads", "limit": "20"}
    found = httpserver.expect_request("/api/models", query_string={**asked, "full": "true"})
    free = {"id": "maker/tiny", "downloads": 4100, "tags": ["gguf", "license:mit"]}
    found.respond_with_json([free, {"id": "other/closed", "gated": "manual"}])
    files = [
        {"path": "tiny.gguf", "size": len(CONTENT)},
        {"path": "README.md", "size": 3},
        {"path": "tiny-f16.gguf", "size": 1 << 50},
        {"path": "tiny-q8_0-00001-of-00002.gguf", "size": 2 * len(CONTENT)},
    ]
    httpserver.expect_request("/api/models/maker/tiny/tree/main").respond_with_json(files)

    searched = shell.run("search", "tiny", "coder")
    assert searched.returncode == 0
    assert "4,100" in searched.stdout and "needs an account" in searched.stdout
    assert "`nearfield models search maker/tiny`" in searched.stdout
    rows = shell.json("search", "tiny", "coder")
    assert [(row["repo"], row["licence"], row["gated"]) for row in rows] == [
        ("maker/tiny", "mit", False),
        ("other/closed", "", True),
    ]
    listed_files = shell.run("search", "maker/tiny")
    assert "`nearfield models add NAME maker/tiny/tiny.gguf`" in listed_files.stdout
    assert "too large here" in listed_files.stdout and "one part of" in listed_files.stdout
    kinds = [(row["quantisation"], row["part"]) for row in shell.json("search", "maker/tiny")]
    assert kinds == [("", False), ("F16", False), ("Q8_0", True)]

    part = shell.run("add", "mine", "maker/tiny/tiny-q8_0-00001-of-00002.gguf")
    assert (part.returncode, "one part of a model" in part.stderr) == (2, True)
    shell.json("add", "mine", "maker/tiny/tiny.gguf")
    assert Path(shell.json("pull", "mine")[0]["path"]).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["nothing"], 1, "no model of that name"),
        (["maker/empty"], 1, "maker/empty has no GGUF file."),
        (["maker/none"], 3, "/maker/none does not exist (404)."),
        ([" "], 2, "up to 200 characters"),
        (["x" * 201], 2, "up to 200 characters"),
        (["broken"], 3, "answered in an unknown form"),
    ],
)
def test_a_search_that_finds_nothing_says_so(
    shell: Shell, httpserver: HTTPServer, words: list[str], code: int, says: str
) -> None:
    def answer(request: Request) -> Response:
        return Response("[]" if request.args["search"] == "nothing" else "{", mimetype="text/json")

    httpserver.expect_request("/api/models").respond_with_handler(answer)
    httpserver.expect_request("/api/models/maker/empty/tree/main").respond_with_json([])
    httpserver.expect_request("/api/models/maker/none/tree/main").respond_with_data("", status=404)
    done = shell.run("search", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr


def test_what_the_hub_says_is_quoted_where_it_is_part_of_a_command(
    shell: Shell, httpserver: HTTPServer
) -> None:
    odd = {"path": "a`id`.gguf; x.gguf", "size": 3}
    httpserver.expect_request("/api/models/maker/odd/tree/main").respond_with_json([odd])
    httpserver.expect_request("/api/models").respond_with_json([{"id": "maker/$(id)"}])
    assert "'maker/odd/a`id`.gguf; x.gguf'" in shell.run("search", "maker/odd").stdout
    assert "models search 'maker/$(id)'`" in shell.run("search", "odd").stdout


def test_what_does_not_fit_is_counted_and_shown_on_request(shell: Shell) -> None:
    own = shell.config / "catalog.toml"
    huge = hub_entry("huge").replace("memory_mb = 10", "memory_mb = 99_000_000")
    own.write_text(hub_entry() + huge, encoding="utf-8")
    assert not listed(shell, "huge")["here"]["fits"]
    short, whole = shell.run("list"), shell.run("list", "--all")
    assert "tiny" in short.stdout
    assert "huge" not in short.stdout
    assert "models list --all" in short.stderr
    row = next(line for line in whole.stdout.splitlines() if line.startswith("huge"))
    assert "too large here" in row
    name = "qwen2.5-coder-0.5b-instruct"
    rate = listed(shell, name)["here"]["tokens_per_second"]
    row = next(line for line in whole.stdout.splitlines() if line.startswith(f"{name} "))
    assert "tokens/s" in whole.stdout.splitlines()[0]
    assert rate is None or f" ~{rate:.0f} " in row, "None where a GPU was found"


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


def test_a_users_own_file_from_add_to_remove(shell: Shell, tmp_path: Path) -> None:
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


def test_recommend_names_a_model_for_this_machine(shell: Shell) -> None:
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
        (["use", "search", "tiny"], 2, "no role"),
        (["use", "complete", __file__], 2, "is not a sound GGUF file"),
        (["add", "mine", "nosuch"], 2, "neither a file"),
        (["add", "Mine!", "me/it/m.gguf"], 2, "small letters"),
        (["add", "mine", "me/it/m.gguf", "--fim", "nosuch"], 2, "is no template"),
        (["pull", "qwen2.5-coder-7b"], 3, "nearfield models add qwen2.5-coder-7b PATH"),
        (["list", "--role", "cook"], 2, "It may be complete, edit, chat"),
    ],
)
def test_each_failure_has_a_message_and_exit_code(
    shell: Shell, arguments: list[str], code: int, says: str
) -> None:
    done = shell.run(*arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    if code != 1:
        told = shell.run(*arguments, "--json")
        assert told.returncode == code
        answer = json.loads(told.stdout)
        assert says in f"{answer['error']} {answer['hint']}"


def test_a_bad_entry_of_the_user_is_a_warning(shell: Shell) -> None:
    with (shell.config / "catalog.toml").open("a", encoding="utf-8") as file:
        file.write("\n[models.bad]\ntitle = 3\n")
    done = shell.run("list")
    assert done.returncode == 0
    assert "warning: " in done.stderr
    assert "models.bad" in done.stderr
    assert "tiny" in done.stdout
