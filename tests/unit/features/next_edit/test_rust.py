"""Rust's names, members, calls and types: which other places follow a change, in the file and in
the other files of its workspace."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
from tests.unit.features.next_edit.editing import Typist, tree_of
from tests.unit.features.next_edit.test_other_files import Project

from nearfield.features.next_edit.uses import uses_of
from nearfield.syntax.differences import changed_span
from nearfield.syntax.rust_paths import imports
from nearfield.types import Span


def edit(typist: Typist, old: str, new: str) -> None:
    """Replace what differs between `old`, at its first place, and `new`."""
    span, length = changed_span(old, new)
    start = typist.text.index(old)
    typist.edit(start + span.start, start + span.end, new[span.start : span.start + length])


async def take_all(typist: Typist) -> None:
    """Take the first offer until there is none."""
    typist.now += 10
    while offers := await typist.edits.offered(typist.snapshot, len(typist.text)):
        typist.accept(offers[0])
        typist.now += 10


def replaced(text: str, edited: tuple[str, str], made: list[tuple[str, str]]) -> str:
    """Return `text` with the edit at its first place, then those `made` at each of theirs."""
    text = text.replace(*edited, 1)
    for before, after in made:
        assert before in text
        text = text.replace(before, after)
    return text


async def followed(
    root: Path, files: dict[str, str], place: str, edited: tuple[str, str], wanted: dict[str, str]
) -> dict[str, str]:
    """Edit the file at `place` and take each jump; the files that changed have these pieces."""
    project = Project(root, files)
    done = dict(await project.jumps(project.edit(project.open(place), *edited)))
    assert sorted(done) == sorted(wanted)
    for other, piece in wanted.items():
        assert piece in done[other]
    return done


SHOP = """\
use crate::goods::{Price, sum as total};
use std::fmt::Display;

