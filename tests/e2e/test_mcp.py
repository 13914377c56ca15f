"""`nearfield mcp`: what an agent sees of a workspace, asked by the library's client and by hand."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.exceptions import MCPError
from tests.e2e.agent import Agent
from tests.e2e.prepared import STARTED, forked
from tests.e2e.process import PATIENCE_SECONDS, environment

KEY = "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5"
USES = 130
LINES = 5_000
FILES = {
    "goods.py": 'def net_price(item):\n    """The price without tax."""\n    return item.cents\n',
    "till.py": "from goods import net_price\n\n\nclass Till:\n    def total(self):\n        pass\n",
    "uses.py": "from goods import net_price\n" + "net_price(1)\n" * USES,
    "long.py": "".join(f"line_{n} = {n}\n" for n in range(LINES)),
    "broken.py": "x = 1\ndef f(:\n    pass\n",
    "login.py": f'TOKEN = "{KEY}"\n',
    "notes.txt": "Only words.\n",
    ".gitignore": "hidden_goods.py\n",
    "hidden_goods.py": "def hidden_price():\n    return 1\n",
    "withheld_goods.py": "def withheld_price():\n    return 1\n",
    ".env": "PASSWORD=hunter2\n",
}
TOOLS = ["search_code", "find_symbol", "definition", "references", "outline", "read", "diagnostics"]


def begun(root: Path, home: Path, program: Sequence[str] = ()) -> Agent:
    environ = {**environment(home), "NEARFIELD_DATA_DIR": str(home / "data")}
    config = Path(environ["NEARFIELD_CONFIG_DIR"])
    config.mkdir(parents=True, exist_ok=True)
    (config / "config.toml").write_text(
        "[index]\nvectors = false\n[privacy]\nwithhold = ['withheld_*']\n"
    )
    agent = Agent(root, environ, home / "log", program)
    agent.begin()
    return agent


def write(root: Path) -> Path:
    root.mkdir()
    for name, text in FILES.items():
        (root / name).write_text(text)
    (root.parent / "outside.py").write_text("def outside_price(): pass\n")
    (root / "link.py").symlink_to(root.parent / "outside.py")
    return root


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """One process for all tests that leave it as it was: each is also a test that it has survived
    the ones before."""
    folder = tmp_path_factory.mktemp("mcp")
    started = begun(write(folder / "shop"), folder / "home")
    yield started
    assert started.end() == 0


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_library_s_client_finds_and_reads(tmp_path: Path, mode: str) -> None:
    root = write(tmp_path / "shop")
    parameters = StdioServerParameters(
        command=STARTED[0],
        args=[*STARTED[1:], "mcp", "--workspace", str(root)],
        env=environment(tmp_path / "home"),
    )
    async with Client(parameters, mode=mode, read_timeout_seconds=PATIENCE_SECONDS) as client:
        assert [one.name for one in (await client.list_tools()).tools] == TOOLS
        result: Any = await client.call_tool("definition", {"name": "net_price"})
        assert not result.is_error
        assert "goods.py, line 1:\ndef net_price(item):" in result.content[0].text
        uri = (root / "goods.py").as_uri()
        assert uri in [one.uri for one in (await client.list_resources()).resources]
        read: Any = await client.read_resource(uri)
        assert read.contents[0].text == FILES["goods.py"]
        with pytest.raises(MCPError, match="no file of the workspace"):
            await client.read_resource((root.parent / "outside.py").as_uri())


EXAMPLES: dict[str, dict[str, Any]] = {
    "search_code": {"query": "price without tax"},
    "find_symbol": {"name": "net_prise"},
    "definition": {"name": "net_price"},
    "references": {"name": "net_price"},
    "outline": {"path": "till.py"},
    "read": {"path": "goods.py"},
    "diagnostics": {"path": "broken.py"},
}


def test_every_tool_has_a_schema_that_says_what_it_takes(agent: Agent) -> None:
    tools = agent.ask("tools/list")["result"]["tools"]
    assert [one["name"] for one in tools] == [*EXAMPLES]
    for tool in tools:
        schema = tool["inputSchema"]
        jsonschema.Draft202012Validator.check_schema(schema)
        assert (schema["type"], schema["additionalProperties"]) == ("object", False)
        assert tool["description"]
        assert all(one["description"] for one in schema["properties"].values())
        assert tool["annotations"]["readOnlyHint"] is True
        jsonschema.validate(EXAMPLES[tool["name"]], schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({}, schema)


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("search_code", {"query": "price without tax"}, "goods.py, from line 1:\ndef net_price"),
        ("find_symbol", {"name": "net_prise"}, "goods.py:1: function net_price: def net_price"),
        ("definition", {"name": "net_price"}, "goods.py, line 1:\ndef net_price(item):"),
        ("references", {"name": "net_price"}, "uses.py:2: net_price(1)"),
        ("outline", {"path": "till.py"}, "lines 5-6: method Till.total: def total(self):"),
        ("read", {"path": "goods.py", "first_line": 2, "last_line": 2}, "The price without tax."),
        ("diagnostics", {"path": "broken.py"}, "line 2: syntax error"),
        ("diagnostics", {"path": "goods.py"}, "goods.py has no syntax error."),
        ("definition", {"name": "none_such"}, "No definition of 'none_such' is known."),
        ("references", {"name": "none_such"}, "No use of 'none_such' is known."),
        ("outline", {"path": "notes.txt"}, "No definition in notes.txt is known."),
    ],
)
def test_a_tool_answers(agent: Agent, tool: str, arguments: dict[str, Any], told: str) -> None:
    text, is_error = agent.call(tool, **arguments)
    assert (told in text, is_error) == (True, False), text


def test_what_does_not_fit_is_on_further_pages(agent: Agent) -> None:
    pages = [agent.call("references", name="net_price", page=page)[0] for page in (1, 2, 3)]
    rows = [line for page in pages for line in page.splitlines() if "net_price" in line]
    assert len(rows) == len(set(rows)) >= USES + 1
    assert [page.endswith(f"(there is more on page {n})") for n, page in enumerate(pages, 2)] == [
        True, True, False,
    ]  # fmt: skip


def test_a_long_file_is_read_in_parts(agent: Agent) -> None:
    first, read = 1, ""
    for _ in range(LINES):
        text, is_error = agent.call("read", path="long.py", first_line=first)
        assert not is_error
        assert len(text) < 20_000
        read += text
        if "(cut here; read on with first_line " not in text:
            break
        first = int(text.rpartition("first_line ")[2].rstrip(")"))
    assert f"line_{LINES - 1} = " in read
    assert "line_0 = " in read


DENIED = ["hidden_goods.py", "withheld_goods.py", ".env", "link.py", "../outside.py", "/etc/passwd"]


@pytest.mark.parametrize("path", [*DENIED, "~/x", "C:\\x", "a\0b", "", "x" * 300])
@pytest.mark.parametrize("tool", ["read", "outline", "diagnostics"])
def test_a_path_that_is_denied_in_the_editor_is_denied_here(
    agent: Agent, tool: str, path: str
) -> None:
    text, is_error = agent.call(tool, path=path)
    assert is_error or "No definition in" in text
    assert not any(word in text for word in ("hidden_price", "withheld_price", "hunter2", "root:"))


@pytest.mark.parametrize("path", DENIED)
def test_a_resource_that_is_denied_in_the_editor_is_denied_here(agent: Agent, path: str) -> None:
    uris = [one["uri"] for one in agent.ask("resources/list")["result"]["resources"]]
    uri = f"{agent.root.as_uri()}/{path}"
    assert uri not in uris
    assert agent.ask("resources/read", uri=uri)["error"]["code"] == -32602


@pytest.mark.parametrize("name", ["hidden_price", "withheld_price", "outside_price"])
def test_names_of_denied_files_are_not_found(agent: Agent, name: str) -> None:
    found = [
        agent.call("search_code", query=name)[0],
        agent.call("find_symbol", name=name)[0],
        agent.call("references", name=name)[0],
        agent.call("definition", name=name)[0],
    ]
    assert not any(f"def {name}" in text for text in found)


def test_secrets_are_replaced_whichever_way_they_are_read(agent: Agent) -> None:
    uri = (agent.root / "login.py").as_uri()
    read = agent.ask("resources/read", uri=uri)["result"]["contents"][0]["text"]
    found = [
        agent.call("read", path="login.py")[0],
        agent.call("search_code", query="TOKEN")[0],
        agent.call("outline", path="login.py")[0],
        read,
    ]
    assert all("TOKEN" in text for text in found)
    assert not any(KEY in text for text in found)
    assert "REDACTED_SECRET_" in read


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "none", "arguments": {}}),
        ("tools/call", {"name": "resource", "arguments": {"uri": "file:///etc/passwd"}}),
        ("tools/call", {"name": "read"}),
        ("tools/call", {"name": "read", "arguments": {"path": 7}}),
        ("tools/call", {"name": "read", "arguments": {"path": ["goods.py"]}}),
        ("tools/call", {"name": "read", "arguments": {"path": "goods.py", "more": 1}}),
        ("tools/call", {"name": "read", "arguments": {"path": "goods.py", "first_line": 1e99}}),
        ("tools/call", {"name": "search_code", "arguments": {"query": "x", "page": 0}}),
        ("tools/call", {"name": "search_code", "arguments": {"query": "x", "page": 10**30}}),
        ("tools/call", {"name": "search_code", "arguments": {"query": "x" * 900_000}}),
        ("tools/call", {"name": "read", "arguments": {"path": "\ud800"}}),
        ("tools/call", {"name": {}, "arguments": []}),
        ("tools/call", {}),
        ("tools/list", {"cursor": "../x"}),
        ("resources/list", {"cursor": "-1"}),
        ("resources/list", {"cursor": "9" * 400}),
        ("resources/read", {"uri": "http://127.0.0.1/"}),
        ("resources/read", {"uri": "file://elsewhere/etc/passwd"}),
        ("resources/read", {"uri": 1}),
        ("resources/subscribe", {"uri": "file:///"}),
        ("sampling/createMessage", {}),
        ("no/such", {}),
    ],
)
def test_a_hostile_request_is_refused_and_the_next_one_answered(
    agent: Agent, method: str, params: dict[str, Any]
) -> None:
    answer = agent.ask(method, **params)
    assert "error" in answer or answer["result"]["isError"]
    assert "root:" not in json.dumps(answer)
    assert agent.call("read", path="notes.txt")[1] is False


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"no json",
        b"[" * 100_000,
        b'{"jsonrpc": "2.0"}',
        b'{"jsonrpc": "1.0", "id": 1, "method": 1}',
        b"\xff\xfe\x00",
        b'{"x": "' + b"y" * (3 << 20) + b'"}',
        b"null",
    ],
)
def test_a_line_that_is_no_message_costs_nothing(agent: Agent, line: bytes) -> None:
    agent.send(line)
    assert agent.call("read", path="notes.txt")[1] is False


def test_calls_are_in_the_audit_and_code_is_not_in_the_log(agent: Agent) -> None:
    agent.call("read", path="goods.py")
    command = forked("audit", "--calls", "--json")
    shown = subprocess.run(command, env=agent.environ, capture_output=True, check=True)
    rows = json.loads(shown.stdout)
    (row,) = [one for one in rows if one["name"] == "read" and "goods.py" in one["arguments"]][:1]
    assert (row["provider"], row["model"], row["outcome"]) == ("mcp", "by-hand", "done")
    said = agent.log.read_bytes()
    assert not [word for word in (b"net_price", b"cents", KEY.encode()) if word in said]


def test_a_workspace_takes_tools_away(tmp_path: Path) -> None:
    root = write(tmp_path / "shop")
    (root / ".nearfield.toml").write_text(
        '[chat]\nfunctions = ["getDefinition"]\n[files]\nexclude = ["goods.py"]\n'
    )
    agent = begun(root, tmp_path / "home")
    tools = [one["name"] for one in agent.ask("tools/list")["result"]["tools"]]
    assert tools == ["find_symbol", "definition", "references"]
    text, is_error = agent.call("read", path="till.py")
    assert (is_error, "not allowed here" in text) == (True, True)
    assert agent.ask("resources/list")["result"]["resources"] == []
    assert "error" in agent.ask("resources/read", uri=(root / "till.py").as_uri())
    assert "def net_price" not in agent.call("definition", name="net_price")[0]
    assert agent.end() == 0


def test_it_ends_with_its_client_and_leaves_no_process(tmp_path: Path) -> None:
    agent = begun(write(tmp_path / "shop"), tmp_path / "home", STARTED)
    agent.call("definition", name="net_price")
    children = psutil.Process(agent.process.pid).children(recursive=True)
    assert children
    assert agent.end() == 0
    psutil.wait_procs(children, PATIENCE_SECONDS)
    assert not [one for one in children if one.is_running()]
