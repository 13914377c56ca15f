"""Who serves what, and what happens when the local answer is missing or poor: through the editor's
protocol, with a server that counts as outside this machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from tests.e2e.process import PATIENCE_SECONDS
from tests.e2e.wiring import StartWire, Wire

from nearfield.routing.consent import Consent
from nearfield.routing.store import Store

SECRET = "ghp_" + "0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX"
CODE = f'token = "{SECRET}"\n\n\ndef add(a, b):\n    return '
LINE, COLUMN = 4, 11
MINE = "Person-of-the-local-model"

FAILS = {"match": "return ", "text": "", "error": "Unreachable"}
POOR = {"match": "return ", "text": f"{MINE}\n"}


@pytest.fixture
def data(environ: dict[str, str], tmp_path: Path) -> Path:
    """The data directory of the server, and what it may be asked with."""
    environ["NEARFIELD_DATA_DIR"] = str(tmp_path / "data")
    environ["CLOUD_KEY"] = "some-key-that-is-not-one"
    return tmp_path / "data"


def options(cloud: HTTPServer, answer: dict[str, Any], **routing: Any) -> dict[str, Any]:
    """`initializationOptions`: a scripted model here, and `cloud` as one outside this machine."""
    return {
        "engine": {"enabled": False},
        "completion": {"debounce_ms": 0, "deadline_ms": 20_000, "invoked_deadline_ms": 20_000},
        "providers": {
            "here": {"kind": "scripted", "options": {"answers": [answer]}},
            "cloud": {
                "kind": "openai_compatible",
                "model": "gpt-4o",
                "base_url": cloud.url_for("/v1"),
                "options": {
                    "leaves_machine": True, "infill": "suffix", "api_key_env": "CLOUD_KEY",
                },
            },
        },
        # Nothing that a script says is sure enough for this.
        "routing": {"strategy": "local_first", "min_logprob": -0.0001, **routing},
    }  # fmt: skip


class Session:
    """A client in a workspace, which asks for ghost text in new files of it."""

    def __init__(self, w: Wire, folder: Path, given: dict[str, Any], opt_in: bool = False) -> None:
        self.w, self.folder, self.files = w, folder, 0
        folder.mkdir(exist_ok=True)
        w.initialize(
            given,
            capabilities={"experimental": {"nearfieldOffers": True}} if opt_in else {},
            workspaceFolders=[{"uri": folder.as_uri(), "name": folder.name}],
        )

    def ghost(self, name: str = "") -> str:
        """The ghost text at the end of `CODE`, "" for none."""
        self.files += 1
        uri = (self.folder / (name or f"m{self.files}.py")).as_uri()
        self.w.open(CODE, uri)
        items = self.w.ghost(uri, LINE, COLUMN)
        return items[0]["insertText"] if items else ""

    def came(self, method: str) -> list[dict[str, Any]]:
        """The messages of `method` so far; a round trip lets those come that are on their way."""
        self.w.ask("nearfield/status")
        self.w.answers()
        return [message for message in self.w.received if message.get("method") == method]

    def question(self, number: int = 1) -> dict[str, Any]:
        """Wait for the `number`th question to the user."""
        seen: list[Any] = []

        def wanted(message: dict[str, Any]) -> bool:
            if message.get("method") == "window/showMessageRequest" and message not in seen:
                seen.append(message)
            return len(seen) == number

        return self.w.until(wanted)

    def reply(self, question: dict[str, Any], title: str | None) -> None:
        """The user presses a button, or closes the question."""
        result = None if title is None else {"title": title}
        self.w.send({"jsonrpc": "2.0", "id": question["id"], "result": result})

    def command(self, name: str, *arguments: Any) -> Any:
        return self.w.ask(
            "workspace/executeCommand", {"command": name, "arguments": list(arguments)}
        )

    def standing(self, consent: str) -> None:
        """Wait until the answer has been remembered."""
        end = time.monotonic() + PATIENCE_SECONDS
        while [row["consent"] for row in self.command("nearfield.consent")] != [consent]:
            assert time.monotonic() < end, f"{consent} is not remembered"


def sent(cloud: HTTPServer) -> list[str]:
    return [request.get_data(as_text=True) for request, _ in cloud.log]


def test_promise_3_an_offer_is_asked_once_and_a_no_opens_no_socket(
    wire: StartWire, cloud: HTTPServer, data: Path, tmp_path: Path
) -> None:
    s = Session(wire("--stdio"), tmp_path / "work", options(cloud, FAILS))
    assert s.ghost() == ""
    question = s.question()
    asked = question["params"]["message"]
    for part in ("cloud (gpt-4o)", "bytes from m1.py, 1 secret replaced", "at most $0."):
        assert part in asked
    titles = [action["title"] for action in question["params"]["actions"]]
    assert titles == ["Once", "This workspace", "Never"]
    # Nobody has answered, and nothing waits for it; the same is not asked again.
    assert s.ghost() == ""
    s.reply(question, "Never")
    s.standing("never")
    assert s.ghost() == ""
    assert len(s.came("window/showMessageRequest")) == 1
    assert sent(cloud) == []
    assert Store(data / "nearfield.db").entries() == []


def test_a_yes_sends_redacted_and_recorded_until_it_is_revoked(
    wire: StartWire, cloud: HTTPServer, data: Path, tmp_path: Path
) -> None:
    s = Session(wire("--stdio"), tmp_path / "work", options(cloud, FAILS))
    assert s.ghost() == ""
    s.reply(s.question(), "This workspace")
    s.standing("workspace")
    # Also where nothing was said before.
    assert s.ghost("m1.py") == "a + b"
    assert s.ghost() == "a + b"
    assert len(sent(cloud)) == 2
    assert not any(SECRET in body or str(tmp_path) in body for body in sent(cloud))
    store = Store(data / "nearfield.db")
    assert [entry.sending.files for entry in store.entries()] == [
        (("m3.py", None, None),),
        (("m1.py", None, None),),
    ]
    assert {entry.sending.workspace for entry in store.entries()} == {str(tmp_path / "work")}
    (row,) = s.command("nearfield.consent", "show")
    assert (row["provider"], row["consent"]) == ("cloud", "workspace")
    assert s.command("nearfield.consent", "revoke", "cloud") == {"revoked": 1}
    assert s.ghost() == ""
    s.question(2)
    assert len(sent(cloud)) == 2
    assert len(store.entries()) == 2
    store.close()


def test_a_poor_answer_is_kept_and_once_allows_one_request(
    wire: StartWire, cloud: HTTPServer, data: Path, tmp_path: Path
) -> None:
    s = Session(wire("--stdio"), tmp_path / "work", options(cloud, POOR), opt_in=True)
    assert s.ghost() == MINE
    (told,) = s.came("nearfield/offer")
    offer = told["params"]
    assert (offer["provider"], offer["model"], offer["task"]) == ("cloud", "gpt-4o", "complete")
    assert (offer["workspace"], offer["files"]) == (str(tmp_path / "work"), ["m1.py"])
    assert offer["redactions"] == [{"kind": "GitHub token", "count": 1}]
    assert 0 < offer["price"] < 0.1
    assert offer["bytes"] > 100
    assert "unsure" in offer["reason"]
    assert s.command("nearfield.answer", offer["id"], "once") is True
    assert s.command("nearfield.answer", offer["id"], "once") is False
    assert s.ghost() == "a + b"
    assert s.ghost() == MINE
    assert len(sent(cloud)) == len(Store(data / "nearfield.db").entries()) == 1
    assert s.came("window/showMessageRequest") == []
    # Who has said yes once may be asked again.
    assert len(s.came("nearfield/offer")) == 2


def test_a_file_that_may_not_leave_is_not_offered(
    wire: StartWire, cloud: HTTPServer, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / ".gitignore").write_text("private/\n")
    s = Session(wire("--stdio"), tmp_path / "work", options(cloud, FAILS), opt_in=True)
    assert s.ghost("private/a.py") == ""
    assert s.ghost("credentials.json") == ""
    assert s.came("nearfield/offer") == []
    assert s.ghost() == ""
    assert [m["params"]["files"] for m in s.came("nearfield/offer")] == [["m3.py"]]
    # A yes for the workspace is none for them.
    (told,) = s.came("nearfield/offer")
    s.command("nearfield.answer", told["params"]["id"], "workspace")
    assert s.ghost() == "a + b"
    assert s.ghost("private/b.py") == ""
    assert len(sent(cloud)) == 1
    assert data.is_dir()


@pytest.mark.parametrize(
    "arguments",
    [("nearfield.answer", "x"), ("nearfield.answer", 1, "once"), ("nearfield.answer", "x", "yes"),
     ("nearfield.consent", "grant", "cloud"), ("nearfield.consent", "revoke", 5)],
)  # fmt: skip
def test_commands_with_wrong_arguments(served: Wire, arguments: tuple[Any, ...]) -> None:
    name, *rest = arguments
    answer = served.answer(
        served.request("workspace/executeCommand", {"command": name, "arguments": rest})
    )
    assert answer["error"]["code"] == -32602


def roles(status: dict[str, Any]) -> dict[str, tuple[str, dict[str, str]]]:
    return {
        row["role"]: (row["provider"], {one["provider"]: one["why"] for one in row["others"]})
        for row in status["roles"]
    }


def test_the_status_names_each_roles_provider_and_why_others_do_not_serve(
    wire: StartWire, cloud: HTTPServer, data: Path, tmp_path: Path
) -> None:
    given = options(cloud, {"text": "x\n"}, min_logprob=-9, roles={"large": ["cloud"]})
    given["providers"]["broken"] = {"kind": "no such kind"}
    given["providers"]["gone"] = {"kind": "llama_server", "base_url": "http://127.0.0.1:1"}
    s = Session(wire("--stdio"), tmp_path / "work", given, opt_in=True)

    def gone(message: dict[str, Any]) -> bool:
        if message.get("method") != "nearfield/status":
            return False
        rows = roles(message["params"])
        return "reach" in rows.get("complete", ("", {}))[1].get("gone", "")

    # The notification says as much as the answer.
    assert s.w.until(gone)["params"]["provider"] == "here"
    found = roles(s.w.ask("nearfield/status"))
    provider, others = found["complete"]
    assert provider == "here"
    assert "no such kind" in others["broken"]
    assert "not allowed" in others["cloud"]
    assert found["large"][0] == ""
    assert "not allowed" in found["large"][1]["cloud"]
    assert [m for m in s.w.shown_messages() if "no such kind" in m] != []
    # A yes is told, and holds for its workspace alone.
    cloud_only: dict[str, Any] = {"role": "large", "provider": "cloud", "model": "gpt-4o"}
    cloud_only |= {"others": [], "local": False}
    store = Store(data / "nearfield.db")
    destination = f"{cloud.url_for('/v1')}"
    store.say(str(tmp_path / "work"), "cloud", destination, Consent.WORKSPACE)
    store.close()
    assert cloud_only in s.w.ask("nearfield/status")["roles"]
    elsewhere = s.w.ask("nearfield/status", {"workspace": str(tmp_path / "other")})
    assert roles(elsewhere)["large"][0] == ""
    s.w.until(
        lambda m: m.get("method") == "didChangeStatus" and "large: cloud" in m["params"]["message"]
    )