pub struct Shop<T> {
    pub name: String,
    items: Vec<T>,
}
pub enum Kind {
    Small,
    Large(u32),
    Named { width: u32 },
}
trait Sell {
    fn sell(&self, name: &str) -> u32;
}
impl<T> Shop<T> {
    pub fn new(name: String) -> Self {
        Self { name, items: vec![] }
    }
    fn open(&mut self, count: u32) -> u32 {
        let path = count + 1;
        let path = path * 2;
        let large = match self.kind() {
            Kind::Small => 1,
            Kind::Large(n) if n > 1 => n,
            Kind::Large(n) => n + 2,
            Kind::Named { width } => width,
        };
        if let Some(first) = self.items.first() {
            println!("{} {}", first.name, first);
        }
        helper(path, large) + total(1)
    }
    fn kind(&self) -> Kind {
        Kind::Small
    }
    fn items(&self) -> &[T] {
        &self.items
    }
}
impl<T> Sell for Shop<T> {
    fn sell(&self, name: &str) -> u32 {
        let add = |a: u32| a + 1;
        helper(1, add(self.items().len()))
    }
}
fn helper(a: u32, b: u32) -> u32 {
    a + b
}
fn make(other: Price) {
    let mut shop = Shop::new(other.name);
    shop.open(1);
    assert_eq!(helper(1, 2), other.helper(3));
    let label = shop.name;
    Shop { name: label };
}
impl<T> Iterator for Shop<T> {
    type Kind = Kind;
    fn helper(&self, all: impl Iterator<Kind = u32>) {
        helper(9, 8);
    }
}
mod tests {
    use super::*;
    fn test() {
        helper(5, 6);
        let Shop { name: own } = x;
    }
}
mod apart {
    fn helper2() {
        helper(7, 8);
    }
}
"""


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        pytest.param(
            "fn helper", "fn assist",
            ["assist(path, large)", "assist(1, add(", "assert_eq!(assist(1, 2), other.helper",
             "assist(5, 6)", "assist(9, 8)"],
            id="a function, also in a macro and in a module that takes all from around it",
        ),
        pytest.param(
            "struct Shop", "struct Store",
            ["impl<T> Store<T>", "Iterator for Store<T>", "Sell for Store<T>", "Store::new(",
             "Store { name: label }", "let Store { name: own }"],
            id="a type",
        ),
        pytest.param(
            "pub name", "pub title",
            ["shop.title", "Shop { title: label }", "Shop { title: own }"],
            id="a field, not that of another type",
        ),
        pytest.param("    items: Vec", "    goods: Vec", [], id="a field named as a method"),
        pytest.param(
            "    Large(u32)", "    Big(u32)", ["Kind::Big(n) if n", "Kind::Big(n) => n + 2"],
            id="a variant",
        ),
        pytest.param(
            "enum Kind", "enum Sort",
            ["Sort::Small =>", "Sort::Large(n) if", "Sort::Large(n) =>", "Sort::Named {",
             "-> Sort {", "        Sort::Small\n", "type Kind = Sort;"],
            id="a type, not an associated one of its name",
        ),
        pytest.param("fn kind", "fn sort", ["self.sort()"], id="a method"),
        pytest.param("fn open", "fn start", ["shop.start(1)"], id="a method through a variable"),
        pytest.param("fn new", "fn with", ["Shop::with("], id="an associated function"),
        pytest.param(
            "trait Sell {\n    fn sell", "trait Sell {\n    fn vend", ["    fn vend(&self, name"],
            id="a method of a trait",
        ),
        pytest.param(
            "let path = count", "let way = count", ["let path = way * 2"],
            id="a variable up to the next one of its name",
        ),
        pytest.param("let path = path", "let way = path", ["helper(way, large)"], id="the next"),
        pytest.param(
            "Large(n) if", "Large(m) if", ["if m > 1", "=> m,"], id="what a pattern binds"
        ),
        pytest.param("{ width } =>", "{ size } =>", [], id="a field that a pattern names"),
        pytest.param(
            "Some(first)", "Some(head)", ["head.name", ", head)"], id="a variable in a macro"
        ),
        pytest.param("|a: u32|", "|one: u32|", ["| one + 1"], id="a closure's parameter"),
        pytest.param("fn helper(a", "fn helper(x", ["x + b"], id="a function's parameter"),
        pytest.param("sum as total", "sum as whole", ["whole(1)"], id="an import's other name"),
        pytest.param(
            "fn helper(a: u32, b: u32)", "fn helper(b: u32, a: u32)",
            ["helper(large, path)", "helper(add(self.items().len()), 1)", "helper(8, 9)",
             "helper(6, 5)"],
            id="the order of parameters",
        ),
        pytest.param(
            "trait Sell {\n    fn sell(&self, name: &str)",
            "trait Sell {\n    fn sell(&self, name: &String)",
            ["    fn sell(&self, name: &String) -> u32 {"],
            id="a parameter's type",
        ),
    ],
)  # fmt: skip
async def test_what_follows_in_the_file(old: str, new: str, wanted: list[str]) -> None:
    typist = Typist(SHOP, "rust")
    edit(typist, old, new)
    after = typist.text
    await take_all(typist)
    text = typist.text
    for piece in wanted:
        assert piece in text
    lines = zip(after.split("\n"), text.split("\n"), strict=True)
    changed = sum(one != other for one, other in lines)
    assert changed == len({text[: text.index(piece)].count("\n") for piece in wanted})


FORMATS = """\
fn show(count: usize, width: usize) {
    println!("é {count} {count:>5} {{count}} {} {:width$} {counts}", count, 1);
    let text = format!(r#"{count }{0:>count$}"#, 2);
    panic!("{count}", count = 3);
    other!("{count}");
    let plain = "{count}";
    let count = count + 1;
    write!(text, "{count:?}");
}
"""


@pytest.mark.parametrize(
    ("old", "new", "made"),
    [
        pytest.param(
            "count: usize", "total: usize",
            [
                ("{count} {count:>5} {{count}} {}", "{total} {total:>5} {{count}} {}"),
                ("counts}\", count, 1", "counts}\", total, 1"),
                ("{count }{0:>count$}", "{total }{0:>total$}"),
                ("= count + 1", "= total + 1"),
            ],
            id="a parameter up to the next variable of its name",
        ),
        pytest.param("let count", "let total", [("{count:?}", "{total:?}")], id="that variable"),
        pytest.param("width: u", "size: u", [("{:width$}", "{:size$}")], id="a width"),
    ],
)  # fmt: skip
async def test_a_variable_is_renamed_in_format_strings_too(
    old: str, new: str, made: list[tuple[str, str]]
) -> None:
    typist = Typist(FORMATS, "rust")
    name = old.rpartition("let ")[2].partition(":")[0]
    fresh = new.rpartition("let ")[2].partition(":")[0]
    start = FORMATS.index(old) + old.index(name)
    typist.edit(start, start + len(name), fresh)
    await take_all(typist)
    assert typist.text == replaced(FORMATS, (old, new), made)


VARIANTS = """\
use self::Size::*;
use std::fmt::Debug;
#[derive(Debug, Clone)]
pub enum Size { Small, Wide(u32), Boxed { width: u32 }, Debug, Clone }
enum Other { Small, Wide(u32) }
fn fit(size: Size) -> Size {
    assert_eq!(size, Size::Small);
    let other = (Other::Small, Other::Wide(1));
    match size {
        Small => Wide(1),
        Wide(n) => Small,
        Boxed { width } => Boxed { width: 1 },
        Clone => panic!("{:?}", Wide(2)),
        crate::Size::Boxed { .. } => Self::Small,
    }
}
mod tests {
    use super::Size::{self, Wide as Vast};
    use super::Size::*;
    fn t() {
        matches!(size, super::Size::Small | Small);
        let x: Size = Vast(Wide(4));
        assert_eq!(1, super::fit(super::fit(x)));
    }
}
mod apart {
    use other::Small;
    fn u() {
        Small
    }
}
struct Range(u32);
enum Limit { Range(u32) }
fn limit() -> Limit {
    use self::Limit::*;
    let whole: Range = other();
    Range(1)
}
"""


@pytest.mark.parametrize(
    ("old", "new", "made"),
    [
        pytest.param(
            "{ Small, Wide", "{ Tiny, Wide",
            [("Size::Small);", "Size::Tiny);"), ("  Small =>", "  Tiny =>"),
             ("(n) => Small", "(n) => Tiny"), ("Size::Small | Small", "Size::Tiny | Tiny")],
            id="a variant by a wildcard, not that of another enum, nor an import of its name",
        ),
        pytest.param(
            "Wide(u32), Boxed", "Broad(u32), Boxed",
            [("=> Wide(1)", "=> Broad(1)"), ("Wide(n)", "Broad(n)"), ("Wide(2)", "Broad(2)"),
             ("Wide as Vast", "Broad as Vast"), ("Vast(Wide(4))", "Vast(Broad(4))")],
            id="a variant that has another name elsewhere",
        ),
        pytest.param(
            "Boxed { width: u32", "Held { width: u32",
            [("Boxed { width } => Boxed {", "Held { width } => Held {"),
             ("Size::Boxed", "Size::Held")],
            id="a variant with fields",
        ),
        pytest.param(", Clone }", ", Copy }", [("  Clone =>", "  Copy =>")],
                     id="a variant that is called like a trait of the language"),
        pytest.param(", Debug, ", ", Trace, ", [], id="a variant that is called like an import"),
        pytest.param(
            "enum Size", "enum Extent",
            [("self::Size::", "self::Extent::"), ("(size: Size) -> ", "(size: Extent) -> "),
             ("-> Size {", "-> Extent {"),
             ("size, Size::", "size, Extent::"), ("super::Size::{self", "super::Extent::{self"),
             ("use super::Size::*", "use super::Extent::*"), ("super::Size::S", "super::Extent::S"),
             ("x: Size", "x: Extent")],
            id="an enum whose variants are imported",
        ),
        pytest.param("struct Range", "struct Span", [("whole: Range", "whole: Span")],
                     id="a type that is called like a variant"),
        pytest.param("fn fit", "fn make", [("super::fit(super::fit", "super::make(super::make")],
                     id="a function by the path to it"),
    ],
)  # fmt: skip
async def test_variants_that_a_use_brings_in(
    old: str, new: str, made: list[tuple[str, str]]
) -> None:
    typist = Typist(VARIANTS, "rust")
    edit(typist, old, new)
    await take_all(typist)
    assert typist.text == replaced(VARIANTS, (old, new), made)


@pytest.mark.parametrize(
    "path", ["a::" * 1500 + "B", "a::{" * 900 + "B" + "}" * 900], ids=["path", "lists"]
)
def test_an_import_of_any_depth(path: str) -> None:
    parsed = tree_of("rust", f"use {path};\n")
    assert parsed is not None
    assert [one.local for one in imports(parsed)] == ["B"]


def test_what_is_read_of_a_file_is_kept_while_its_tree_is() -> None:
    parsed = tree_of("rust", VARIANTS)
    assert parsed is not None
    assert imports(parsed) is imports(parsed)
    start = VARIANTS.index("Small")
    assert uses_of(parsed, Span(start, start + len("Small"))) is not None
    held = weakref.ref(parsed)
    del parsed
    gc.collect()
    assert held() is None


CRATE = {
    "Cargo.toml": '[package]\nname = "the-shop"\nversion = "0.1.0"\n\n[dependencies]\n',
    "src/lib.rs": "pub mod goods;\nmod till;\npub mod named;\npub use goods::Price;\n",
    "src/goods/mod.rs": (
        "pub mod kinds;\npub struct Price {\n    pub cents: u32,\n}\nimpl Price {\n"
        "    pub fn round(&self, up: bool) -> u32 {\n        self.cents\n    }\n}\n"
        "pub fn price(name: &str, count: u32) -> Price {\n    Price { cents: count }\n}\n"
    ),
    "src/goods/kinds.rs": "use super::*;\nfn kind() -> Price {\n    price('a', 1)\n}\n",
    "src/till.rs": (
        "use crate::goods::{self, price};\nuse std::fmt;\n\n"
        'fn pay(one: &crate::goods::Price) -> u32 {\n    let price2 = goods::price("b", 2);\n'
        '    price("c", 3).cents + one.cents + one.round(true)\n}\n'
    ),
    "src/named.rs": "use super::goods::price as cost;\n\nfn x() {\n    cost('d', 4);\n}\n",
    "src/goods/bags.rs": (
        "use super::{price, Price};\n\nfn x() -> Price {\n    price('j', 1)\n}\n"
        "mod tests {\n    use super::*;\n    fn y() {\n        price('k', 2);\n    }\n}\n"
    ),
    "src/hidden.rs": "use crate::goods::*;\nuse other::*;\n\nfn x() {\n    price('e', 5);\n}\n",
    "src/own.rs": "fn price(a: u32, b: u32) {}\nfn x() {\n    price(6, 6);\n}\n",
    "tests/pay.rs": (
        "use the_shop::goods::price;\nuse the_shop::Price;\n\n#[test]\nfn t() {\n"
        "    assert_eq!(price('f', 7).cents, 1 + the_shop::goods::price('i', 9));\n"
        "    let p: Price = price('g', 8);\n}\n"
    ),
    "examples/else.rs": "use another::goods::price;\n\nfn main() {\n    price('h', 9);\n}\n",
}


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        pytest.param(
            "price", "worth",
            {
                "src/goods/bags.rs": "use super::{worth, Price};",
                "src/goods/kinds.rs": "    worth('a', 1)",
                "src/named.rs": "use super::goods::worth as cost;",
                "src/till.rs": '    worth("c", 3).cents',
                "tests/pay.rs": "assert_eq!(worth('f', 7)",
            },
            id="a function",
        ),
        pytest.param(
            "Price", "Money",
            {
                "src/goods/bags.rs": "fn x() -> Money {",
                "src/goods/kinds.rs": "fn kind() -> Money",
                "src/lib.rs": "pub use goods::Money;",
                "src/till.rs": "crate::goods::Money)",
                "tests/pay.rs": "let p: Money =",
            },
            id="a type that another module passes on",
        ),
        pytest.param(
            "name: &str, count: u32", "count: u32, name: &str",
            {
                "src/goods/bags.rs": "    price(1, 'j')",
                "src/goods/kinds.rs": "    price(1, 'a')",
                "src/till.rs": '    price(3, "c").cents',
                "tests/pay.rs": "let p: Price = price(8, 'g')",
            },
            id="the order of parameters",
        ),
    ],
)  # fmt: skip
async def test_what_follows_in_other_files(
    tmp_path: Path, old: str, new: str, wanted: dict[str, str]
) -> None:
    done = await followed(tmp_path, CRATE, "src/goods/mod.rs", (old, new), wanted)
    if old == "price":
        assert "        worth('k', 2)" in done["src/goods/bags.rs"]
        assert "the_shop::goods::worth('i', 9)" in done["tests/pay.rs"]


PRELUDE = {
    "Cargo.toml": '[package]\nname = "the-shop"\nversion = "0.1.0"\n',
    "src/lib.rs": (
        "pub mod sizes;\npub use sizes::fit;\nmod fit;\n"
        "pub mod prelude {\n    pub use crate::sizes::{fit, Size};\n}\n"
    ),
    "src/sizes.rs": (
        "pub enum Size {\n    Small,\n    Wide(u32),\n}\npub fn fit(size: Size) {}\n"
        "pub mod all {\n    pub use super::Size;\n}\n"
    ),
    "src/inner.rs": "use crate::sizes::all::*;\n\nfn x() -> Size {\n    Size::Small\n}\n",
    "src/list.rs": (
        "use crate::sizes::Size::{self, Small as S, Wide};\n\nfn x(a: Size) {\n    S;\n"
        "    Wide(2);\n    assert!(a == crate::sizes::Size::Small);\n}\n"
    ),
    "src/own.rs": (
        "use crate::sizes::Size::*;\nstruct Small;\n\nfn x() {\n    Small;\n    Wide(1);\n}\n"
    ),
    "src/fit.rs": "use crate::fit::Other;\n\nfn x() {\n    crate::fit::other();\n}\n",
    "tests/fit.rs": "use the_shop::prelude::*;\n\nfn t() {\n    fit(Size::Small);\n}\n",
    "tests/two.rs": (
        "use other::*;\nuse the_shop::prelude::*;\n\nfn t() {\n    fit(Size::Small);\n}\n"
    ),
}


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        pytest.param(
            "Size", "Extent",
            {
                "src/inner.rs": "fn x() -> Extent {\n    Extent::Small",
                "src/lib.rs": "sizes::{fit, Extent};",
                "src/list.rs": "use crate::sizes::Extent::{self, Small as S, Wide};",
                "src/own.rs": "use crate::sizes::Extent::*;",
                "tests/fit.rs": "fit(Extent::Small)",
            },
            id="an enum that modules within files pass on",
        ),
        pytest.param(
            "Small", "Tiny",
            {
                "src/inner.rs": "Size::Tiny",
                "src/list.rs": "Size::{self, Tiny as S, Wide}",
                "tests/fit.rs": "fit(Size::Tiny)",
            },
            id="a variant; a file has another thing of its name",
        ),
        pytest.param(
            "Wide", "Vast",
            {"src/list.rs": "    Vast(2)", "src/own.rs": "    Vast(1)"},
            id="a variant without a path",
        ),
        pytest.param(
            "fit", "place",
            {"src/lib.rs": "sizes::{place, Size}", "tests/fit.rs": "place(Size::Small)"},
            id="a function of a prelude",
        ),
    ],
)  # fmt: skip
async def test_what_a_use_of_variants_and_a_prelude_pass_on(
    tmp_path: Path, old: str, new: str, wanted: dict[str, str]
) -> None:
    done = await followed(tmp_path, PRELUDE, "src/sizes.rs", (old, new), wanted)
    assert "    S;\n" in done.get("src/list.rs", "    S;\n")
    assert "struct Small;\n\nfn x() {\n    Small;" in done.get("src/own.rs", PRELUDE["src/own.rs"])
