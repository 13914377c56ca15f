"""The command line as a user runs it: real processes, their output and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.prepared import STARTED, forked

import nearfield

SCRIPTED = """
[engine]
enabled = false
[routing.roles]
complete = ["fake"]
[providers.fake]
kind = "scripted"
[[providers.fake.options.answers]]
match = 'def add\\(a, b\\):\\s*(return )?$'
text = "return a + b"
"""
SOURCE = "def add(a, b):\n    \n\n\nprint(add(1, 2))\n"


class Shell:
    """Runs `nearfield` with a home, settings and a cache of its own."""

    def __init__(self, folder: Path, program: Sequence[str] = ()) -> None:
        self.folder = folder
        self.program = program
        self.config = folder / "config"
        self.config.mkdir()
        self.source = folder / "app.py"
        self.source.write_text(SOURCE)
        names = ("PATH", "PYTHONPATH", "SYSTEMROOT")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        own = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "NEARFIELD_CACHE_DIR")
        self.environ = {**kept, **{name: str(folder / "home") for name in own}}
        self.environ["NEARFIELD_CONFIG_DIR"] = str(self.config)

    def settings(self, text: str) -> None:
        """Write the user's config.toml."""
        (self.config / "config.toml").write_text(text)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*(self.program or forked()), *arguments],
            env=self.environ,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path, STARTED)


def check(
    ran: subprocess.CompletedProcess[str], code: int, out: str = "", error: str = ""
) -> subprocess.CompletedProcess[str]:
    """The command ended with `code` and said the two things, without colours or a traceback."""
    assert ran.returncode == code, ran.stderr
    assert out in ran.stdout
    assert error in ran.stderr
    for stream in (ran.stdout, ran.stderr):
        assert "\x1b" not in stream
        assert "Traceback" not in stream
    return ran


def test_version_is_printed(shell: Shell) -> None:
    check(shell.run("--version"), 0, f"nearfield {nearfield.__version__}")


def test_the_help_names_every_command(shell: Shell) -> None:
    ran = check(shell.run("--help"), 0)
    for command in ("serve", "complete", "models", "doctor", "config"):
        assert command in ran.stdout


# --- complete -------------------------------------------------------------------------------------


def test_complete_prints_the_suggestion_alone_into_a_pipe(shell: Shell) -> None:
    shell.settings(SCRIPTED)
    ran = check(shell.run("complete", "app.py:2:5"), 0)
    assert (ran.stdout, ran.stderr) == ("return a + b\n", "")


def test_complete_as_json(shell: Shell) -> None:
    shell.settings(SCRIPTED)
    answer = json.loads(check(shell.run("complete", "app.py:2:5", "--json"), 0).stdout)
    (suggestion,) = answer["suggestions"]
    assert suggestion["text"] == "return a + b"
    assert suggestion["replace"] == {"line": 2, "column": 5, "end_column": 5}
    assert (suggestion["provider"], answer["reason"]) == ("fake", "")
    assert answer["trace"]["shown"] is True
    assert answer["trace"]["uri"] == shell.source.as_uri()


@pytest.fixture
def workspace(shell: Shell) -> Shell:
    """A folder that is surely a workspace, with a file that the one completed imports from."""
    (shell.folder / ".git").mkdir()
    (shell.folder / "lib.py").write_text("def weigh(item: str) -> int:\n    return 1\n")
    shell.source.write_text(f"from lib import weigh\n\n{SOURCE}")
    return shell


def test_complete_explain_lists_the_snippets_of_other_files(workspace: Shell) -> None:
    workspace.settings(SCRIPTED)
    ran = check(workspace.run("complete", "app.py:4:5", "--explain"), 0, error="defines weigh")
    assert "lib.py  definition, about" in ran.stderr
    answer = json.loads(
        check(workspace.run("complete", "app.py:4:5", "--explain", "--json"), 0).stdout
    )
    (row,) = answer["included"]
    assert (row["path"], row["kind"], row["why"]) == ("lib.py", "definition", "defines weigh")
    assert answer["trace"]["included"] == [{key: row[key] for key in ("path", "kind", "tokens")}]


def test_complete_shows_nothing_of_other_files_without_an_index(workspace: Shell) -> None:
    workspace.settings(f"{SCRIPTED}\n[index]\nenabled = false\n")
    check(workspace.run("complete", "app.py:4:5", "--explain"), 0, error="Nothing of other files")


