"""Promise 4: a workspace file cannot raise privilege; it may restrict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from nearfield.config.keys import Key, dotted, leaves
from nearfield.config.load import load, show, value_of

_RULE = {"use": ["code"], "tasks": [], "languages": [], "paths": ["docs/"]}

# For each key of the schema: what the user has, and (wish, what holds then) of a workspace. A wish
# that does not hold is refused with a problem.
DOMAIN: dict[str, tuple[Any, list[tuple[Any, Any]]]] = {
    "completion.enabled": (False, [(True, False), (False, False)]),
    "completion.disabled_languages": (["c"], [(["go"], ["c", "go"]), ([], ["c"]), (["c"], ["c"])]),
    "completion.debounce_ms": (60, [(100, 100), (60, 60), (0, 60)]),
    "completion.deadline_ms": (2500, [(100, 100), (2500, 2500), (9000, 2500)]),
    "completion.invoked_deadline_ms": (20000, [(100, 100), (90000, 20000)]),
    "completion.multiline": ("auto", [("never", "never"), ("auto", "auto"), ("always", "auto")]),
    "completion.record": (False, [(True, False), (False, False)]),
    "completion.popup": ("auto", [("never", "never"), ("auto", "auto"), ("always", "auto")]),
    "completion.max_lines": (12, [(1, 1), (13, 12)]),
    "completion.max_tokens": (128, [(1, 1), (129, 128)]),
    "completion.min_confidence": (-1.5, [(-1.0, -1.0), (-2.0, -1.5)]),
    "completion.min_token_confidence": (-2.0, [(-1.0, -1.0), (-3.0, -2.0)]),
    "completion.prefix_lines": (256, [(1, 1), (257, 256)]),
    "completion.suffix_lines": (64, [(0, 0), (65, 64)]),
    "completion.acp_next_edit": (False, [(True, False), (False, False)]),
    "completion.next_edit": (False, [(True, False), (False, False)]),
    "hover.enabled": (False, [(True, False), (False, False)]),
    "hover.facts": (True, [(False, False), (True, True)]),
    "hover.explain": (False, [(True, False), (False, False)]),
    "hover.wait_ms": (300, [(0, 0), (301, 300)]),
    "hover.prepare": (False, [(True, False), (False, False)]),
    "engine.enabled": (True, [(False, True)]),
    "engine.threads": (2, [(1, 2), (3, 2)]),
    "engine.gpu_layers": (2, [(1, 2), (-1, 2)]),
    "engine.context_size": (8192, [(512, 8192), (9000, 8192)]),
    "engine.chat_context_size": (4096, [(512, 4096), (9000, 4096)]),
    "engine.memory_limit_mb": (100, [(50, 100), (200, 100)]),
    "engine.temperature": (0.2, [(0.0, 0.2), (1.0, 0.2)]),
    "engine.idle_unload_minutes": (30, [(1, 30), (60, 30)]),
    "engine.keep_prompts_mb": (256, [(0, 0), (512, 256)]),
    "engine.on_battery": ("ignore", [("save", "save")]),
    "models.complete": ("mine", [("/evil.gguf", "mine"), ("", "mine")]),
    "models.edit": ("mine", [("/evil.gguf", "mine"), ("", "mine")]),
    "models.chat": ("mine", [("/evil.gguf", "mine"), ("", "mine")]),
    "routing.strategy": ("hybrid", [("local_only", "local_only"), ("cloud_only", "hybrid")]),
    "routing.roles.complete": (["embedded"], [([], ["embedded"]), (["lab"], ["embedded"])]),
    "routing.tasks.explain": ("fast", [("large", "fast")]),
    "routing.rules": ([_RULE], [([], [_RULE])]),
    "routing.pass_over_busy": (True, [(False, True)]),
    "routing.escalate": ("ask", [("suggest", "suggest"), ("ask", "ask"), ("auto", "ask")]),
    "routing.ask_timeout_s": (20, [(1, 20), (99, 20)]),
    "routing.complex_chars": (1000, [(1, 1000), (9000, 1000)]),
    "routing.min_logprob": (-2.0, [(-1.0, -2.0), (-3.0, -2.0)]),
    "routing.breaker_failures": (3, [(1, 3), (9, 3)]),
    "routing.breaker_seconds": (10, [(1, 10), (99, 10)]),
    "providers.lab.kind": ("ollama", [("anthropic", "ollama")]),
    "providers.lab.model": ("mine", [("theirs", "mine")]),
    "providers.lab.base_url": ("http://127.0.0.1:1", [("http://evil", "http://127.0.0.1:1")]),
    "providers.lab.options.api_key_env": ("MINE", [("HOME", "MINE")]),
    "privacy.withhold": (["a"], [(["b"], ["a", "b"]), ([], ["a"])]),
    "privacy.redact": (["a"], [(["b"], ["a"]), ([], ["a"])]),
    "privacy.keep_sent": (False, [(True, False)]),
    "provenance.enabled": (False, [(True, False), (False, False)]),
    "budget.daily_soft": (1.0, [(0.5, 1.0), (2.0, 1.0)]),
    "budget.daily_hard": (1.0, [(0.5, 1.0), (0.0, 1.0)]),
    "budget.monthly_soft": (1.0, [(0.5, 1.0), (2.0, 1.0)]),
    "budget.monthly_hard": (1.0, [(0.5, 1.0), (0.0, 1.0)]),
    "budget.prices.mine": ([1.0, 1.0], [([0.0, 0.0], [1.0, 1.0])]),
    "budget.compare_with": ("x", [("y", "x")]),
    "cache.enabled": (False, [(True, False)]),
    "cache.max_mb": (50, [(1, 50), (500, 50)]),
    "cache.max_age_hours": (168, [(1, 168), (500, 168)]),
    "files.exclude": (
        ["a"],
        [(["b"], ["a", "b"]), (["!a"], ["a"]), (["!a", "b"], ["a", "b"]), ([], ["a"])],
    ),
    "files.project_rules": (False, [(True, False), (False, False)]),
    "files.max_bytes": (1000, [(10, 10), (2000, 1000)]),
    "index.enabled": (True, [(False, False), (True, True)]),
    "index.exclude": (["a"], [(["b"], ["a", "b"]), (["!a"], ["a"]), ([], ["a"])]),
    "index.max_file_bytes": (1000, [(10, 10), (2000, 1000)]),
    "index.vectors": (True, [(False, False), (True, True)]),
    "index.on_battery": (False, [(True, False)]),
    "index.store": ("", [("postgresql://elsewhere/all", "")]),
    "index.role": ("read", [("build", "read")]),
    "index.name": ("shop", [("other", "shop")]),
    "chat.functions": (["a", "b"], [(["a"], ["a"]), (["a", "c"], ["a"]), ([], [])]),
    "chat.mcp.lab.command": (["mine"], [(["evil"], ["mine"]), ([], ["mine"])]),
    "chat.mcp.lab.variables": (["MINE"], [(["HOME"], ["MINE"]), ([], ["MINE"])]),
    "chat.mcp.lab.url": ("http://127.0.0.1:1", [("http://evil", "http://127.0.0.1:1")]),
    "chat.mcp.lab.token_env": ("MINE", [("HOME", "MINE")]),
    "chat.mcp.lab.timeout_s": (10, [(1, 10), (99, 10)]),
    "chat.shell_commands": (["git"], [([], ["git"]), (["sh"], ["git"])]),
    "chat.shell_timeout_s": (10, [(1, 1), (99, 10)]),
    "chat.max_rounds": (10, [(1, 1), (99, 10)]),
    "chat.keep_days": (30, [(0, 0), (99, 30)]),
    "chat.keep_mb": (10, [(1, 10), (99, 10)]),
    "chat.thinking_tokens": (1024, [(0, 0), (9999, 1024)]),
    "chat.timeout_s": (10, [(1, 1), (99, 10)]),
    "chat.max_files": (10, [(1, 1), (99, 10)]),
    "chat.max_bytes": (10, [(1, 1), (99, 10)]),
    "network.ca_file": ("/etc/own.pem", [("/tmp/other.pem", "/etc/own.pem")]),
    "log.level": ("warning", [("debug", "warning"), ("error", "warning")]),
}

# Lists to which a workspace adds; it wishes for what it adds, not for the whole.
ADDITIVE = ("completion.disabled_languages", "files.exclude", "index.exclude", "privacy.withhold")


def _pattern(key: str) -> Key:
    """The pattern of a key of `DOMAIN`."""
    parts = key.split(".")
    chosen = {"providers": (1, 3), "routing": (2,), "budget": (2,), "chat": (2,)}.get(parts[0], ())
    return tuple("NAME" if at in chosen else part for at, part in enumerate(parts))


def test_the_rule_of_every_setting_is_tested() -> None:
    patterns = {leaf.pattern for leaf in leaves()}
    assert {_pattern(key) for key in DOMAIN} == patterns


@pytest.mark.parametrize(
    ("key", "now", "wish", "held"),
    [(key, now, wish, held) for key, (now, cases) in DOMAIN.items() for wish, held in cases],
)
def test_promise_4_a_workspace_may_only_restrict(
    tmp_path: Path, key: str, now: object, wish: object, held: object
) -> None:
    user = tmp_path / "config.toml"
    user.write_text(f'{key} = {show(now)}\nproviders.lab.kind = "ollama"\n')
    if key == "providers.lab.kind":
        user.write_text(f"{key} = {show(now)}\n")
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / ".nearfield.toml").write_text(f"{key} = {show(wish)}\n")
    loaded = load(workspace, None, {"NEARFIELD_CONFIG_DIR": str(tmp_path)})
    assert msgspec.to_builtins(value_of(loaded.config, tuple(key.split(".")))) == held
    refused = "!a" in wish if key in ADDITIVE and isinstance(wish, list) else wish != held
    assert [problem.key for problem in loaded.problems] == ([key] if refused else [])


@pytest.mark.parametrize(
    "text",
    [
        '[providers.evil]\nkind = "openai_compatible"\nbase_url = "http://evil"\n',
        'routing.strategy = "cloud_only"',
        'routing.strategy = "CLAUDE_ONLY"',
        'routing.roles.complete = ["evil"]',
        'models.complete = "/tmp/evil.gguf"',
        "completion.deadline_ms = 'x'",
        "[[[[",
        "shell = 'rm'",
        '[chat.mcp.evil]\ncommand = ["touch", "sprung"]\n',
    ],
)
def test_promise_4_a_hostile_workspace_changes_nothing_and_is_named(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / ".nearfield.toml").write_text(text)
    environ = {"NEARFIELD_CONFIG_DIR": str(tmp_path / "none")}
    loaded = load(tmp_path, None, environ)
    assert loaded.config == load(None, None, environ).config
    assert loaded.problems
    assert all(str(tmp_path / ".nearfield.toml") == problem.source for problem in loaded.problems)


def test_a_workspace_wins_over_the_editor_where_it_restricts(tmp_path: Path) -> None:
    (tmp_path / ".nearfield.toml").write_text("completion.enabled = false")
    client = {"completion": {"enabled": True}}
    loaded = load(tmp_path, client, {"NEARFIELD_CONFIG_DIR": str(tmp_path / "none")})
    assert not loaded.config.completion.enabled
    assert loaded.sources[dotted(("completion", "enabled"))] == str(tmp_path / ".nearfield.toml")


def test_a_negated_pattern_cannot_bring_a_file_back(tmp_path: Path) -> None:
    """`!secret` after the user's `secret` would include it again, as in `.gitignore`."""
    (tmp_path / "config.toml").write_text('files.exclude = ["secret"]')
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / ".nearfield.toml").write_text('files.exclude = ["!secret", "other"]')
    loaded = load(workspace, None, {"NEARFIELD_CONFIG_DIR": str(tmp_path)})
    assert loaded.config.files.exclude == ["secret", "other"]
    assert "may not" in str(loaded.problems[0])
