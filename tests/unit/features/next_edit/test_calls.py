"""After the parameters of a function were changed: what is offered for its calls."""

from __future__ import annotations

import pytest
from tests.unit.features.next_edit.editing import Typist, tree_of

PYTHON = '''\
LOG = print


def fetch(url, retries=3, *, log=None):
    """fetch(url) gets it."""
    return url


class Client:
    def __init__(self, base):
        self.base = base
        self.timeout = 5

    def get(self, path, query):
        # self.get(path, query)
        return fetch(self.base + path, 2)

    def all(self, session):
        return [self.get("a", {}), self.get("b", query=1)]


def main(timeout):
    client = Client("x")
    client.get("c", 1)
    fetch(
        "d",
        log=LOG,
    )
    fetch(*timeout)
    other.get("e", 2)
    return fetch("f")
'''
TYPESCRIPT = """\
function fetch(url: string, retries: number, log?: Logger): string {
  return url;
}

class Client {
  constructor(private base: string) {}
  get(path: string): string {
    return fetch(this.base + path, 2);
  }
  all(session: Session): string[] {
    return [this.get("a"), this.get("b")];
  }
}

const main = (timeout: number, session: Session) => {
  const client = new Client("x");
  client.get("c");
  fetch(...args);
  return fetch("d", 1, session.log);
};
"""
GO = """\
package web

func fetch(url string, retries, most int) string {
	return url
}

type Client struct {
	base    string
	timeout int
}

func (c *Client) Get(path string) string {
	return fetch(c.base+path, 2, 3)
}

func (c *Client) All(ctx context.Context) []string {
	return []string{c.Get("a"), c.Get("b")}
}

func Main(timeout int) string {
	c := &Client{base: "x"}
	c.Get("c")
	return fetch("d", 1, 2)
}
"""
TEXTS = {"python": PYTHON, "typescript": TYPESCRIPT, "go": GO}


def check(language: str, old: str, new: str, expected: list[tuple[str, str]]) -> None:
    """`old` is changed to `new` by typing; taking every offer makes the replacements `expected`,
    each of which is there once, and no others."""
    text = TEXTS[language]
    typist = Typist(text, language)
    start = text.index(old)
    changed = start + _common(old, new)
    tail = _common(old[changed - start :][::-1], new[changed - start :][::-1])
    typist.offset = start + len(old) - tail
    typist.erase(len(old) - tail - (changed - start))
    typist.type(new[changed - start : len(new) - tail])
    wanted = text.replace(old, new, 1)
    assert typist.text == wanted
    for before, after in expected:
        assert wanted.count(before) == 1, before
        wanted = wanted.replace(before, after)
    assert typist.accept_all() == wanted
    tree = tree_of(language, typist.text)
    assert tree is not None
    assert not tree.root.has_error


def _common(one: str, other: str) -> int:
    count = 0
    while count < min(len(one), len(other)) and one[count] == other[count]:
        count += 1
    return count