def test_no_suggestion_is_exit_code_1(shell: Shell) -> None:
    shell.settings(SCRIPTED)
    check(shell.run("complete", "app.py:6:1"), 1, error="No suggestion")
    answer = json.loads(check(shell.run("complete", "app.py:6:1", "--json"), 1).stdout)
    assert (answer["suggestions"], bool(answer["reason"])) == ([], True)


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("app.py", "is not FILE:LINE:COL"),
        ("app.py:2", "is not FILE:LINE:COL"),
        ("app.py:two:3", "is not FILE:LINE:COL"),
        ("gone.py:1:1", "gone.py cannot be read: No such file"),
        (".:1:1", "is not a regular file"),
        ("binary.py:1:1", "binary.py is not text"),
        ("app.py:0:1", "There is no line 0"),
        ("app.py:7:1", "There is no line 7: the file has 6"),
        ("app.py:2:6", "There is no column 6: line 2 ends at column 5"),
    ],
)
def test_a_place_that_does_not_exist_is_exit_code_2(shell: Shell, target: str, error: str) -> None:
    (shell.folder / "binary.py").write_bytes(b"\x7fELF\0\1\2")
    check(shell.run("complete", target), 2, error=error)


def test_without_a_model_the_error_says_how_to_get_one(shell: Shell) -> None:
    check(shell.run("complete", "app.py:2:5"), 3, error="nearfield models pull")


def test_setting_problems_are_reported_once_and_do_not_stop_the_command(shell: Shell) -> None:
    shell.settings(f"{SCRIPTED}\n[completion]\nmax_lines = 'x'\n")
    ran = check(shell.run("complete", "app.py:2:5"), 0, "return a + b\n")
    assert ran.stderr.count("completion.max_lines") == 1


def test_promise_4_a_workspace_cannot_name_a_provider(shell: Shell) -> None:
    hostile = SCRIPTED.replace("[engine]\nenabled = false\n", "")
    (shell.folder / ".nearfield.toml").write_text(hostile)
    check(shell.run("complete", "app.py:2:5"), 3, error="providers.fake.kind: only the user")


# --- config ---------------------------------------------------------------------------------------


def test_config_path(shell: Shell) -> None:
    path = str(shell.config / "config.toml")
    assert check(shell.run("config", "path"), 0).stdout.strip() == path
    answer = json.loads(check(shell.run("config", "path", "--json"), 0).stdout)
    assert answer == {"path": path, "exists": False}


def test_config_show_names_the_source_of_each_value_and_no_secret(shell: Shell) -> None:
    shell.settings('[providers.p]\nkind = "scripted"\noptions.api_key = "sk-hidden"\n')
    shell.environ["NEARFIELD_COMPLETION__MAX_LINES"] = "3"
    (shell.folder / ".nearfield.toml").write_text("completion.enabled = false\n")
    text = check(shell.run("config", "show"), 0).stdout
    variable = "environment variable NEARFIELD_COMPLETION__MAX_LINES"
    assert f"completion.max_lines = 3  # {variable}\n" in text
    assert f"completion.enabled = false  # {shell.folder / '.nearfield.toml'}\n" in text
    assert "completion.max_tokens = 128  # default\n" in text
    answer = json.loads(check(shell.run("config", "show", "--json", "--docs"), 0).stdout)
    row = answer["settings"]["completion.max_lines"]
    assert row == {"value": 3, "source": variable, "doc": "The longest suggestion, in lines."}
    assert "sk-hidden" not in text + json.dumps(answer)
    assert answer["settings"]["providers.p.options.api_key"]["value"] == "(hidden)"


