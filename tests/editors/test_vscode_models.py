"""Our chat models in VS Code's own list of models, asked by another extension as VS Code's chat
asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from tests.editors.conftest import StartVSCode, chat_script
from tests.editors.test_vscode_next_edit import extension
from tests.editors.test_vscode_privacy import beyond
from tests.editors.vscode import Window, until
from tests.editors.windows import Reused

from nearfield.routing.consent import Consent
from nearfield.routing.store import Store

pytestmark = pytest.mark.editor

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""One pixel: VS Code reads a picture before it passes it on."""

ASKING = """
const vscode = require("vscode");
const { writeFileSync } = require("node:fs");
const folder = vscode.workspace.workspaceFolders[0].uri.fsPath;
const { User } = vscode.LanguageModelChatMessage;
const user = (...content) => vscode.LanguageModelChatMessage.User(content);
const text = (value) => new vscode.LanguageModelTextPart(value);
const bytes = Buffer.from("PNG", "base64");
const picture = vscode.LanguageModelDataPart.image(bytes, "image/png");
const tool = { name: "read", description: "", inputSchema: { type: "object" } };
const required = { tools: [tool], toolMode: vscode.LanguageModelChatToolMode.Required };

async function said(model, messages, options) {
  const pieces = [];
  try {
    const answer = await model.sendRequest(messages, options);
    for await (const piece of answer.text) pieces.push(piece);
  } catch (error) {
    return { pieces, error: error.message };
  }
  return { pieces };
}

exports.activate = () => {
  vscode.commands.registerCommand("asking.ask", async () => {
    const models = await vscode.lm.selectChatModels({ vendor: "nearfield" });
    const told = models.map(({ id, name, vendor, family }) => ({ id, name, vendor, family }));
    const model = models.find(({ id }) => id === "code");
    const seen = { models: told, tokens: await model?.countTokens("def add(a, b):") };
    if (model) {
      seen.text = await said(model, [user(text("please explain"))]);
      seen.picture = await said(model, [user(text("what is it?"), picture)]);
      seen.tools = await said(model, [user(text("read it"))], required);
    }
    writeFileSync(`${folder}/seen.json`, JSON.stringify(seen));
  });
};
"""
KEYS = [{"key": "f9", "command": "asking.ask"}]
ON = {"chat.disableAIFeatures": False}


def seen(window: Window) -> dict[str, Any]:
    """Let the other extension ask; what it got. VS Code asks whether it may."""
    file = window.folder / "seen.json"
    allow = window.page.locator(".monaco-dialog-box .monaco-button", has_text="Allow").first

    def there() -> bool:
        if allow.is_visible():
            allow.click()
        return file.exists() and bool(file.read_text())

    window.until(there, lambda: window.press("F9"))
    return json.loads(file.read_text())


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The other extension."""
    package = tmp_path_factory.mktemp("asking") / "asking.vsix"
    return extension(package, "asking", KEYS, ASKING.replace("PNG", PNG))


def test_another_extension_asks_our_models(
    same_vscode: StartVSCode, home: Path, asking: Path
) -> None:
    explains = {"match": "explain", "text": "It adds two numbers."}
    config = chat_script(explains, {"text": "This was not to be asked."})
    window = same_vscode({"a.py": ""}, config=config, user=ON, beside=asking)
    window.open("a.py")
    window.ready()
    found = seen(window)
    assert {one["id"] for one in found["models"]} == {"code", "fast", "large"}
    assert {one["vendor"] for one in found["models"]} == {"nearfield"}
    assert found["tokens"] > 1
    assert "".join(found["text"]["pieces"]) == "It adds two numbers."
    assert len(found["text"]["pieces"]) > 1
    # What a model cannot do is refused in a sentence, and not left out in silence.
    for what, words in (("picture", "no images"), ("tools", "take no tools")):
        assert words in found[what].get("error", ""), found[what]
        assert found[what]["pieces"] == []
    # The chat is VS Code's own: none of it is kept here.
    homes = (home, window.server.home)
    until([], lambda: [one for at in homes for one in at.glob("**/chats/*") if one.is_file()])


@pytest.mark.parametrize("allowed", [False, True])
def test_a_cloud_is_listed_and_asked_once_the_user_has_allowed_it(
    same_vscode: StartVSCode, reused: Reused, home: Path, httpserver: HTTPServer, asking: Path,
    *, allowed: bool,
) -> None:  # fmt: skip
    config = beyond(httpserver)
    config["routing"]["roles"]["code"] = ["cloud"]
    if allowed:
        store = Store(home / "data" / "nearfield.db")
        store.say(str(reused.folder), "cloud", httpserver.url_for("/v1"), Consent.WORKSPACE)
        store.close()
    around = {"CLOUD_KEY": "not-a-key", "NEARFIELD_DATA_DIR": str(home / "data")}
    window = same_vscode({"a.py": ""}, config=config, user=ON, beside=asking, environ=around)
    window.open("a.py")
    window.ready()
    found = seen(window)
    assert ("code" in {one["id"] for one in found["models"]}) is allowed
    # The server here has no answer: its refusal is told, and that it was asked is all that counts.
    assert bool(httpserver.log) is allowed
    assert not allowed or found["text"]["error"]
