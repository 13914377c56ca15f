"""The commands of routing, as a user runs them."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from tests import tiny_gguf
from tests.conftest import needs
from tests.e2e.prepared import forked

from nearfield.features.metrics.store import RecordStore
from nearfield.features.suggestion_record import SuggestionRecord, Taken
from nearfield.routing.consent import Consent
from nearfield.routing.ledger import Sending
from nearfield.routing.store import Store

CONFIG = """
[engine]
enabled = false
[routing]
strategy = "local_first"
[providers.here]
kind = "scripted"
[[providers.here.options.answers]]
match = "who"
text = "the one here"
[[providers.here.options.answers]]
match = "json"
text = '{"n": 1}'
[providers.far]
kind = "anthropic"
model = "claude-sonnet-5"
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("audit", "list")` in a folder of its own, with `CONFIG` as the user's settings."""
    for name in ("config", "data", "cache", "work"):
        (tmp_path / name).mkdir()
    (tmp_path / "config" / "config.toml").write_text(CONFIG, "utf-8")
    for name in ("config", "data", "cache"):
        monkeypatch.setenv(f"NEARFIELD_{name.upper()}_DIR", str(tmp_path / name))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")

    def call(*arguments: str, code: int = 0, said: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            forked(*arguments),
            cwd=tmp_path / "work", env=dict(os.environ), input=said,
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    return call


def test_ask_prints_the_answer(run: Run) -> None:
    assert run("ask", "who are you?").stdout == "the one here\n"
    assert run("ask", "-", said="who?").stdout == "the one here\n"
    told = json.loads(run("ask", "who?", "--json", "--task", "explain").stdout)
    assert (told["text"], told["provider"], told["role"]) == ("the one here", "here", "fast")
    assert run("ask", "something else", code=1).stdout.strip() == ""
    run("ask", "", code=2)
    run("ask", "who?", "--task", "nonsense", code=2)
    told = run("ask", "who?", "--role", "lagre", code=2).stderr
    assert 'Did you mean "large"?' in told and "complete, edit, fast, code" in told


def test_ask_offers_a_better_provider(run: Run) -> None:
    done = run("ask", "something else", code=1)
    assert "far (claude-sonnet-5) could answer" in done.stderr
    assert "at most $" in done.stderr and "--once far" in done.stderr


def test_ask_offers_a_provider_when_none_could_answer(run: Run, tmp_path: Path) -> None:
    only_far = CONFIG.replace('"local_first"', '"cloud_only"')
    (tmp_path / "config" / "config.toml").write_text(only_far, "utf-8")
    done = run("ask", "who?", code=3)
    assert "--once far" in done.stderr
    assert done.stderr.count("far: offered to you") == 1


def test_a_key_and_a_strategy_in_the_environment_are_enough_to_be_offered_claude(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config" / "config.toml").write_text("engine.enabled = false\n", "utf-8")
    monkeypatch.setenv("LLM_STRATEGY", "CLAUDE_ONLY")
    told = run("ask", "who?", code=3).stderr
    assert "none is configured" in told
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    told = run("ask", "who?", code=3).stderr
    assert "it would be sent" in told and "--once claude" in told


def test_ask_with_a_schema_and_a_file(run: Run, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "required": ["n"]}', "utf-8")
    assert json.loads(run("ask", "json", "--schema", str(schema)).stdout) == {"n": 1}
    schema.write_text('{"type": "object", "required": ["m"]}', "utf-8")
    told = run("ask", "json", "--schema", str(schema), code=3)
    assert (told.stdout, "met the schema" in told.stderr) == ("", True)
    run("ask", "json", "--schema", str(tmp_path / "none.json"), code=2)
    run("ask", "json", "--file", str(tmp_path / "none.py"), code=2)


def test_ask_shows_of_a_long_file_what_the_question_is_about(run: Run, tmp_path: Path) -> None:
    long = tmp_path / "long.py"
    steps = [f"def step_{n}(value):\n    return value + {n}\n\n\n" for n in range(4000)]
    long.write_text("".join(steps) + "def tariff():\n    return who\n", "utf-8")
    done = run("ask", "what does tariff return?", "--file", str(long))
    assert done.stdout == "the one here\n"
    assert "long.py: the file has 16002 lines" in done.stderr
    done = run("ask", "--tools", "@file:long.py who?", "--workspace", str(tmp_path))
    assert "16002 lines" in done.stderr


def test_ask_says_that_an_answer_was_cut(run: Run) -> None:
    assert "cut off at its limit" in run("ask", "who?", "--max-tokens", "1").stderr


@pytest.mark.parametrize("head", [b"\x89PNG\r\n\x1a\n\0\0", b"%PDF-1.4\n"])
def test_pictures_and_documents_are_refused(run: Run, tmp_path: Path, head: bytes) -> None:
    (tmp_path / "x").write_bytes(head)
    done = run("ask", "who?", "--file", str(tmp_path / "x"), code=2)
    assert "x is not text: pictures, PDF files" in done.stderr


def test_consent_is_given_shown_and_taken_back(run: Run, tmp_path: Path) -> None:
    run("consent", "list", code=1)
    run("audit", code=1)
    run("consent", "allow", "far")
    work = str((tmp_path / "work").resolve())
    (said,) = json.loads(run("consent", "list", "--json").stdout)
    assert (said["workspace"], said["provider"], said["consent"]) == (work, "far", "workspace")
    assert "far (anthropic) may be sent" in run("audit").stdout
    assert "stands by for here" in run("providers", "list").stdout
    run("consent", "deny", "far")
    assert "is never sent" in run("consent", "list").stdout
    assert "you said never" in run("providers", "list").stdout
    run("consent", "revoke", "far")
    run("consent", "revoke", "far", code=1)
    assert "no provider" in run("consent", "allow", "nobody", code=2).stderr
    run("consent", "allow", "far/another")
    (said,) = json.loads(run("consent", "list", "--json").stdout)
    assert said["provider"] == "far/another"


def test_audit_lists_and_filters_the_ledger(run: Run, tmp_path: Path) -> None:
    store = Store()
    sent = Sending(
        "/w", "far", "m", "anthropic", "fix", (("a.py", 1, 9),), 42, (("npm token", 2),), "d" * 64
    )
    store.finish(store.begin(sent), "answered", 10, 5, None)
    store.begin(sent)
    store.close()
    listed = json.loads(run("audit", "list", "--json", "--outcome", "answered").stdout)
    (entry,) = listed["entries"]
    assert (entry["id"], entry["price"], entry["redactions"]) == (1, "unknown", {"npm token": 2})
    assert "a.py" in run("audit").stdout
    shown = run("audit", "show", "1").stdout
    assert "a.py 1-9" in shown and "d" * 64 in shown and "2 x npm token" in shown
    run("audit", "show", "99", code=1)
    out = tmp_path / "out.json"
    run("audit", "export", str(out))
    assert len(json.loads(out.read_text("utf-8"))["entries"]) == 2
    assert "2 entries deleted" in run("audit", "prune", "--before", "0m").stderr
    run("audit", "list", "--since", "whenever", code=2)


EXACT = 0.025
"""The share of a percentile by which it may be off, as times are counted in classes."""


def test_stats_sums_the_use_of_each_model(run: Run) -> None:
    run("ask", "who are you?")
    told = json.loads(run("stats", "--json").stdout)
    (line,) = told["lines"]
    assert (line["provider"], line["requests"], line["local"]) == ("here", 1, True)
    assert told["share_local"] == 1.0 and float(told["saved"]) > 0
    assert told["completions"]["questions"] == 0
    shown = run("stats").stdout
    assert "answered on this machine: 100%" in shown
    assert "suggestions: none recorded yet" in shown
    row = SuggestionRecord(
        time.time(), situation="new_line", ms=120.0, evaluated=10, reused=30, chars=8
    )
    row.taken, row.saved, row.survived = Taken.ACCEPTED, 8, 0.5
    store = RecordStore()
    store.save([row, SuggestionRecord(time.time(), situation="cold", ms=900.0, reason="unsure")])
    store.close()
    told = json.loads(run("stats", "--json").stdout)["completions"]
    assert (told["offered"], told["accepted"], told["acceptance"]) == (1, 1, 1.0)
    latency = told["latency"][1]
    assert (latency["situation"], latency["answers"]) == ("new_line", 1)
    assert [latency["p50"], latency["p90"]] == pytest.approx([120, 120], rel=EXACT)
    shown = run("stats").stdout
    for words in ("1 offered, 1 accepted, 0 partly (100%)", "10 evaluated, 30 reused (75%)"):
        assert words in shown
    assert "50% of them still there" in shown and "1 unsure" in shown and "new line" in shown
    assert "next edits" not in shown
    stages = ({"context": 1.0, "wait": 2.0, "read": 80.0, "generate": 300.0, "gate": 4.0}, {})
    store = RecordStore()
    store.save(
        [
            SuggestionRecord(
                time.time(), "nextEdit", ms=400.0 * one, reason=reason, stages=stages[not one]
            )
            for one, reason in ((1, ""), (2, "unsure"), (0, "cancelled"))
        ]
    )
    store.close()
    told = json.loads(run("stats", "--json").stdout)
    assert told["completions"]["questions"] == 2
    edits = told["next_edits"]
    assert (edits["questions"], edits["offered"], edits["answered"]) == (3, 1, 2)
    assert [one["stage"] for one in edits["stages"]] == [*stages[0], "total"]
    total = edits["stages"][-1]
    assert [total["p50"], total["p90"], total["p99"]] == pytest.approx([400, 800, 800], rel=EXACT)
    shown = run("stats").stdout
    assert "asked 3 times, 1 offered" in shown and "generate" in shown
    RecordStore().path.write_bytes(b"broken" * 1000)
    assert "cannot be used" in run("stats", code=2).stderr


def test_providers_lists_roles_and_reasons(run: Run) -> None:
    listed = json.loads(run("providers", "list", "--json").stdout)
    assert {row["name"]: row["local"] for row in listed["providers"]} == {
        "here": True,
        "far": False,
    }
    code = next(role for role in listed["roles"] if role["role"] == "code")
    assert code["provider"] == "here"
    assert code["others"] == [["far", "you have not allowed it for this workspace"]]
    probed = run("providers", "probe")
    assert probed.stdout == "here ready\n" and "providers probe far" in probed.stderr
    assert run("providers", "models", "here").stdout == "scripted\n"
    run("providers", "models", "nobody", code=2)


def test_keys_with_no_keyring_that_keeps_anything(run: Run) -> None:
    key = "never-shown-" + "4711"
    done = run("keys", "set", "far", said=f"{key}\n")
    assert key not in done.stdout + done.stderr
    run("keys", "list", code=1)
    run("keys", "remove", "far", code=1)
    run("keys", "set", "far", said="\n", code=2)


def test_a_said_yes_is_for_the_address_it_was_given_for(run: Run, tmp_path: Path) -> None:
    run("consent", "allow", "far")
    config = tmp_path / "config" / "config.toml"
    config.write_text(CONFIG + 'base_url = "https://elsewhere.invalid"\n', "utf-8")
    assert "you have not allowed it" in run("providers", "list").stdout
    assert Store().said()[0].consent is Consent.WORKSPACE


OLLAMA: dict[str, Any] = {
    "/api/tags": {
        "models": [
            {"name": name, "size": 5} for name in ("llama3:8b", "qwen2.5-coder:3b", "big:70b-cloud")
        ]
    }
}


def test_a_server_that_runs_is_added_once_and_lets_a_model_be_fetched(
    run: Run, tmp_path: Path, httpserver: HTTPServer
) -> None:
    for path, body in OLLAMA.items():
        httpserver.expect_request(path).respond_with_json(body)
    steps = [{"status": "pulling", "total": 9, "completed": 3}, {"status": "success"}]
    lines = "".join(json.dumps(step) + "\n" for step in steps)
    httpserver.expect_request("/api/pull").respond_with_data(lines)
    url = httpserver.url_for("").rstrip("/").replace("localhost", "127.0.0.1")
    done = run("providers", "add", "ollama", "--base-url", url)
    assert "ollama is in your settings, with qwen2.5-coder:3b" in done.stdout
    assert "llama3:8b" in done.stderr
    written = (tmp_path / "config" / "config.toml").read_text("utf-8")
    assert written.startswith(CONFIG)
    table = {"kind": "ollama", "model": "qwen2.5-coder:3b", "base_url": url}
    assert tomllib.loads(written)["providers"]["ollama"] == table
    run("providers", "add", "ollama", "--base-url", url, "--model", "llama3:8b")
    again = (tmp_path / "config" / "config.toml").read_text("utf-8")
    assert again == written.replace("qwen2.5-coder:3b", "llama3:8b")
    assert "has tiny" in run("providers", "pull", "ollama", "tiny").stdout
    assert "no Ollama" in run("providers", "pull", "far", "tiny", code=2).stderr
    httpserver.expect_request("/api/generate").respond_with_json({"done": True})
    httpserver.expect_request("/api/ps").respond_with_json({"models": [{"name": "tiny:latest"}]})
    assert "has tiny:latest in memory" in run("providers", "load", "ollama", "tiny").stdout
    assert json.loads(run("providers", "unload", "ollama", "--json").stdout) == {
        "provider": "ollama", "model": "llama3:8b", "in_memory": ["tiny:latest"],
    }  # fmt: skip
    assert "no Ollama" in run("providers", "load", "far", code=2).stderr
    listed = run("providers", "models").stdout.splitlines()
    assert "ollama/qwen2.5-coder:3b" in listed and "ollama/big:70b-cloud  outside" in listed
    assert "routing.strategy" in run("models", "use", "review", "far").stdout
    run("models", "use", "chat", "ollama/qwen2.5-coder:3b")
    roles = tomllib.loads((tmp_path / "config" / "config.toml").read_text("utf-8"))["routing"]
    assert roles["roles"]["code"][0] == "ollama/qwen2.5-coder:3b"
    assert "code: ollama/qwen2.5-coder:3b" in run("providers", "list").stdout
    run("providers", "add", "nonsense", code=2)
    run("providers", "add", "--model", "m", code=2)


@pytest.mark.parametrize("command", ["pull", "load", "unload"])
def test_a_model_that_was_not_named_is_asked_for_by_no_other_command(
    command: str, run: Run, tmp_path: Path
) -> None:
    bare = f'{CONFIG}\n[providers.bare]\nkind = "ollama"\n'
    (tmp_path / "config" / "config.toml").write_text(bare, "utf-8")
    told = run("providers", command, "bare", code=2).stderr
    others = {"pull", "load", "unload"} - {command}
    assert "No model was named" in told and "after bare" in told
    assert not any(f"providers {other}" in told for other in others)


def test_openvino_is_added_with_a_model_that_it_reads(run: Run, tmp_path: Path) -> None:
    needs("openvino_genai")
    refused = tiny_gguf.write(tmp_path / "q.gguf", kind=tiny_gguf.Q5_0)
    assert (
        "the type Q5_0"
        in run("providers", "add", "openvino", "--model", str(refused), code=2).stderr
    )
    model = str(tiny_gguf.write(tmp_path / "tiny.gguf"))
    assert "is in your settings" in run("providers", "add", "openvino", "--model", model).stdout
    written = tomllib.loads((tmp_path / "config" / "config.toml").read_text("utf-8"))
    assert written["providers"]["openvino"] == {"kind": "openvino", "model": model}


def test_chat_answers_line_by_line_and_remembers(run: Run) -> None:
    done = run("chat", said="who are you?\n/history\n/new\n/history\n\n/help\njson\n/quit\nwho?\n")
    assert done.stdout.split("\n") == [
        "the one here", "you: who are you?", "", "scripted: the one here", "", '{"n": 1}', "",
    ]  # fmt: skip
    assert "begins again" in done.stderr and "/quit" in done.stderr
    assert "no role" in run("chat", "--role", "nonsense", code=2).stderr


def test_a_chat_is_kept_resumed_exported_and_deleted(run: Run, tmp_path: Path) -> None:
    run("chats", "list", code=1)
    run("chat", said="who are you?\n")
    [kept] = json.loads(run("chats", "list", "--json").stdout)
    assert (kept["title"], kept["count"]) == ("who are you?", 1)
    done = run("chat", "--resume", "last", said="/history\nwho?\n")
    assert done.stdout.startswith("you: who are you?\n\nscripted: the one here\n")
    short = kept["id"][:8]
    assert short in run("chats", "list").stdout
    text = run("chats", "export", short).stdout
    assert text.count("## You") == 2 and "the one here" in text
    other = tmp_path / "other"
    other.mkdir()
    refused = run("chat", "--workspace", str(other), "--resume", short, code=3)
    assert "This chat is about" in refused.stderr
    run("chats", "delete", code=2)
    run("chats", "delete", short)
    run("chats", "export", short, code=3)
    run("chat", "--resume", "last", code=3)
    run("chat", said="who are you?\n")
    assert "1 chat deleted" in run("chats", "delete", "--all").stderr


def test_no_chat_is_kept_where_the_settings_say_so(run: Run, tmp_path: Path) -> None:
    off = CONFIG + "\n[chat]\nkeep_days = 0\n"
    (tmp_path / "config" / "config.toml").write_text(off, "utf-8")
    run("chat", said="who are you?\n")
    run("chats", "list", "--all", code=1)


def test_chat_goes_on_after_an_error_and_ends_with_how_the_last_message_went(
    run: Run, tmp_path: Path
) -> None:
    only_far = CONFIG.replace('"local_first"', '"cloud_only"')
    (tmp_path / "config" / "config.toml").write_text(only_far, "utf-8")
    done = run("chat", said="who?\nwho?\n", code=3)
    assert done.stderr.count("error: No provider could answer") == 2
    assert done.stderr.count("nearfield consent allow far") == 1


ON_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    " os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
"""Starts Python with the terminal of its input as the one that sends it Ctrl-C."""


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_chat_on_a_terminal_stops_an_answer_and_ends_at_the_end_of_input(
    run: Run, tmp_path: Path
) -> None:
    import pty

    slow = CONFIG.replace('text = "the one here"', 'text = "the one here"\ndelay_ms = 60000')
    (tmp_path / "config" / "config.toml").write_text(slow, "utf-8")
    terminal, other_end = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", ON_TERMINAL, "-m", "nearfield", "chat", "--no-tools"],
        cwd=tmp_path / "work", stdin=other_end, stdout=other_end, stderr=other_end,
        start_new_session=True,
    )  # fmt: skip
    os.close(other_end)
    seen = b""

    def wait_for(text: bytes, seconds: float = 60) -> None:
        nonlocal seen
        end = time.monotonic() + seconds
        while text not in seen:
            assert select.select([terminal], [], [], max(0, end - time.monotonic()))[0], seen
            seen += os.read(terminal, 65_536)

    try:
        wait_for(b"> ")
        while b"[stopped]" not in seen:  # Ctrl-C drops a line that was not read yet
            os.write(terminal, b"who?\n")
            time.sleep(0.5)
            seen = b""
            os.write(terminal, b"\x03")
            wait_for(b"\r\n")
            with suppress(AssertionError):
                wait_for(b"[stopped]", 2)
        wait_for(b"[stopped]\r\n> ")
        os.write(terminal, b"json\n")
        wait_for(b'{"n": 1}\r\n> ')
        os.write(terminal, b"\x04")
        with suppress(OSError):  # Linux says so that the other end is closed
            wait_for(b"nothing more")
        assert child.wait(60) == 0
    finally:
        child.kill()
        child.wait()
        os.close(terminal)