def test_config_set_writes_one_line_and_unset_takes_it_out(shell: Shell) -> None:
    shell.settings("# Mine.\n[completion]\nmax_lines = 3 # few\n")
    check(shell.run("config", "set", "completion.deadline_ms", "1500"), 0, "is set")
    check(shell.run("config", "set", "files.exclude", "a/,*.pem"), 0)
    check(shell.run("config", "set", "providers.fake.kind", "scripted"), 0)
    check(shell.run("config", "set", "routing.roles.code", "fake,embedded"), 0)
    written = (shell.config / "config.toml").read_text()
    assert written == (
        "# Mine.\n[completion]\nmax_lines = 3 # few\ndeadline_ms = 1500\n\n"
        '[files]\nexclude = ["a/", "*.pem"]\n\n[providers.fake]\nkind = "scripted"\n\n'
        '[routing.roles]\ncode = ["fake", "embedded"]\n'
    )
    found = json.loads(check(shell.run("config", "show", "--json"), 0).stdout)["settings"]
    assert found["completion.deadline_ms"]["value"] == 1500
    check(shell.run("config", "unset", "completion.deadline_ms"), 0)
    check(shell.run("config", "unset", "completion.deadline_ms"), 1, error="does not set")
    assert (shell.config / "config.toml").read_text() == written.replace("deadline_ms = 1500\n", "")


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("completion.dedline_ms", "3", 'did you mean "deadline_ms"'),
        ("completion.deadline_ms", "soon", "expected a whole number"),
        ("completion.multiline", "newer", 'did you mean "never"'),
        ("completion", "3", "expected a table"),
        ("routing.roles.cod", "embedded", 'did you mean "code"'),
        ("routing.roles.code", "nobody", 'there is no provider "nobody"'),
        ("providers.far.model", "x", "no usable kind"),
        ("providers.far.kind", "olama", "It may be: llama_server"),
        ("providers.here.options.connect_timeot_s", "3", "It knows: api_key_env"),
        ("providers.here.options.api_key", "sk-123", "nearfield keys set here"),
        ("providers.here.options.api_key_env", "sk-123", "nearfield keys set here"),
        ("providers.here.options.headers", '{"Authorization": "Bearer x"}', "keys set here"),
        ("providers.here.base_url", "http://me:pw@127.0.0.1/", "nearfield keys set here"),
    ],
)
def test_config_set_refuses_what_could_not_be_used(
    shell: Shell, key: str, value: str, error: str
) -> None:
    before = "# Mine.\n[providers.here]\nkind = 'ollama'\n"
    shell.settings(before)
    ran = check(shell.run("config", "set", key, value), 2, error=error)
    assert "sk-123" not in ran.stderr and "pw@" not in ran.stderr
    assert (shell.config / "config.toml").read_text() == before


def test_config_set_says_what_counts_more(shell: Shell) -> None:
    shell.environ["NEARFIELD_COMPLETION__MAX_LINES"] = "5"
    ran = shell.run("config", "set", "completion.max_lines", "7")
    check(ran, 0, "is set", "note: environment variable NEARFIELD_COMPLETION__MAX_LINES says")


def test_config_show_explains_providers_and_roles_that_nobody_has_set(shell: Shell) -> None:
    ran = check(shell.run("config", "show", "--docs"), 0)
    for key in ("providers.NAME.kind", "providers.NAME.options.NAME", "routing.roles.NAME"):
        assert f"{key} = …" in ran.stdout
    assert "NAME" not in check(shell.run("config", "show"), 0).stdout


def test_config_show_ends_with_2_when_a_setting_cannot_be_used(shell: Shell) -> None:
    shell.settings("completion.max_lins = 3\n")
    check(shell.run("config", "show"), 2, "max_lines = 12", 'did you mean "max_lines"?')
    answer = json.loads(check(shell.run("config", "show", "--json"), 2).stdout)
    assert [problem["key"] for problem in answer["problems"]] == ["completion.max_lins"]


# --- serve ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--tcp", "0.0.0.0:8764"], "on loopback only"),
        (["--tcp", "example.com:80"], "on loopback only"),
        (["--tcp", "127.0.0.1"], "is not HOST:PORT"),
        (["--tcp", "127.0.0.1:99999"], "is not HOST:PORT"),
        (["--stdio", "--tcp", "127.0.0.1:0"], "exclude each other"),
        (["--log-level", "loud"], "no log level"),
    ],
)
def test_serve_refuses(shell: Shell, arguments: list[str], error: str) -> None:
    check(shell.run("serve", *arguments), 2, error=error)


LONG = "x" * 5000


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["fix", f"{LONG}:1"], "longer name"),
        (["complete", f"{LONG}:1:1"], "too long"),
        (["models", "use", "chat", LONG], "no model called"),
        (["models", "add", "mine", LONG], ""),
        (["models", "add", "mine", "~nobody-here/x.gguf"], ""),
    ],
)
def test_a_name_that_no_file_can_have(shell: Shell, arguments: list[str], error: str) -> None:
    check(shell.run(*arguments), 2, error=error)