@pytest.mark.parametrize(
    ("language", "old", "new", "expected"),
    [
        # a new one, passed where something of that name is known
        ("python", "(url, retries", "(url, timeout, retries",
         [("path, 2)", "path, self.timeout, 2)"),
          ('"d",\n        log', '"d", timeout,\n        log'),
          ('fetch("f")', 'fetch("f", timeout)')]),
        ("python", "log=None)", "log=None, timeout)",
         [("path, 2)", "path, 2, timeout=self.timeout)"), ("log=LOG,", "log=LOG, timeout=timeout,"),
          ('fetch("f")', 'fetch("f", timeout=timeout)')]),
        ("python", "path, query):", "path, query, session):",
         [('"a", {})', '"a", {}, session)'), ('"b", query=1)', '"b", query=1, session=session)')]),
        ("python", "(self, base)", "(self, timeout, base)",
         [('Client("x")', 'Client(timeout, "x")')]),
        ("typescript", "retries: number, log", "retries: number, timeout: number, log",
         [('"d", 1, session', '"d", 1, timeout, session')]),
        ("typescript", "get(path: string)", "get(session: Session, path: string)",
         [('get("a")', 'get(session, "a")'), ('get("b")', 'get(session, "b")'),
          ('get("c")', 'get(session, "c")')]),
        ("go", "most int)", "most int, timeout int)",
         [("path, 2, 3)", "path, 2, 3, c.timeout)"), ('"d", 1, 2)', '"d", 1, 2, timeout)')]),
        ("go", "Get(path string)", "Get(cx context.Context, path string)",
         [('c.Get("a")', 'c.Get(ctx, "a")'), ('c.Get("b")', 'c.Get(ctx, "b")')]),
        # two at once
        ("python", "(url, retries", "(timeout, LOG, url, retries",
         [("fetch(self.base + path, 2)", "fetch(self.timeout, LOG, self.base + path, 2)"),
          ('"d",', 'timeout, LOG, "d",'), ('fetch("f")', 'fetch(timeout, LOG, "f")')]),
        ("go", "retries, most int", "retries, most, timeout int, client Client",
         []),
        # one that need not be passed, and one for which nothing is known
        ("python", "(url, retries=3", "(url, retries=3, wait=1", []),
        ("python", "path, query):", "path, query, unknown):", []),
        ("typescript", "log?: Logger", "log?: Logger, wait = 3", []),
        # one less
        ("python", "path, query):", "path):",
         [('"a", {})', '"a")'), ('"b", query=1)', '"b")'), ('"c", 1)', '"c")')]),
        ("python", "(url, retries=3, ", "(url, ", [("path, 2)", "path)")]),
        ("python", "(self, base)", "(self)", [('Client("x")', "Client()")]),
        ("typescript", "url: string, retries: number, log", "retries: number, log",
         [("fetch(this.base + path, 2)", "fetch(2)"), ('"d", 1, session', "1, session")]),
        ("go", "(url string, retries, most int)", "(url string)",
         [("path, 2, 3)", "path)"), ('"d", 1, 2)', '"d")')]),
        # in another order
        ("python", "path, query):", "query, path):",
         [('"a", {})', '{}, "a")'), ('"c", 1)', '1, "c")')]),
        ("typescript", "url: string, retries: number, log", "retries: number, url: string, log",
         [("this.base + path, 2)", "2, this.base + path)"), ('"d", 1,', '1, "d",')]),
        ("go", "retries, most int", "most, retries int",
         [("path, 2, 3)", "path, 3, 2)"), ('"d", 1, 2)', '"d", 2, 1)')]),
        # too much at once, or nothing that calls depend on
        ("python", "path, query):", "base, more, third):", []),
        ("go", "path string)", "path []byte)", []),
    ],
)  # fmt: skip
def test_calls_follow_their_function(
    language: str, old: str, new: str, expected: list[tuple[str, str]]
) -> None:
    check(language, old, new, expected)


def test_an_argument_typed_at_one_call_is_offered_for_the_others() -> None:
    code = "def f(a):\n    return a\n\n\nf(1)\nf(2)\nf(3)\n"
    typist = Typist(code)
    typist.offset = typist.find("a)") + 1
    typist.type(", deep")
    assert typist.offered() == ()
    typist.offset = typist.find("2)") + 1
    typist.type(", True")
    assert typist.accept_all().endswith("f(1, True)\nf(2, True)\nf(3, True)\n")


def test_a_second_change_of_the_list_is_followed_too() -> None:
    code = "def f(a):\n    return a\n\n\nb = c = 1\nf(1)\nf(2)\n"
    typist = Typist(code)
    typist.offset = typist.find("a)") + 1
    typist.type(", b")
    typist.accept(typist.offered()[0])
    typist.offset = typist.find("b):") + 1
    typist.type(", c")
    assert typist.accept_all().endswith("f(1, b, c)\nf(2, b, c)\n")


def test_undo_of_the_list_drops_the_offers() -> None:
    typist = Typist(PYTHON)
    at = typist.find("retries")
    typist.edit(at, at, "timeout, ")
    assert typist.offered()
    typist.edit(at, at + len("timeout, "), "")
    assert typist.offered() == ()


def test_calls_with_uncountable_arguments_are_left_alone() -> None:
    code = "def f(*a, b):\n    pass\n\n\nf(1, b=2)\n"
    typist = Typist(code)
    at = code.index(", b)")
    typist.edit(at, at + 3, "")
    assert typist.offered() == ()
