"""Every file of whose text a prompt holds some is in the ledger, whichever command made it: each
file has a word of its own, which is looked for in what a server outside has received."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from tests.e2e.prepared import forked

FILES = {
    "app.py": "from shop import Basket\n\n\ndef bill(basket: Basket):\n    word_app = 1\n"
    "    return basket.total_price(word_app)\n",
    "shop.py": "class Basket:\n    def total_price(self, rate):\n        word_shop = rate\n"
    "        return word_shop\n",
    "tests/test_shop.py": "import pytest\n\n\ndef test_price():\n    word_tests = 1\n"
    "    assert word_tests\n",
    "notes.md": "# About word_notes\n",
    "changed.py": "def old():\n    return 1\n",
    "AGENTS.md": "Use word_rules.\n",
}
KEPT = ("PATH", "PYTHONPATH", "SYSTEMROOT")
WORDS = {f"word_{name}": path for path, text in FILES.items() for name in
         ("app", "shop", "tests", "notes", "rules") if f"word_{name}" in text}  # fmt: skip
EVENT = (
    'data: {"choices": [{"index": 0, "text": "ok", "delta": {"content": "```python\\nok\\n```"},'
    ' "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
)
COMMANDS: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "complete": (("complete", "app.py:6:18"), {"app.py"}),
    "fix": (("fix", "app.py:5"), {"app.py", "AGENTS.md"}),
    "refactor": (("refactor", "app.py:5", "simplify"), {"app.py", "AGENTS.md"}),
    "document": (("document", "app.py:5"), {"app.py", "AGENTS.md"}),
    "test": (("test", "app.py:5"), {"app.py", "tests/test_shop.py", "AGENTS.md"}),
    "explain": (("explain", "app.py:6:20"), {"app.py"}),
    "review": (("review", "app.py"), {"app.py", "AGENTS.md"}),
    "ask": (("ask", "--file", "notes.md", "--file", "shop.py", "what?"), {"notes.md", "shop.py"}),
    "chat": (("ask", "--tools", "--file", "notes.md", "what is in shop.py?"),
             {"notes.md", "AGENTS.md"}),
}  # fmt: skip
RULES = "AGENTS.md was shown to the model, for style and layout."


class Shell:
    """A workspace, and a model outside this machine that the user has allowed there."""

    def __init__(self, folder: Path, server: HTTPServer, settings: str = "") -> None:
        self.workspace = folder / "work"
        self.server = server
        for path, text in FILES.items():
            (self.workspace / path).parent.mkdir(parents=True, exist_ok=True)
            (self.workspace / path).write_text(text)
        (self.workspace / ".git").mkdir()
        for path in ("/v1/chat/completions", "/v1/completions"):
            server.expect_request(path).respond_with_data(EVENT, content_type="text/event-stream")
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        names = ("HOME", "NEARFIELD_CACHE_DIR", "NEARFIELD_CONFIG_DIR", "NEARFIELD_DATA_DIR")
        self.environ = {**kept, **{name: str(folder / "home") for name in names}}
        (folder / "home").mkdir()
        (folder / "home" / "config.toml").write_text(
            f"[engine]\nenabled = false\n[index]\nvectors = false\n{settings}\n"
            '[routing]\nstrategy = "cloud_only"\n[providers.far]\nkind = "openai_compatible"\n'
            f'model = "m"\nbase_url = "{server.url_for("/v1")}"\n'
            'options = { leaves_machine = true, infill = "suffix" }\n'
        )
        self.run("consent", "allow", "far", "--workspace", str(self.workspace))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            forked(*arguments),
            env=self.environ,
            cwd=self.workspace,
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )

    @property
    def told(self) -> set[str]:
        """The files of which some text was received."""
        bodies = "".join(request.get_data(as_text=True) for request, _ in self.server.log)
        return {path for word, path in WORDS.items() if word in bodies}

    @property
    def listed(self) -> set[str]:
        """The files in the ledger."""
        entries: list[dict[str, Any]] = json.loads(self.run("audit", "export", "-").stdout)[
            "entries"
        ]
        return {file["path"] for entry in entries for file in entry["files"]}


@pytest.mark.parametrize("name", COMMANDS)
def test_what_was_told_is_in_the_ledger(name: str, tmp_path: Path, httpserver: HTTPServer) -> None:
    shell = Shell(tmp_path, httpserver)
    arguments, least = COMMANDS[name]
    ran = shell.run(*arguments)
    assert "Traceback" not in ran.stderr
    assert least <= shell.told, ran.stderr
    assert shell.told <= shell.listed
    # What the repository says about its style is named where it is shown, and no completion has it.
    assert ("AGENTS.md" in least) == ("AGENTS.md" in shell.told) == (RULES in ran.stderr)


@pytest.mark.parametrize("name", ["test", "ask", "complete"])
def test_what_may_not_leave_is_not_told(name: str, tmp_path: Path, httpserver: HTTPServer) -> None:
    withheld = '[privacy]\nwithhold = ["tests/", "shop.py", "AGENTS.md"]'
    shell = Shell(tmp_path, httpserver, withheld)
    shell.run(*COMMANDS[name][0])
    assert httpserver.log
    assert shell.told <= {"app.py", "notes.md"}
