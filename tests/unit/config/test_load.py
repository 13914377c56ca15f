"""Promise 6: the server starts on a bad config, names the bad key and what it used instead."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.config import keys
from nearfield.config.load import EDITOR, Loaded, effective, load, value_of
from nearfield.config.schema import Config


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "user").mkdir()
    (tmp_path / "workspace").mkdir()
    return tmp_path


def load_from(
    folder: Path, user: str = "", env: dict[str, str] | None = None, client: object = None
) -> Loaded:
    (folder / "user" / "config.toml").write_text(user)
    environ = {"NEARFIELD_CONFIG_DIR": str(folder / "user"), **(env or {})}
    return load(folder / "workspace", client, environ)


def check(loaded: Loaded, key: str, value: object, problem: str = "") -> None:
    """`key` has `value`, and the one problem, if any, contains every line of `problem`."""
    assert value_of(loaded.config, tuple(key.split("."))) == value
    assert len(loaded.problems) == (1 if problem else 0), loaded.problems
    for line in problem.splitlines():
        assert line.strip() in str(loaded.problems[0])


@pytest.mark.parametrize(
    ("user", "key", "value", "problem"),
    [
        ("", "completion.debounce_ms", 60, ""),
        ("completion.debounce_ms = 5", "completion.debounce_ms", 5, ""),
        ("routing.strategy = 'LOCAL_FALLBACK'", "routing.strategy", "local_first", ""),
        ("routing.strategy = 'CLAUDE_ONLY'", "routing.strategy", "cloud_only", ""),
        ("routing.strategy = 'HYBRID'", "routing.strategy", "hybrid", ""),
        ("budget.daily_hard = 3", "budget.daily_hard", 3.0, ""),
        (
            "completion.debounce_ms = 'soon'",
            "completion.debounce_ms",
            60,
            "completion.debounce_ms: expected a whole number, got text; using 60",
        ),
        ("completion.debounce_ms = -1", "completion.debounce_ms", 60, ">= 0; using 60"),
        ("completion.debounce_ms = 1.5", "completion.debounce_ms", 60, "using 60"),
        ("completion.enabled = 1", "completion.enabled", True, "expected true or false"),
        (
            "files.exclude = ['a', 3]",
            "files.exclude",
            [],
            "expected text, got a whole number at [1]; using []",
        ),
        ("[budget]\ndaily_hard = inf", "budget.daily_hard", 0.0, "too large, or none; using 0"),
        ("[budget]\nprices = { m = [nan, 1.0] }", "budget.prices", {}, "too large, or none"),
        ("[budget]\nprices = { m = [1e308, 1.0] }", "budget.prices", {}, "too large, or none"),
        ("[budget.prices]\n'a\tb' = [1.0, 1.0]", "budget.prices", {}, "empty or cannot be shown"),
        ("[providers.'']\nkind = 'scripted'", "providers", {}, "empty or cannot be shown"),
        (f"[chat]\nkeep_days = {'9' * 400}", "chat.keep_days", 30, "too large, or none; using 30"),
        (
            "[[routing.rules]]\nuse = ['embedded']\nmin_load = inf",
            "routing.rules",
            [],
            "too large, or none; using []",
        ),
        (
            "[[routing.rules]]\nlanguage = 'python'",
            "routing.rules",
            [],
            'field `language` at [0], did you mean "languages"?',
        ),
        ("[[routing.rules]]\nzzz = 1", "routing.rules", [], "there are use, name, tasks"),
        (
            "log.level = 'dbug'",
            "log.level",
            "info",
            'expected one of\ndid you mean "debug"?; using "info"',
        ),
        (
            "[completion]\ndebounce = 5\nmax_lines = 4",
            "completion.max_lines",
            4,
            'completion.debounce: there is no such setting, did you mean "debounce_ms"?\nignored',
        ),
        ("[complete]\nx = 1", "completion.enabled", True, 'did you mean "completion"?'),
        (
            "[completion]\ncontext_size = 600",
            "engine.context_size",
            8192,
            'did you mean "engine.context_size"?',
        ),
        ("zzz = 1", "log.level", "info", "zzz: there is no such setting; it is ignored"),
        ("completion = 3", "completion.enabled", True, "expected a table, got a number"),
        ("completion.enabled.x = 3", "completion.enabled", True, "got a table; using true"),
        ("[completion\n", "completion.enabled", True, "not valid TOML at line 1\nignored"),
        ("log.level = 'debug'\n\nx = ", "log.level", "info", "line 3"),
        ("x = " + "[" * 5000, "log.level", "info", "config.toml"),
        ("[providers.p]\nmodel = 'm'", "providers", {}, "providers.p: this provider has no"),
        ("[routing.roles]\ncomplete = ['embedded']", "routing.roles.complete", ["embedded"], ""),
        (
            "[routing.roles]\ncomplete = ['gone', 'embedded']",
            "routing.roles.complete",
            ["embedded"],
            'no provider "gone"',
        ),
        (
            "[routing.roles]\ncompelte = ['embedded']",
            "routing.roles",
            {},
            'did you mean "complete"?',
        ),
    ],
)
def test_a_bad_key_costs_itself_alone(
    folder: Path, user: str, key: str, value: object, problem: str
) -> None:
    check(load_from(folder, user), key, value, problem)


@pytest.mark.parametrize(
    ("variable", "text", "key", "value", "problem"),
    [
        ("NEARFIELD_COMPLETION__DEADLINE_MS", "900", "completion.deadline_ms", 900, ""),
        ("NEARFIELD_COMPLETION__ENABLED", "off", "completion.enabled", False, ""),
        ("NEARFIELD_COMPLETION__ENABLED", "True", "completion.enabled", True, ""),
        ("NEARFIELD_COMPLETION__ENABLED", "", "completion.enabled", True, ""),
        ("NEARFIELD_COMPLETION__ENABLED", "maybe", "completion.enabled", True, "true or false"),
        ("NEARFIELD_FILES__EXCLUDE", "a/**, *.b", "files.exclude", ["a/**", "*.b"], ""),
        ("NEARFIELD_FILES__EXCLUDE", '["a,b"]', "files.exclude", ["a,b"], ""),
        ("NEARFIELD_BUDGET__DAILY_HARD", "2.5", "budget.daily_hard", 2.5, ""),
        ("NEARFIELD_MODELS__COMPLETE", "7", "models.complete", "7", ""),
        ("NEARFIELD_PROVIDERS__O__KIND", "ollama", "providers.o.kind", "ollama", ""),
        ("NEARFIELD_ROUTING__ROLES__FAST", "embedded", "routing.roles.fast", ["embedded"], ""),
        ("LLM_STRATEGY", "LOCAL_ONLY", "routing.strategy", "local_only", ""),
        ("LLM_STRATEGY", "LOCAL_FALLBACK", "routing.strategy", "local_first", ""),
        ("LLM_STRATEGY", "hybird", "routing.strategy", "local_only", 'mean "hybrid"?'),
        ("LOCAL_LLM_ENABLED", "false", "engine.enabled", False, ""),
        ("LOCAL_LLM_MODEL_PATH", "/m.gguf", "models.complete", "/m.gguf", ""),
        ("LOCAL_LLM_GPU_LAYERS", "0", "engine.gpu_layers", 0, ""),
        ("LOCAL_LLM_CONTEXT_SIZE", "4096", "engine.context_size", 4096, ""),
        ("LOCAL_LLM_CONTEXT_SIZE", "6000", "engine.chat_context_size", 6000, ""),
        ("LOCAL_MODEL_NAME", "qwen2.5-coder-1.5b", "models.complete", "qwen2.5-coder-1.5b", ""),
        ("LOCAL_LLM_FUNCTION_CALLING", "False", "chat.functions", [], ""),
        ("LOCAL_LLM_FUNCTION_CALLING", "true", "chat.shell_timeout_s", 60, ""),
        ("LOCAL_LLM_FUNCTION_CALLING", "maybe", "chat.max_rounds", 12, "neither true nor false"),
        ("LOCAL_LLM_TEMPERATURE", "0.7", "engine.temperature", 0.7, ""),
        ("LOCAL_LLM_TEMPERATURE", "0", "engine.temperature", 0.0, ""),
        ("LOCAL_LLM_TEMPERATURE", "warm", "engine.temperature", 0.2, "got text; using 0.2"),
        ("LOCAL_LLM_TEMPERATURE", "-1", "engine.temperature", 0.2, "LOCAL_LLM_TEMPERATURE"),
        ("CLAUDE_MODEL", "claude-x", "providers.claude.model", "claude-x", ""),
        ("CLAUDE_MODEL", "claude-x", "providers.claude.kind", "anthropic", ""),
        ("CLAUDE_MODEL", "", "providers", {}, ""),
        ("LOCAL_LLM_CONTEXT_SIZE", "1", "engine.context_size", 8192, "LOCAL_LLM_CONTEXT_SIZE"),
        (
            "NEARFIELD_COMPLETION_DEADLINE_MS",
            "900",
            "completion.deadline_ms",
            2500,
            "two underscores: NEARFIELD_COMPLETION__DEADLINE_MS",
        ),
        ("NEARFIELD_CACHE_DIR", "/somewhere", "log.level", "info", ""),
    ],
)
def test_the_environment_speaks_text(
    folder: Path, variable: str, text: str, key: str, value: object, problem: str
) -> None:
    check(load_from(folder, env={variable: text}), key, value, problem)


@pytest.mark.parametrize(
    ("strategy", "key", "made"),
    [
        ("CLAUDE_ONLY", "k", True),
        ("LOCAL_FALLBACK", "k", True),
        ("hybrid", "k", True),
        ("LOCAL_ONLY", "k", False),
        ("", "k", False),
        ("CLAUDE_ONLY", "", False),
    ],
)
def test_a_key_and_a_strategy_for_the_cloud_make_a_provider(
    folder: Path, strategy: str, key: str, made: bool
) -> None:
    environ = {"LLM_STRATEGY": strategy, "ANTHROPIC_API_KEY": key}
    loaded = load_from(folder, env=environ)
    assert loaded.problems == ()
    assert [one.kind for one in loaded.config.providers.values()] == ["anthropic"] * made
    own = '[providers.claude]\nkind = "openai_compatible"\nbase_url = "https://gateway.test/v1"\n'
    assert (
        load_from(folder, own, env=environ).config.providers["claude"].kind == "openai_compatible"
    )


@pytest.mark.parametrize(
    ("client", "key", "value", "problem"),
    [
        ({"completion": {"deadlineMs": 9}}, "completion.deadline_ms", 9, ""),
        ({"completion": {"deadline_ms": 9}}, "completion.deadline_ms", 9, ""),
        ({"nearfield": {"completion.deadlineMs": 9}}, "completion.deadline_ms", 9, ""),
        ({"nearfield.completion.deadlineMs": 9}, "completion.deadline_ms", 9, ""),
        ({"completion": {"deadlineMs": None}}, "completion.deadline_ms", 2500, ""),
        ({"completion": None, "clientCapabilities": {"x": 1}}, "log.level", "info", ""),
        (
            {"providers": {"myLab": {"kind": "ollama", "baseUrl": "u", "options": {"numCtx": 1}}}},
            "providers.myLab.options",
            {"numCtx": 1},
            "",
        ),
        ({"completion": {"deadlineMs": "9"}}, "completion.deadline_ms", 2500, EDITOR),
        ({"completion": [1]}, "completion.enabled", True, "expected a table, got a list"),
        (["completion"], "completion.enabled", True, "not a table"),
        ({3: 4}, "completion.enabled", True, "3: there is no such setting"),
    ],
)
def test_the_editor_may_spell_as_editors_do(
    folder: Path, client: object, key: str, value: object, problem: str
) -> None:
    check(load_from(folder, client=client), key, value, problem)


def test_a_later_source_overrides_key_by_key_and_is_named(folder: Path) -> None:
    user = "[completion]\ndeadline_ms = 1\nmax_lines = 2\nmax_tokens = 3\n"
    loaded = load_from(
        folder,
        user,
        {"NEARFIELD_COMPLETION__MAX_LINES": "5", "NEARFIELD_COMPLETION__MAX_TOKENS": "6"},
        {"completion": {"maxTokens": 7}},
    )
    completion = loaded.config.completion
    assert (completion.deadline_ms, completion.max_lines, completion.max_tokens) == (1, 5, 7)
    assert loaded.sources == {
        "completion.deadline_ms": str(folder / "user" / "config.toml"),
        "completion.max_lines": "environment variable NEARFIELD_COMPLETION__MAX_LINES",
        "completion.max_tokens": EDITOR,
    }


def test_a_bad_value_falls_back_to_the_next_source(folder: Path) -> None:
    loaded = load_from(folder, "log.level = 'error'", {"NEARFIELD_LOG__LEVEL": "loud"})
    check(loaded, "log.level", "error", 'using "error"')


def test_our_own_variable_wins_over_its_older_name(folder: Path) -> None:
    env = {"LLM_STRATEGY": "HYBRID", "NEARFIELD_ROUTING__STRATEGY": "local_first"}
    check(load_from(folder, env=env), "routing.strategy", "local_first")


def test_a_model_for_claude_keeps_the_users_other_settings_of_it(folder: Path) -> None:
    user = '[providers.claude]\nkind = "openai_compatible"\nmodel = "a"\nbase_url = "http://g/v1"'
    loaded = load_from(folder, user, env={"CLAUDE_MODEL": "b"})
    check(loaded, "providers.claude.kind", "openai_compatible")
    check(loaded, "providers.claude.model", "b")
    check(loaded, "providers.claude.base_url", "http://g/v1")


@pytest.mark.parametrize("key", ["routing.complex_from", "routing.hedge_queue"])
def test_a_retired_setting_is_named_with_its_replacement(folder: Path, key: str) -> None:
    (folder / "config.toml").write_text(f"{key} = 1")
    (problem,) = load(None, None, {"NEARFIELD_CONFIG_DIR": str(folder)}).problems
    assert (problem.key, "it is gone" in problem.wrong) == (key, True)


def test_a_file_that_cannot_be_read_is_a_problem(folder: Path) -> None:
    file = folder / "user" / "config.toml"
    environ = {"NEARFIELD_CONFIG_DIR": str(file.parent)}
    file.mkdir()
    assert "not a regular file" in str(load(None, None, environ).problems[0])
    file.rmdir()
    file.write_bytes(b"log.level = 'debug'\nx = '\xff'\n")
    assert "line 2 is not UTF-8" in str(load(None, None, environ).problems[0])
    file.write_text("#" * 1_000_001)
    assert "more than 1000000 bytes" in str(load(None, None, environ).problems[0])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_settings_may_begin_with_a_byte_order_mark(folder: Path, encoding: str) -> None:
    (folder / "user").mkdir(exist_ok=True)
    (folder / "user" / "config.toml").write_text('log.level = "debug"\r\n', encoding)
    workspace = folder / "workspace"
    (workspace / ".nearfield.toml").write_text("completion.enabled = false\n", encoding)
    loaded = load(workspace, None, {"NEARFIELD_CONFIG_DIR": str(folder / "user")})
    assert not loaded.problems
    assert (loaded.config.log.level, loaded.config.completion.enabled) == ("debug", False)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_in_place_of_a_file_does_not_hang(folder: Path) -> None:
    os.mkfifo(folder / "workspace" / ".nearfield.toml")
    assert "not a regular file" in str(load_from(folder).problems[0])


def test_no_problem_repeats_a_value(folder: Path) -> None:
    secret = "sk-verysecret"
    user = f"""
        [providers.p]
        kind = "openai_compatible"
        base_url = ["{secret}"]
        api_key = "{secret}"
        [engine]
        threads = "{secret}"
        [log]
        level = "{secret}"
    """
    loaded = load_from(folder, user)
    assert len(loaded.problems) == 4
    assert secret not in " ".join(map(str, loaded.problems))


def test_the_parser_s_message_does_not_quote_the_file(folder: Path) -> None:
    loaded = load_from(folder, "[a]\nsk-verysecret = 1\n[a]\n")
    assert "secret" not in str(loaded.problems[0])


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*(part for leaf in keys.leaves() for part in leaf.pattern), "", "ü"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(client=plain, text=st.text(max_size=12).filter(lambda text: "\0" not in text))
def test_any_input_yields_a_usable_config(client: Any, text: str) -> None:
    environ = {"NEARFIELD_CONFIG_DIR": os.devnull}
    for leaf in keys.leaves():
        environ["NEARFIELD_" + "__".join(leaf.pattern).upper()] = text
    loaded = load(None, client, environ)
    assert isinstance(loaded.config, Config)
    assert list(effective(loaded.config))
    assert all(str(problem) for problem in loaded.problems)
