"""What defines a name and what refers to one, in every language with names."""

from __future__ import annotations

import pytest

from nearfield.index.symbols import outline
from nearfield.index.tags import tags
from nearfield.syntax.languages import LANGUAGES, language_for
from nearfield.syntax.parser import parse

# Source, "kind:dotted.path" of every definition in order, some of the names referred to.
CASES: dict[str, tuple[str, str, str]] = {
    "python": (
        "from a.b import Base\nX = 1\n@deco\nclass A(Base):\n    f: int = 0\n"
        "    def m(self, x: Thing) -> list[Thing]:\n        return helper(x)\n"
        "def helper(x):\n    def inner(): pass\n    return x.run()\n",
        "constant:X class:A field:A.f method:A.m function:helper function:helper.inner",
        "Base deco Thing helper run",
    ),
    "javascript": (
        "import {imp} from 'x';\nconst K = 1;\nexport class A extends B {\n"
        "  m() { return foo(arg); }\n}\nexport const f = () => { a.run(); };\nfunction g() {}\n",
        "constant:K class:A method:A.m function:f function:g",
        "imp B foo arg run",
    ),
    "typescript": (
        "import {imp} from 'x';\nexport interface I { m(): void }\nexport type T = P | Q;\n"
        "export enum E { X }\nexport class A extends B implements I {\n  x: T = 1;\n"
        "  m(a: Thing): Map<Item> { return foo(arg); }\n}\nexport const f = () => { a.run(); };\n",
        "interface:I method:m type:T enum:E class:A field:A.x method:A.m function:f",
        "imp P Q B I T Thing Map Item foo arg run",
    ),
    "typescriptreact": (
        "export function App(p: Props) { return <div><Child a={1}/></div>; }\n",
        "function:App",
        "Props Child",
    ),
    "go": (
        'package main\nimport "fmt"\nconst C = 1\ntype S struct { a Other }\n'
        "func (s *S) M() { fmt.Println(s) }\nfunc main() { helper(1) }\n",
        "constant:C type:S method:M function:main",
        "Other Println helper S",
    ),
    "rust": (
        "use a::b::Thing;\nconst C: i32 = 1;\nstruct S { a: i32 }\nimpl S {\n"
        "    fn m(&self, t: &Thing) { helper(); }\n}\ntrait T {\n    fn q();\n}\n"
        "fn helper() { x::y(); }\n",
        "constant:C class:S implementation:S method:S.m interface:T method:T.q function:helper",
        "Thing helper y",
    ),
    "java": (
        "import a.b.Thing;\nclass A extends B implements C {\n  A() {}\n"
        "  void m(Thing t) { t.run(); }\n}\nenum E { X }\n",
        "class:A method:A.A method:A.m enum:E",
        "Thing B C run",
    ),
    "c": (
        "#define M 1\nstruct s { int a; };\ntypedef struct s t;\nt helper(t *x);\n"
        "int main(int argc) {\n  helper(0);\n  return 0;\n}\n",
        "macro:M class:s type:t function:helper function:main",
        "t helper",
    ),
    "cpp": (
        "namespace n {\nclass A : public B {\n public:\n  void m() { helper(); }\n};\n"
        "void A::q() { x->run(); }\n}\n",
        "module:n class:n.A method:n.A.m method:n.q",
        "B helper run",
    ),
    "csharp": (
        "namespace N {\n class A : B {\n  public int P { get; set; }\n"
        "  void M(Thing t) { t.Run(); new Z(); }\n }\n}\n",
        "module:N class:N.A property:N.A.P method:N.A.M",
        "B Thing Run Z",
    ),
    "ruby": (
        "module M\n  class A < B\n    def m(x)\n      helper(x)\n    end\n  end\nend\nC = 1\n",
        "module:M class:M.A method:M.A.m constant:C",
        "B helper",
    ),
    "php": (
        "<?php\nclass A extends B {\n  public function m() { helper(); $this->run(); new Z(); }\n"
        "}\nfunction g() {}\n",
        "class:A method:A.m function:g",
        "B helper run Z",
    ),
    "shellscript": ("X=1\nf() {\n  echo hi\n}\nf\n", "variable:X function:f", "echo f"),
    "lua": (
        "function M.f(x)\n  helper(x)\nend\nlocal function g() end\n",
        "function:f function:g",
        "helper",
    ),
    "kotlin": (
        "class A : B() {\n  val p = 1\n  fun m(t: Thing) { t.run(); helper() }\n}\n"
        "fun helper() {}\n",
        "class:A property:A.p method:A.m function:helper",
        "B Thing run helper",
    ),
    "swift": (
        "class A: B {\n  var p = 1\n  func m(t: Thing) { t.run(); helper() }\n}\n"
        "func helper() {}\n",
        "class:A property:A.p method:A.m function:helper",
        "B Thing run helper",
    ),
    "scala": (
        "class A extends B {\n  def m(t: Thing) = t.run(1)\n}\n"
        "object O {\n  val x = helper(1)\n}\n",
        "class:A method:A.m object:O variable:O.x",
        "B run helper",
    ),
    "css": (".a { color: red }\n#b { color: blue }\n", "class:a id:b", ""),
    "toml": ("[tool.x]\na = 1\n[[b]]\n", "table:tool.x table:b", ""),
    "sql": ("CREATE TABLE t (a int);\nCREATE VIEW v AS SELECT * FROM t;\n", "table:t view:v", "t"),
}


@pytest.mark.parametrize("name", CASES)
def test_definitions_and_references(name: str) -> None:
    source, defined, referred = CASES[name]
    language = language_for(name)
    assert language is not None
    parsed = parse(language, source)
    assert parsed is not None
    found = outline(parsed)
    assert " ".join(f"{one.kind}:{one.symbol}" for one in found.definitions) == defined
    assert set(referred.split()) <= set(found.references)
    lines = source.split("\n")
    for one in found.definitions:
        assert lines[one.row][one.column :].startswith(one.name)
        assert one.first <= one.row <= one.last < len(lines)


def test_every_language_with_names_has_a_case() -> None:
    named = {language.name for language in LANGUAGES if tags(language) is not None}
    assert named - set(CASES) == {"markdown"} & named


def test_columns_count_characters_and_comments_belong_to_the_next_definition() -> None:
    source = (
        "x = '\u20ac'; y = 1\n\n# one\n# two\n@deco\ndef f(): pass\n"
        "z = 1  # behind\ndef g(): pass\n"
    )
    language = language_for("python")
    assert language is not None
    parsed = parse(language, source)
    assert parsed is not None
    rows = {one.name: (one.first, one.row, one.column) for one in outline(parsed).definitions}
    assert rows["y"] == (0, 0, 9)
    assert rows["f"] == (2, 5, 4)
    assert rows["g"] == (7, 7, 4)
