"""Conversations: calls, permission, bounds, history, cancelling."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.unit.features.chat.conftest import StartTalk, Talk, call

from nearfield.errors import NoProvider
from nearfield.features.chat.folder import Folder
from nearfield.features.chat.protocol import Allow, ChatFinish, ChatWishes, ToolRefused, TurnPart
from nearfield.features.chat.session import CODE_ONLY, MESSAGE_TOKENS, SYSTEM
from nearfield.features.trace import flat
from nearfield.providers.estimate import tokens
from nearfield.routing.request_context import RequestContext
from nearfield.routing.router import Route
from nearfield.types import ChatRequest, Role

pytestmark = pytest.mark.asyncio


async def one_call(talk: Talk, said: str = "go") -> tuple[str, str]:
    """What a scripted call came to, as the model was told, and its state."""
    reply = await talk.say(said)
    [report] = reply.calls
    return report.result, report.state.value


async def test_an_answer_in_words(talk: StartTalk) -> None:
    t = talk({"text": "Hello there."})
    reply = await t.say("hi")
    assert (reply.text, reply.finish, reply.provider) == ("Hello there.", ChatFinish.STOP, "fake")
    assert t.screen.shown == "Hello there."


async def test_wishes_hold_for_the_whole_conversation(talk: StartTalk) -> None:
    t = talk({"text": "ok"}, context=8192)
    await t.say("hi", wishes=ChatWishes("Answer in German.", 0.7, 2048), functions=())
    for _ in range(4):
        await t.say("a question " * 150, functions=())
    request: Any = t.model.calls[-1].request
    assert request.temperature == 0.7
    assert request.messages[0].content.endswith("\nAnswer in German.")
    # What is older than the wished context holds is no longer told.
    assert sum(tokens(m.content) for m in request.messages) < 2048 < 4 * tokens("a question " * 150)
    await t.say("hi", wishes=ChatWishes(temperature=0.0))
    request = t.model.calls[-1].request
    assert request.temperature == 0.0 and "German" in request.messages[0].content


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        (ChatWishes("x" * 4001), "4000 characters"),
        (ChatWishes(temperature=2.1), "between 0 and 2"),
        (ChatWishes(temperature=float("nan")), "between 0 and 2"),
        (ChatWishes(context_tokens=10), "1024 tokens"),
        (ChatWishes(context_tokens=-1), "1024 tokens"),
    ],
)
async def test_wishes_that_cannot_be_meant_are_refused(
    wishes: ChatWishes, said: str, talk: StartTalk
) -> None:
    t = talk({"text": "ok"})
    with pytest.raises(ToolRefused, match=said):
        await t.say("hi", wishes=wishes)
    assert not t.model.calls


async def test_code_alone_is_asked_for_at_the_end_of_the_message(talk: StartTalk) -> None:
    t = talk({"text": "ok"})
    await t.say("add two numbers", code_only=True)
    assert t.told().endswith("add two numbers" + CODE_ONLY)
    await t.say("in words")
    assert t.told().endswith("in words")


async def test_a_call_and_its_answer(talk: StartTalk) -> None:
    t = talk(
        {"result": "cents / 100", "text": "It divides by a hundred."},
        {"text": "Let me look.", "tool_calls": [call("readFile", path="src/shop.py")]},
    )
    reply = await t.say("what does price do?")
    assert reply.text == "Let me look.\n\nIt divides by a hundred."
    assert t.screen.shown == reply.text
    assert t.screen.states() == ["readFile running", "readFile done"]
    [row] = t.store.calls()
    assert (row.name, row.decision, row.outcome) == ("readFile", "allowed", "done")
    assert json.loads(row.arguments) == {"path": "src/shop.py"}


MEANT = {
    "off": ('{"name": "deleteFileOrDir", "arguments": {"path": "a"}}', "`deleteFileOrDir`"),
    "in a fence": (
        '```json\n{"name": "deleteFile",\n "arguments": {"path": "a"}\n}\n```',
        "`deleteFile`",
    ),
    "other JSON": ('{"name": "Ann", "age": 31}', ""),
    "a call in words": ('Use {"name": "x", "arguments": {}} for that.', ""),
}


@pytest.mark.parametrize("case", MEANT)
async def test_a_call_without_a_function_is_reported(case: str, talk: StartTalk) -> None:
    text, name = MEANT[case]
    t = talk({"text": text})
    reply = await t.say("delete it")
    added = reply.text.removeprefix(text)
    assert ("Nothing was done" in added, name in added) == (bool(name), True)
    assert t.screen.shown == reply.text
    assert reply.calls == []


@pytest.mark.parametrize("lead", ["", "Markdown\n```json\n"])
async def test_a_call_of_a_looking_function_may_be_written_as_text(
    lead: str, talk: StartTalk
) -> None:
    text = '{"name": "readFile", "arguments": {"path": "readme.md"}}' + ("\n```" if lead else "")
    t = talk({"result": "# Shop", "text": "A shop."}, {"text": lead + text})
    reply = await t.say("what is it?")
    assert (reply.text, t.screen.shown) == ("A shop.", "A shop.")
    assert [c.state.value for c in reply.calls] == ["done"]


async def test_a_call_that_changes_something_may_not(talk: StartTalk) -> None:
    text = '{"name": "createDirectory", "arguments": {"path": "x"}}'
    t = talk({"text": text})
    t.person.says = Allow.ONCE
    assert (await t.say("make x")).text.startswith(f"{text}\n\nNothing was done")
    assert not (t.root / "x").exists()


async def test_silence_after_calls_is_asked_again_in_words(talk: StartTalk) -> None:
    t = talk(
        {"match": "Answer in words", "text": "A shop."},
        {"result": ".", "text": ""},
        {"match": "what", "tool_calls": [call("readFile", path="readme.md")]},
    )
    reply = await t.say("what is it?")
    assert (reply.text, reply.finish, t.screen.shown) == ("A shop.", ChatFinish.STOP, "A shop.")
    assert "# Shop" in t.told()
    assert "asked again" in reply.notes[0]


@pytest.mark.parametrize("functions", [None, ()])
async def test_silence_that_lasts_is_said(
    functions: tuple[str, ...] | None, talk: StartTalk
) -> None:
    t = talk({"text": ""})
    reply = await t.say("what is it?", functions=functions)
    assert reply.finish is ChatFinish.EMPTY
    assert "no answer" in reply.text
    assert t.screen.shown == reply.text
    assert [flat(one)["reason"] for one in t.traces.last(1)] == ["empty"]


async def test_an_answer_that_was_cut_off_says_so(talk: StartTalk) -> None:
    t = talk({"text": "one two three four five six"})
    reply = await t.say("count", max_tokens=3)
    assert reply.finish is ChatFinish.LENGTH
    assert reply.notes == ["The answer was cut off at its limit of 3 tokens."]


async def test_an_answer_in_a_loop_is_stopped_and_said_to_be_one(talk: StartTalk) -> None:
    t = talk({"text": "List all Python files in the folder.\n" * 500})
    reply = await t.say("files?", max_tokens=20_000)
    assert len(reply.text) < 3_000
    assert (reply.finish, reply.wrong) == (ChatFinish.STOP, "repeats itself")
    assert t.model.streaming == 0


READS: dict[str, tuple[dict[str, Any], str]] = {
    "a file": (call("readFile", path="src/shop.py"), "lines 1 to 2 of 2:\ndef price"),
    "some lines": (call("readFile", path="src/shop.py", first_line=2), "lines 2 to 2 of 2:\n    r"),
    "an empty file": (call("readFile", path="src/empty.py"), "has 0 lines"),
    "a notebook": (call("readFile", path="src/a.ipynb"), "# %% cell 1\nx = 1\n"),
    "past the end": (call("readFile", path="src/shop.py", first_line=9), "has 2 lines and nothing"),
    "a folder": (call("listDirectory"), "readme.md\nsrc/"),
    "by name": (call("searchFiles", pattern="*.py"), "src/empty.py\nsrc/shop.py"),
    "by text": (call("searchInFiles", text="CENTS"), "src/shop.py:2:     return item.cents / 100"),
    "no such text": (call("searchInFiles", text="zebra"), "No file holds"),
    "info": (call("getFileInfo", path="src"), "src: folder"),
    "no problems": (call("getDiagnostics", path="src/shop.py"), "No problem is known"),
}


@pytest.mark.parametrize("case", READS)
async def test_files_are_read_by_lines_and_limits(case: str, talk: StartTalk) -> None:
    wish, expected = READS[case]
    t = talk({"result": ".", "text": "ok"}, {"tool_calls": [wish]})
    result, state = await one_call(t)
    assert (state, expected in result) == ("done", True), result
    assert t.person.asked == []


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "a secret": (call("readFile", path=".env"), "not shown to models"),
    "a secret in capitals": (call("readFile", path=".ENV"), "not shown to models"),
    "ignored": (call("readFile", path="build/out.py"), "not shown to models"),
    "git's own": (call("readFile", path=".git/config"), "not shown to models"),
    "a notebook": (call("writeFile", path="src/a.ipynb", content="{}"), "is a notebook"),
    "a hook": (call("writeFile", path=".git/hooks/pre-commit", content="x"), "not shown to models"),
    "up": (call("readFile", path="../work/readme.md"), "'..'"),
    "absolute": (call("readFile", path="/etc/passwd"), "absolute"),
    "no such file": (call("readFile", path="nope.py"), "cannot be opened"),
    "deleting": (call("deleteFileOrDir", path="readme.md"), "not allowed here"),
    "the shell": (call("executeShell", command=["id"]), "not allowed here"),
    "unknown": (call("sendKeys", to="me"), "no such function"),
    "too few": (call("readFile"), "missing required field `path`"),
    "wrong type": (call("readFile", path=3), "Expected `str`, got `int` - at `$.path`"),
    "too many": (call("readFile", path="a", mode="w"), "unknown field `mode`"),
    "no object": ({"name": "readFile", "arguments": "[1"}, "are wrong"),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_refused_with_a_clear_message(case: str, talk: StartTalk) -> None:
    wish, expected = REFUSALS[case]
    t = talk({"result": ".", "text": "ok"}, {"tool_calls": [wish]})
    result, state = await one_call(t)
    assert (state != "done", expected in result) == (True, True), result
    assert (t.person.asked, t.person.changes) == ([], [])
    [row] = t.store.calls()
    assert row.outcome.startswith(("denied", "failed"))


async def test_a_function_outside_the_request_is_refused(talk: StartTalk) -> None:
    t = talk({"result": ".", "text": "ok"}, {"tool_calls": [call("readFile", path="readme.md")]})
    reply = await t.say("go", functions=("listDirectory", "executeShell"))
    assert "not allowed here" in reply.calls[0].result
    [first, *_] = [c.request for c in t.model.calls]
    assert [tool.name for tool in first.tools] == ["listDirectory"]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType] - a chat's


@pytest.mark.parametrize("applies", [True, False])
async def test_a_written_file_is_an_edit_for_the_user(applies: bool, talk: StartTalk) -> None:
    wish = call("writeFile", path="src/shop.py", content="x = 2\n")
    t = talk({"result": ".", "text": "ok"}, {"tool_calls": [wish]})
    t.person.applies = applies
    result, _ = await one_call(t)
    [change] = t.person.changes
    assert (change.shown, change.after) == ("src/shop.py", "x = 2\n")
    assert change.before == "def price(item):\n    return item.cents / 100\n"
    assert ("was written" in result) is applies
    assert (t.root / "src/shop.py").read_text() == change.before


CRLF = "# Zoë\r\nsize = 1\r\n"
WRITTEN: dict[str, tuple[bytes, str, str, str]] = {
    # the file, what the model writes, what is shown, the encoding that an editor could mistake
    "CRLF": (CRLF.encode(), "# Zoë\nsize = 2\n", "# Zoë\r\nsize = 2\r\n", ""),
    "a mark": (b"\xef\xbb\xbf" + CRLF.encode(), "# Zoë\nsize = 2\n", "# Zoë\r\nsize = 2\r\n", ""),
    "utf-16": (CRLF.encode("utf-16"), "# Zoë\nsize = 2\n", "# Zoë\r\nsize = 2\r\n", ""),
    "latin-1": (CRLF.encode("latin-1"), "# Zoë\nsize = 2\n", "# Zoë\r\nsize = 2\r\n", "latin-1"),
    "no last line end": (b"a\nb", "a\nc\n", "a\nc", ""),
}


@pytest.mark.parametrize("case", WRITTEN)
async def test_a_written_file_keeps_its_unchanged_lines(case: str, talk: StartTalk) -> None:
    raw, content, shown, encoding = WRITTEN[case]
    wish = call("writeFile", path="src/shop.py", content=content)
    t = talk({"result": ".", "text": "ok"}, {"tool_calls": [wish]})
    (t.root / "src/shop.py").write_bytes(raw)
    t.person.applies = True
    await one_call(t)
    [change] = t.person.changes
    assert (change.after, change.encoding) == (shown, encoding)
    assert change.before is not None
    before = change.before
    folder = Folder(str(t.root))
    folder.write("src/shop.py", before, change.after)
    folder.write("src/shop.py", change.after, before)
    assert (t.root / "src/shop.py").read_bytes() == raw


async def test_text_outside_the_encoding_is_refused_before_the_question(
    talk: StartTalk,
) -> None:
    wish = call("writeFile", path="src/shop.py", content="# Zoë costs 5 €\n")
    t = talk({"result": ".", "text": "ok"}, {"tool_calls": [wish]})
    (t.root / "src/shop.py").write_bytes("# Zoë\n".encode("latin-1"))
    result, state = await one_call(t)
    assert (state, "cannot be written in the file's encoding" in result) == ("failed", True)
    assert t.person.changes == []


async def test_the_line_ends_alone_are_no_change(talk: StartTalk) -> None:
    wish = call("writeFile", path="src/shop.py", content="a\nb\n")
    t = talk({"result": ".", "text": "ok"}, {"tool_calls": [wish]})
    (t.root / "src/shop.py").write_bytes(b"a\r\nb\r\n")
    assert "holds that already" in (await one_call(t))[0]


async def test_an_answer_after_a_read_counts_as_text_of_the_file(talk: StartTalk) -> None:
    t = talk({"result": ".", "text": "ok"}, {"tool_calls": [call("readFile", path="src/shop.py")]})
    await t.say("what is in it?")
    # Without text: none of it can be cut out, so the whole stays here where the file may not leave.
    assert TurnPart("", "src/shop.py") in t.session_turns()[-1].parts


async def test_the_editors_text_counts(talk: StartTalk) -> None:
    t = talk({"result": ".", "text": "ok"}, {"tool_calls": [call("readFile", path="src/shop.py")]})
    t.person.open[str(t.root / "src/shop.py")] = "unsaved = True\n"
    assert "unsaved = True" in (await one_call(t))[0]


@pytest.mark.parametrize(
    ("says", "state", "asked_again"),
    [(Allow.NO, "denied", True), (Allow.ONCE, "done", True), (Allow.SESSION, "done", False)],
)
async def test_a_change_is_asked_for(
    says: Allow, state: str, asked_again: bool, talk: StartTalk
) -> None:
    t = talk(
        {"result": ".", "text": "ok"},
        {"match": "one", "tool_calls": [call("createDirectory", path="new/one")]},
        {"match": "two", "tool_calls": [call("createDirectory", path="new/two")]},
    )
    t.person.says = says
    assert (await one_call(t, "one"))[1] == state
    assert (t.root / "new/one").is_dir() is (state == "done")
    await one_call(t, "two")
    assert len(t.person.asked) == 1 + asked_again
    assert t.store.calls()[-1].decision == says.value


async def test_deleting_is_asked_for_each_time(talk: StartTalk) -> None:
    t = talk(
        {"result": ".", "text": "ok"},
        {"match": "one", "tool_calls": [call("deleteFileOrDir", path="readme.md")]},
        {"match": "two", "tool_calls": [call("deleteFileOrDir", path="src")]},
        functions=["deleteFileOrDir"],
    )
    t.person.says = Allow.SESSION
    await one_call(t, "one")
    await one_call(t, "two")
    assert [q.each_time for q in t.person.asked] == [True, True]
    assert not (t.root / "readme.md").exists()
    assert not (t.root / "src").exists()


READS_IT = {"tool_calls": [call("readFile", path="readme.md")]}
IN_WORDS = "Answer in words"


async def test_the_same_call_again_and_again_is_ended(talk: StartTalk) -> None:
    t = talk({"match": IN_WORDS, "error": "Unreachable"}, READS_IT)
    reply = await t.say("go")
    assert reply.finish is ChatFinish.LOOP
    assert "same call of readFile" in reply.text
    assert [c.state.value for c in reply.calls] == ["done", "denied", "denied"]
    assert len(t.store.calls()) == 1
    # It is answered from what it has brought, for a model that has lost sight of it.
    results = [turn for turn in t.told_all() if turn.startswith("tool: ")]
    assert [("# Shop" in one, "already" in one) for one in results][-2:] == [
        (True, False), (True, True),
    ]  # fmt: skip


MUDDLED = {
    "the same call": READS_IT,
    "calls as text": {
        "result": "# Shop",
        "text": 'Markdown\n{"name": "readFile", "arguments": {}}\n{"name": "x"}',
    },
    "a call as code": {"result": "# Shop", "text": 'ReadFile({"path": "readme.md"})'},
}


@pytest.mark.parametrize("case", MUDDLED)
async def test_a_model_lost_in_calls_answers_from_their_results(case: str, talk: StartTalk) -> None:
    t = talk({"match": IN_WORDS, "text": "It is a shop."}, MUDDLED[case], READS_IT)
    reply = await t.say("what is it?")
    assert (reply.text, t.screen.shown, reply.finish) == (
        "It is a shop.", "It is a shop.", ChatFinish.STOP,
    )  # fmt: skip
    assert "from what they had brought" in reply.notes[0]
    last: Any = t.model.calls[-1].request
    assert last.tools == ()
    assert [m.role.value for m in last.messages] == ["system", "user"]
    assert last.messages[1].content.count("# Shop") == 1
    assert "what is it?" in last.messages[1].content
    assert "readFile" not in (await t.say("again")).text


async def test_an_answer_about_a_function_of_that_name_stays(talk: StartTalk) -> None:
    text = 'Call `readFile(path)`, or `{"name": "readFile"}`.'
    t = talk({"result": "# Shop", "text": text}, READS_IT)
    assert (await t.say("go")).text == text


async def test_after_a_call_was_made_it_is_not_said_that_nothing_was_done(talk: StartTalk) -> None:
    text = '{"name": "load_cart", "arguments": {}}'
    t = talk({"result": ".", "text": text}, {"tool_calls": [call("readFile", path="readme.md")]})
    reply = await t.say("go")
    assert (reply.text, t.screen.shown, len(reply.calls)) == (text, text, 1)


async def test_rounds_are_bounded(talk: StartTalk) -> None:
    t = talk(
        {"result": "readme", "tool_calls": [call("getFileInfo", path="src")]},
        {"result": "folder", "tool_calls": [call("getFileInfo", path="src/shop.py")]},
        {"tool_calls": [call("getFileInfo", path="readme.md")]},
        max_rounds=2,
    )
    reply = await t.say("go")
    assert (reply.finish, len(reply.calls)) == (ChatFinish.ROUNDS, 2)
    assert "2 times" in reply.text


@pytest.mark.parametrize(
    ("limit", "said"), [({"max_files": 1}, "1 files have been"), ({"max_bytes": 20}, "20 bytes")]
)
async def test_reads_are_bounded(limit: dict[str, int], said: str, talk: StartTalk) -> None:
    both = [call("readFile", path="readme.md"), call("readFile", path="src/shop.py")]
    t = talk({"result": ".", "text": "ok"}, {"tool_calls": both}, **limit)
    reply = await t.say("go")
    assert said in reply.calls[1].result


async def test_time_is_bounded(talk: StartTalk) -> None:
    t = talk({"tool_calls": [call("createDirectory", path="x")]}, timeout_s=1)
    t.person.waits.clear()
    reply = await t.say("go")
    assert reply.finish is ChatFinish.DEADLINE
    assert t.store.calls()[0].outcome == "cancelled"


async def test_earlier_turns_are_sent_again(talk: StartTalk) -> None:
    t = talk({"match": "one", "text": "first"}, {"match": "two", "text": "second"})
    await t.say("one")
    await t.say("two")
    assert "user: one\nassistant: first\nuser: two" in t.told()
    assert t.chat.close("s")
    assert not t.chat.close("s")
    await t.say("one")
    assert "second" not in t.told()


@pytest.mark.parametrize("stage", ["asking the user", "in the model"])
async def test_cancelling_leaves_no_turn_and_no_call(stage: str, talk: StartTalk) -> None:
    if stage == "in the model":
        t = talk({"match": "go", "text": "begun ", "hang": True}, {"text": "fine"})
    else:
        wish = {"match": "go", "tool_calls": [call("createDirectory", path="x")]}
        t = talk(wish, {"text": "fine"})
        t.person.waits.clear()
    going = asyncio.ensure_future(t.say("go"))
    while not (t.person.asked or t.screen.shown):
        await asyncio.sleep(0.01)
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert t.model.streaming == 0
    assert not (t.root / "x").exists()
    assert all(row.outcome == "cancelled" for row in t.store.calls())
    assert (await t.say("well?")).text == "fine"


async def test_each_answer_is_in_the_trace(talk: StartTalk) -> None:
    t = talk(
        {"match": "fail", "error": "Unreachable"},
        {"match": "hang", "text": "begun ", "hang": True},
        {"match": "loop", "tool_calls": [call("readFile", path="readme.md")]},
        {"text": "fine"},
    )
    await t.say("well?")
    with pytest.raises(NoProvider):
        await t.say("fail")
    await t.say("loop", session="other")
    t.screen.shown = ""
    going = asyncio.ensure_future(t.say("hang", session="third"))
    while not t.screen.shown:
        await asyncio.sleep(0.01)
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    rows = [flat(trace) for trace in t.traces.last(9)]
    told = [(r["method"], r["provider"], r["situation"], r["reason"]) for r in reversed(rows)]
    assert told == [
        ("nearfield/chat", "fake", "stop", ""),
        ("nearfield/chat", "", "", "failed"),
        ("nearfield/chat", "fake", "loop", ""),
        ("nearfield/chat", "", "", "cancelled"),
    ]


async def test_without_a_provider_the_error_says_so(talk: StartTalk) -> None:
    t = talk({"match": "go", "error": "Unreachable"}, {"text": "back"})
    with pytest.raises(NoProvider):
        await t.say("go")
    await t.say("again")
    assert "user: go" not in t.told()
    with pytest.raises(ToolRefused):
        await t.say("  ")


async def test_a_full_window_is_summed_up(talk: StartTalk) -> None:
    t = talk(
        {"match": "word word", "text": "They spoke of zebras."},
        {"match": "start", "text": "noted " * 100},
        {"match": "more", "text": "word " * 120},
        {"text": "done"},
        context=1500,
        functions=[],
    )
    await t.say("start with @file:readme.md please")
    for number in range(12):
        await t.say(f"more {number}", max_tokens=300)
    assert "What was said before" in t.told()
    assert "# Shop" in t.told()  # pinned
    assert "more 11" in t.told()
    assert "more 0" not in t.told()
    # Whatever was asked fitted, and began with what always holds.
    requests: list[Any] = [one.request for one in t.model.calls]
    for request in requests:
        size = sum(MESSAGE_TOKENS + tokens(message.content) for message in request.messages)
        assert size + min(request.max_tokens, 300) <= 1500
        assert request.messages[0].role is Role.SYSTEM
    answers = [one for one in requests if "Summarise" not in one.messages[0].content]
    assert {one.messages[0].content for one in answers} == {SYSTEM}
    assert all("# Shop" in "".join(m.content for m in one.messages) for one in answers)
    assert [one.messages[-1].content for one in answers[1:]] == [f"more {n}" for n in range(12)]


async def test_a_summary_is_made_by_the_role_that_answers(
    talk: StartTalk, monkeypatch: pytest.MonkeyPatch
) -> None:
    t = talk({"match": "more", "text": "word " * 120}, context=1500, functions=[])
    assert t.router is not None
    chat, roles = t.router.chat, list[str]()

    def noted(request: ChatRequest, role: str, context: RequestContext) -> Route:
        roles.append(role)
        return chat(request, role, context)

    monkeypatch.setattr(t.router, "chat", noted)
    for number in range(12):
        await t.say(f"more {number}", role="large", max_tokens=300)
    assert "What was said before" in t.told()
    assert set(roles) == {"large"}


async def test_a_message_that_cannot_fit_says_so(talk: StartTalk) -> None:
    t = talk({"text": "x"}, context=600, functions=[])
    with pytest.raises(Exception, match="Refer to fewer files"):
        await t.say("word " * 3000)


async def test_calls_that_are_too_many_at_once_are_said_to_be_left_out(talk: StartTalk) -> None:
    wishes = [call("readFile", path=f"{number}.md") for number in range(9)]
    t = talk({"match": "go", "tool_calls": wishes}, {"text": "ok"})
    reply = await t.say("go")
    assert len(t.model.calls) > 2, "it asks again and again"
    [note] = [one for one in reply.notes if "asked for 9 calls at once" in one]
    assert "only the first 8" in note
