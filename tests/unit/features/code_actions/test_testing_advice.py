"""What the prompt for tests says of a function."""

from __future__ import annotations

import pytest

from nearfield.features.code_actions.testing_advice import testing_advice as advice_for

ITERATOR, RANDOM, FILES = "iterator", "random", "tmp_path"

CODE: dict[str, tuple[str, list[str]]] = {
    "generator": ("def f(n):\n    for i in n:\n        yield i\n", [ITERATOR]),
    "chain": ("def f(a, b):\n    return itertools.chain([a], b)\n", [ITERATOR]),
    "generator expression": ("def f(a):\n    return (x for x in a)\n", [ITERATOR]),
    "indented": ("    def f(self, a):\n        return map(str, a)\n", [ITERATOR]),
    "list": ("def f(a):\n    return list(map(str, a))\n", []),
    "not always": ("def f(a):\n    if a:\n        return []\n    return iter(a)\n", []),
    "generator inside": ("def f(a):\n    def g():\n        yield 1\n    return list(g())\n", []),
    "random": ("def f(a):\n    return random.sample(a, 2)\n", [RANDOM]),
    "files": ("def f(p):\n    return os.stat(p).st_size\n", [FILES]),
    "class": ("class C:\n    def m(self):\n        yield 1\n", []),
    "broken": ("def f(:\n", []),
}


@pytest.mark.parametrize("case", CODE)
def test_what_is_special_of_a_function_is_said(case: str) -> None:
    code, words = CODE[case]
    found = advice_for(code, "f")
    assert len(found) == len(words)
    assert all(word in one for word, one in zip(words, found, strict=True))
