"""From two changed lines to a third one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.features.next_edit.derive import LineChange, rewrite_of
from nearfield.features.next_edit.tokens import is_balanced, tokens_of


def made(line: str, *changes: tuple[str, str]) -> str | None:
    """What the rule behind `changes` makes of `line`; None where there is none."""
    rule = rewrite_of(*(LineChange(*one) for one in changes))
    if rule is None:
        return None
    for match in reversed(rule.matches(line)):
        line = line[: match.span.start] + match.new + line[match.span.end :]
    return line


@pytest.mark.parametrize(
    ("first", "second", "third"),
    [
        ("a = foo(x) > a = bar(x)", "b = foo(y, 2) > b = bar(y, 2)", "if foo(): > if bar():"),
        ("x = zip(a, b) > x = zip(a, b, strict=True)", "zip(c, d) > zip(c, d, strict=True)",
         "dict(zip(f(1), g[0])) > dict(zip(f(1), g[0], strict=True))"),
        ("w = r.width > w = r.getWidth()", "h = r.height > h = r.getHeight()",
         "d = r.depth > d = r.getDepth()"),
        ("self.a = a > self.a = int(a)", "self.b = b > self.b = int(b)",
         "self.c = other > self.c = int(other)"),
        ("name: str > name: str | None", "town: str > town: str | None",
         "zip: str > zip: str | None"),
        ('x = d.get("a") > x = d["a"]', 'y = d.get("b") > y = d["b"]',
         "return d.get(key) > return d[key]"),
        ("Name   string > Name   *string", "Street string > Street *string",
         "Town   string > Town   *string"),
        ('("a", 1), > ("a", 1, None),', '("b", 2), > ("b", 2, None),',
         '("ccc", 3), > ("ccc", 3, None),'),
        ("equal(a, b) > assert a == b", "equal(f(1, 2), []) > assert f(1, 2) == []",
         "equal(g(x, y), [1, 2]) > assert g(x, y) == [1, 2]"),
        ('"http://a.org" > "https://a.org"', '"http://b.org/x" > "https://b.org/x"',
         '"http://c.net/y" > "https://c.net/y"'),
        ('"size: %s" % size > f"size: {size}"', '"name: %s" % name > f"name: {name}"',
         '"type: %s" % kind > f"type: {kind}"'),
        ('c.Get("a") > c.Get(ctx, "a")', 'c.Get("b") > c.Get(ctx, "b")',
         "c.Get(name) > c.Get(ctx, name)"),
        ("render(<A />) > render(<A />, { w })", "render(<B b={1} />) > render(<B b={1} />, { w })",
         "render(<C on />) > render(<C on />, { w })"),
        ("userName = Text() > user_name = Text()", "lastLogin = Text() > last_login = Text()",
         "passwordHash = Text() > password_hash = Text()"),
        ('"user-added" > Event.UserAdded', '"user-gone" > Event.UserGone',
         '"group-was-added" > Event.GroupWasAdded'),
        ('F("first_name") > F("first_name", "First name")',
         'F("last_name") > F("last_name", "Last name")',
         'F("id") > F("id", "Id")'),
        ('Name string > Name string `json:"name"`',
         'LastLogin string > LastLogin string `json:"last_login"`',
         'HTTPPort string > HTTPPort string `json:"http_port"`'),
        ("case 'a': > case Kind.A:", "case 'b': > case Kind.B:", "case 'c': > case Kind.C:"),
    ],
)  # fmt: skip
def test_a_third_line_is_changed_as_two_others_were(first: str, second: str, third: str) -> None:
    one, two = first.split(" > "), second.split(" > ")
    old, new = third.split(" > ")
    assert made(old, (one[0], one[1]), (two[0], two[1])) == new
    assert made(new, (one[0], one[1]), (two[0], two[1])) == new, "done is done"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("resize(a, 100) > resize(a, 120, 'x')", "resize(b, 20) > resize(b, 24, 'y')"),
        ("a = 1 > a = 2", "b = 5 > b = 9"),
        ("f(a) > g(a)", "f(b) > h(b)"),
        ("a > a", "b > b"),
        ("x + y > x - y", "x * y > x / y"),
    ],
)
def test_two_changes_without_a_rule(first: str, second: str) -> None:
    one, two = first.split(" > "), second.split(" > ")
    assert made("resize(c, 1)", (one[0], one[1]), (two[0], two[1])) is None


@pytest.mark.parametrize("line", ["x.foo(1)", "food(1)", "foo", "_foo(1)", '"foo(1)"'])
def test_similar_lines_that_do_not_match_are_left_alone(line: str) -> None:
    assert made(line, ("a = foo(1)", "a = bar(1)"), ("b = foo(2)", "b = bar(2)")) == line


LINES = st.text(st.sampled_from("ab_1 ().,=[]{}\"':+"), max_size=20)


@given(old=LINES, new=LINES, other=LINES, third=LINES)
def test_a_rule_explains_the_changes_that_it_is_made_from(
    old: str, new: str, other: str, third: str
) -> None:
    """Whatever the lines are; and it ends."""
    changes = (LineChange(old, new), LineChange(other, new))
    rule = rewrite_of(*changes)
    if rule is None:
        return
    for change in changes:
        assert "".join((made(change.old, (old, new), (other, new)) or "").split()) == "".join(
            change.new.split()
        )
    rule.matches(third)


@given(line=st.text(max_size=60), in_strings=st.booleans())
def test_tokens_are_the_line_without_its_blanks(line: str, in_strings: bool) -> None:
    tokens = tokens_of(line, in_strings)
    assert all(line[one.start : one.end] == one.text for one in tokens)
    assert "".join("".join(one.text for one in tokens).split()) == "".join(line.split())


@pytest.mark.parametrize(
    ("text", "expected"), [("a ( b ) [ ]", True), ("( ]", False), (") (", False), ("(", False)]
)
def test_brackets_are_counted_as_balanced(text: str, expected: bool) -> None:
    assert is_balanced(text.split()) is expected
