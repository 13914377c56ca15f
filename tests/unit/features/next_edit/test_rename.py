"""After a name was changed at one place: which others are offered, and how."""

from __future__ import annotations

import pytest
from tests.unit.features.next_edit.editing import Typist, shown, tree_of

PYTHON = '''\
import os
from json import loads

LIMIT = 3


class Cart:
    rate = 2

    def __init__(self, items):
        self.items = items

    def count(self):
        """items are counted"""
        return len(self.items) * self.rate


def total(prices, limit=LIMIT):
    # prices of all
    found = [price for price in prices if price < limit]
    text = f"{prices} prices"
    def inner(prices):
        return prices
    return sum(found), inner(1), text


def shop(data):
    cart = Cart(loads(data))
    other.items = LIMIT
    return total(cart.items, limit=cart.count()), os
'''
TYPESCRIPT = """\
import { read } from "fs";

const limit = 3;

class Cart {
  private rate = 2;
  constructor(private items: number[]) {}
  count(): number {
    return this.items.length * this.rate;
  }
}

export function total(prices: number[], most = limit): number {
  // prices of all
  const found = prices.filter((price) => price < most);
  return found.length + prices.length;
}

export function shop(data: string): number {
  const cart = new Cart([]);
  const text = `${data} data`;
  return total([1], cart.count()) + read(data) + text.length;
}
"""
GO = """\
package shop

import "fmt"

const limit = 3

type Cart struct {
	items []int
	rate  int
}

func (c *Cart) Count() int {
	// items are counted
	return len(c.items) * c.rate
}

func total(prices []int, most int) int {
	found := 0
	for _, price := range prices {
		found += price
	}
	return found + len(prices) + most
}

func Shop(data string) int {
	cart := &Cart{items: nil, rate: 1}
	fmt.Println(cart.items, data, "data")
	return total(cart.items, limit) + cart.Count()
}
"""
TEXTS = {"python": PYTHON, "typescript": TYPESCRIPT, "go": GO}


@pytest.mark.parametrize(
    ("language", "old", "nth", "expected"),
    [
        # parameters, with the calls that name them; comments, strings and inner ones are others
        pytest.param("python", "prices", 0, [20, 21], id="python-parameter"),
        pytest.param("python", "limit", 0, [20, 30], id="python-keyword"),
        pytest.param("python", "items", 0, [11], id="python-init"),
        pytest.param("python", "found", 0, [24], id="python-variable"),
        pytest.param("python", "price", 3, [20, 20], id="python-comprehension"),
        # names of the file
        pytest.param("python", "total", 0, [30], id="python-function"),
        pytest.param("python", "Cart", 0, [28], id="python-class"),
        pytest.param("python", "LIMIT", 0, [18, 29], id="python-constant"),
        pytest.param("python", "loads", 0, [28], id="python-import"),
        pytest.param("python", "os", 0, [30], id="python-module"),
        pytest.param("python", "inner", 0, [24], id="python-inner-function"),
        # members, with those of a variable that is made one of the class
        pytest.param("python", "count", 0, [30], id="python-method"),
        pytest.param("python", "rate", 0, [15], id="python-class-variable"),
        pytest.param("python", "items", 1, [15, 30], id="python-attribute"),
        pytest.param("typescript", "prices", 0, [15, 16], id="typescript-parameter"),
        pytest.param("typescript", "found", 0, [16], id="typescript-variable"),
        pytest.param("typescript", "data", 0, [21, 22], id="typescript-template"),
        pytest.param("typescript", "total", 0, [22], id="typescript-function"),
        pytest.param("typescript", "limit", 0, [13], id="typescript-constant"),
        pytest.param("typescript", "read", 0, [22], id="typescript-import"),
        pytest.param("typescript", "Cart", 0, [20], id="typescript-class"),
        pytest.param("typescript", "count", 0, [22], id="typescript-method"),
        pytest.param("typescript", "rate", 0, [9], id="typescript-field"),
        pytest.param("typescript", "items", 0, [], id="typescript-parameter-and-field"),
        pytest.param("go", "prices", 0, [19, 22], id="go-parameter"),
        pytest.param("go", "found", 0, [20, 22], id="go-variable"),
        pytest.param("go", "total", 0, [28], id="go-function"),
        pytest.param("go", "limit", 0, [28], id="go-constant"),
        pytest.param("go", "Cart", 0, [12, 26], id="go-type"),
        pytest.param("go", "Count", 0, [28], id="go-method"),
        pytest.param("go", "items", 0, [14, 26, 27, 28], id="go-field"),
        pytest.param("go", "data", 0, [27], id="go-string"),
    ],
)
def test_the_other_uses_are_offered(language: str, old: str, nth: int, expected: list[int]) -> None:
    typist = Typist(TEXTS[language], language)
    typist.retype(old, f"new_{old}", nth)
    found = typist.offered()
    assert {(one.old, one.new) for one in found} <= {(old, f"new_{old}")}
    assert sorted(line for line, _, _ in shown(found, typist.text)) == expected
    after = tree_of(language, typist.accept_all())
    assert after is not None
    assert not after.root.has_error


NOTHING = {
    "python": (
        # what it would be called means something there already
        ("prices", 0, "found"),
        ("prices", 0, "limit"),
        ("total", 0, "Cart"),
        ("rate", 0, "items"),
        # a use that becomes another thing
        ("data", 1, "LIMIT"),
        ("data", 1, "str"),
        # a call of something else
        ("total", 1, "average"),
        ("count", 2, "size"),
        ("loads", 1, "loads_all"),
        # no name
        ("prices", 0, "class"),
        ("prices", 0, "3"),
        ("def", 0, "async"),
        ("text", 0, ""),
        # in comments and strings
        ("items are", 0, "things are"),
        ("prices of", 0, "values of"),
        (' prices"', 0, ' values"'),
        # whose it is cannot be told
        ("items = LIMIT", 0, "things = LIMIT"),
        ("self", 0, "this"),
    ),
    "typescript": (
        ("prices", 0, "most"),
        ("items", 0, "things"),
        ("data`", 0, "none`"),
        ("total", 1, "average"),
    ),
    "go": (
        ("prices", 0, "most"),
        ("Println", 0, "Printf"),
        ("limit", 1, "found"),
        ("total", 1, "average"),
    ),
}


@pytest.mark.parametrize(
    ("language", "old", "nth", "new"),
    [(language, *case) for language, cases in NOTHING.items() for case in cases],
)
def test_nothing_is_offered_where_it_may_be_wrong(
    language: str, old: str, nth: int, new: str
) -> None:
    typist = Typist(TEXTS[language], language)
    typist.retype(old, new, nth)
    assert typist.offered() == ()