@pytest.mark.parametrize("arguments", [["frobnicate"], ["complete"], ["serve", "--nonsense"]])
def test_wrong_usage_is_exit_code_2(shell: Shell, arguments: list[str]) -> None:
    check(shell.run(*arguments), 2, error="Usage:")


# --- doctor ---------------------------------------------------------------------------------------


def _report(ran: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(ran.stdout)}


def test_doctor_without_a_model_says_how_to_get_one(shell: Shell) -> None:
    report = _report(check(shell.run("doctor", "--quick", "--json"), 3))
    assert report["grammars"]["state"] == "ok"
    assert report["settings"]["state"] == "ok"
    assert report["role complete"]["state"] == "problem"
    assert "nearfield models pull" in report["role complete"]["todo"]
    check(shell.run("doctor", "--quick"), 3, "→ Run `nearfield models pull`")


def test_doctor_names_a_bad_setting(shell: Shell) -> None:
    shell.settings(f"log.level = 3\n{SCRIPTED}")
    report = _report(check(shell.run("doctor", "--quick", "--json"), 2))
    assert "log.level" in report["settings"]["found"]
    assert "config.toml" in report["settings"]["todo"]
    assert report["engine"]["state"] == "note"


def test_doctor_asks_the_configured_servers_that_are_near(shell: Shell) -> None:
    far = '[providers.far]\nkind = "openai_compatible"\nbase_url = "http://192.0.2.1/v1"\n'
    shell.settings(f"{far}{SCRIPTED}")
    report = _report(check(shell.run("doctor", "--quick", "--json"), 0))
    assert report["provider fake"]["state"] == "ok"
    assert "not asked" in report["provider far"]["found"]


def test_doctor_says_that_a_configured_server_is_not_there(shell: Shell) -> None:
    shell.settings('[providers.near]\nkind = "ollama"\nbase_url = "http://127.0.0.1:9"\n')
    report = _report(check(shell.run("doctor", "--quick", "--json"), 3))
    assert report["provider near"]["state"] == "problem"


@pytest.mark.parametrize(
    ("settings", "environ", "found", "todo"),
    [
        ("engine.enabled = false\n", {}, "no provider is set up", "nearfield providers add"),
        (
            f'routing.strategy = "cloud_only"\n{SCRIPTED}', {},
            'fake: the strategy is "cloud_only"', "Name a provider outside this machine",
        ),
        (
            "engine.enabled = false\n", {"LLM_STRATEGY": "CLAUDE_ONLY", "ANTHROPIC_API_KEY": "k"},
            "claude: you have not allowed it", "nearfield consent allow claude",
        ),
    ],
)  # fmt: skip
def test_doctor_ends_with_3_where_nobody_can_answer(
    shell: Shell, settings: str, environ: dict[str, str], found: str, todo: str
) -> None:
    shell.settings(settings)
    shell.environ |= environ
    told = _report(check(shell.run("doctor", "--quick", "--json"), 3))["answers"]
    assert told["state"] == "problem"
    assert found in told["found"] and todo in told["todo"]


def test_doctor_says_who_answers(shell: Shell) -> None:
    shell.settings(SCRIPTED)
    ran = check(shell.run("doctor", "--quick"), 0)
    assert "✓ provider fake " in ran.stdout
    assert "completions by fake" in ran.stdout and "chats by fake" in ran.stdout


@pytest.mark.model
def test_doctor_measures_the_model(shell: Shell, small_model: Path) -> None:
    shell.settings(f"models.complete = {json.dumps(str(small_model))}\n")
    report = _report(check(shell.run("doctor", "--json"), 0))
    assert "tokens a second" in report["speed"]["found"]
    assert report["engine"]["state"] == "ok"
    assert "engine build" in report


@pytest.mark.model
def test_complete_by_a_real_model(shell: Shell, default_model: Path) -> None:
    shell.settings(f"models.complete = {json.dumps(str(default_model))}\n")
    answer = json.loads(check(shell.run("complete", "app.py:2:5", "--json"), 0).stdout)
    assert answer["suggestions"][0]["text"] == "return a + b"
    assert answer["suggestions"][0]["provider"] == "embedded"
    assert answer["trace"]["generated_tokens"] > 0
