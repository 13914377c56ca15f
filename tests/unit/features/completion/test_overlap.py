"""What stands behind the cursor on its line is not said again, as a table: a document with the cursor
at "█", what the model writes, what is shown."""

from __future__ import annotations

import pytest

from nearfield.features.completion.postprocess import Shaper
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import parse
from nearfield.types import Snapshot

CASES = [
    ('rust', "fn f<'a>(x: &'a str, █) -> &'a str {\n", "y: &str) -> &'a str {", 'y: &str'),
    ('rust', 'fn find(&self, █) -> Option<&str> {\n', 'key: &str) -> Option<&str> {', 'key: &str'),
    ('rust', 'fn find(&self, █) -> Option<&str> {\n    None\n}\n', 'key: &str) -> Option<&str> {\n    None\n}\n', 'key: &str'),
    ('rust', 'fn find(█) -> Option<&str> {\n', 'key: &str) -> Option<&str> {', 'key: &str'),
    ('rust', 'fn find(key: &str) -> Option<█> {\n', '&str> {', '&str'),
    ('rust', 'fn find(key: &str) -> Option<&█> {\n    None\n}\n', 'str> {\n    None\n}', 'str'),
    ('rust', "struct A<'a, █> {\n    a: &'a str,\n}\n", "T> {\n    a: &'a str,\n}", 'T'),
    ('rust', "impl<'a, █> A<'a, T> {\n}\n", "T> A<'a, T> {", 'T'),
    ('rust', 'fn f(x: Result<█, E>) -> u8 {\n    1\n}\n', 'T, E>) -> u8 {', 'T'),
    ('rust', 'let v: Vec<█> = Vec::new();\n', 'u8> = Vec::new();', 'u8'),
    ('rust', 'fn f() {\n    let v: Vec<█> = Vec::new();\n}\n', 'u8> = Vec::new();', 'u8'),
    ('rust', 'fn f() {\n    let v = x.iter().collect::<Vec<█>>();\n}\n', '_>>();', '_'),
    ('rust', 'fn f<T: Into<█>>(x: T) {\n}\n', 'String>>(x: T) {', 'String'),
    ('rust', "fn f(c: char) -> bool {\n    c == '█'\n}\n", "a'", 'a'),
    ('rust', 'match x {\n    Some(█) => 1,\n    None => 2,\n}\n', 'y) => 1,', 'y'),
    ('typescript', 'function f<T>(a: Array<█>): T {\n  return a[0];\n}\n', 'T>): T {', 'T'),
    ('typescript', 'const m = new Map<string, █>();\n', 'number>();', 'number'),
    ('typescript', 'function f(a: string, █): Promise<string> {\n', 'b: number): Promise<string> {', 'b: number'),
    ('java', 'class A {\n    Map<String, █> m = new HashMap<>();\n}\n', 'Integer> m = new HashMap<>();', 'Integer'),
    ('java', 'class A {\n    List<String> f(█) throws E {\n        return null;\n    }\n}\n', 'int a) throws E {', 'int a'),
    ('java', 'class A {\n    List<String> f(█) throws E {\n', 'int a) throws E {', 'int a'),
    ('cpp', 'std::vector<█> v;\n', 'int> v;', 'int'),
    ('cpp', 'template <typename T> T f(█) {\n', 'T a) {', 'T a'),
    ('csharp', 'class A {\n    Dictionary<string, █> d = new();\n}\n', 'int> d = new();', 'int'),
    ('kotlin', 'fun f(a: List<█>): Int {\n    return 1\n}\n', 'Int>): Int {', 'Int'),
    ('kotlin', 'fun f(a: Int, █): List<String>? {\n', 'b: Int): List<String>? {', 'b: Int'),
    ('swift', 'func f(a: Int, █) -> [String]? {\n', 'b: Int) -> [String]? {', 'b: Int'),
    ('scala', 'def f(a: Int, █): Option[String] = {\n', 'b: Int): Option[String] = {', 'b: Int'),
    ('go', 'package a\n\nfunc f(a int, █) (map[string]int, error) {\n', 'b int) (map[string]int, error) {', 'b int'),
    ('go', 'package a\n\nfunc f(a int, █) (map[string]int, error) {\n\treturn nil, nil\n}\n', 'b int) (map[string]int, error) {\n\treturn nil, nil\n}', 'b int'),
    ('python', 'def f(a, █) -> Optional[str]:\n    pass\n', 'b) -> Optional[str]:\n    pass', 'b'),
    ('python', 'def f(a, █) -> Optional[str]:\n', 'b) -> Optional[str]:', 'b'),
    ('python', 'x: dict[str, █] = {}\n', 'int] = {}', 'int'),
    ('php', '<?php\nfunction f(int $a, █): ?string {\n', 'int $b): ?string {', 'int $b'),
    ('c', 'int f(int a, █) {\n', 'int b) {', 'int b'),
    ('typescriptreact', 'const a = useState<█>(null);\n', 'string>(null);', 'string'),
    ('typescriptreact', 'const a = <Row key={█} />;\n', 'id} />;', 'id'),
    ('haskell', 'f :: Maybe (█) -> Int\n', 'a, b) -> Int', 'a, b'),
    ('ocaml', "let f (x : 'a list) (█) : 'a option =\n", "y : 'a) : 'a option =", "y : 'a"),
    ('dart', 'Future<List<█>> f() async {\n', 'int>> f() async {', 'int'),
    ('zig', 'fn f(a: u8, █) ?[]const u8 {\n', 'b: u8) ?[]const u8 {', 'b: u8'),
    ('nim', 'proc f(a: int, █): Option[string] =\n', 'b: int): Option[string] =', 'b: int'),
    ('fsharp', 'let f (a: int, █) : string option =\n', 'b: int) : string option =', 'b: int'),
    ('sql', 'create table t (a int, █);\n', 'b int);', 'b int'),
    ('rust', 'fn f(a: u8█) -> Option<&str> {\n', ', b: u8) -> Option<&str> {', ', b: u8'),
    ('rust', 'let f = |█| x + 1;\n', 'x| x + 1;', 'x'),
    ('rust', "fn f() {\n    let f = |x: &'a str, █| x.len();\n}\n", 'y: &str| x.len();', 'y: &str'),
    ('ruby', 'xs.each { |█| puts x }\n', 'x| puts x }', 'x'),
    ('rust', '#[derive(█)]\nstruct A;\n', 'Debug)]\nstruct A;', 'Debug'),
    ('rust', "fn f(a: &'static str, █) -> Result<(), Box<dyn Error>> {\n", 'b: u8) -> Result<(), Box<dyn Error>> {', 'b: u8'),
    ('rust', "pub async fn f(█) -> impl Iterator<Item = &'a T> + 'a {\n", "&self) -> impl Iterator<Item = &'a T> + 'a {", '&self'),
    ('rust', 'fn f(x: &str, █) -> &str {\n', 'y: &str) -> &str {\n    x\n}\n', 'y: &str'),
    ('typescript', 'type F = (a: string, █) => void;\n', 'b: number) => void;', 'b: number'),
    ('typescript', 'const f = async (a: string, █): Promise<void> => {\n', 'b: number): Promise<void> => {', 'b: number'),
    ('python', 'xs = [f(█) for x in xs]\n', 'x) for x in xs]', 'x'),
    ('python', 'x = f("a", █)[\'b\']\n', "1)['b']", '1'),
    ('go', 'package a\n\nfunc (s *S) Get(█) (*T, error) {\n', 'k string) (*T, error) {', 'k string'),
    ('swift', 'func f<T>(_ a: [T], █) -> T? where T: Equatable {\n', 'b: T) -> T? where T: Equatable {', 'b: T'),
    ('rust', 'impl A {\n    fn get(&self, █) -> Option<&str> {\n    }\n}\n', 'key: &str) -> Option<&str> {', 'key: &str'),
    ('rust', 'impl A {\n    fn get(&self, █) -> Option<&str> {\n', 'key: &str) -> Option<&str> {', 'key: &str'),
    ('rust', 'trait A {\n    fn get(&self, █) -> Option<&str>;\n}\n', 'key: &str) -> Option<&str>;', 'key: &str'),
    ('rust', "mod a {\n    impl<'a> A<'a> {\n        fn get(&'a self, █) -> Option<&'a str> {\n", "key: &str) -> Option<&'a str> {", 'key: &str'),
    ('rust', 'fn f<F>(g: F)\nwhere\n    F: Fn(█) -> Option<u8>,\n{\n}\n', 'u8) -> Option<u8>,', 'u8'),
    ('typescript', 'class A {\n  get(a: string, █): Promise<string> {\n', 'b: number): Promise<string> {', 'b: number'),
    ('java', 'class A {\n    Optional<String> get(█) {\n', 'int a) {', 'int a'),
    ('csharp', 'class A\n{\n    List<int> F(int a, █)\n    {\n        return null;\n    }\n}\n', 'int b)', 'int b'),
    ('cpp', 'class A {\n  std::vector<int> f(█) const {\n', 'int a) const {', 'int a'),
    ('go', 'package a\n\nfunc f() {\n\tgo func(█) {\n', 'x int) {', 'x int'),
    ('javascript', 'rows.map((row, █) => {\n', 'i) => {', 'i'),
    ('javascript', 'function f() {\n  rows.map((row, █) => {\n', 'i) => {', 'i'),
    ('ruby', 'def f(a, █)\n', 'b)', 'b'),
    ('lua', 'local function f(a, █)\n', 'b)', 'b'),
]  # fmt: skip


def shown(language: str, marked: str, said: str) -> str:
    text = marked.replace("█", "")
    row = language_for(language)
    parsed = parse(row, text) if row else None
    shaped = Shaper(Snapshot("file:///a", language, 1, text), parsed, marked.index("█")).finish(
        said
    )
    return shaped.text or f"-{shaped.reason}"


@pytest.mark.parametrize(("language", "marked", "said", "expected"), CASES)
def test_the_rest_of_the_line_is_not_repeated(
    language: str, marked: str, said: str, expected: str
) -> None:
    assert shown(language, marked, said) == expected


@pytest.mark.parametrize(
    ("language", "marked", "said"),
    [
        ("rust", "fn find(key: &str█) -> Option<&str> {\n", ") -> Option<&str> {"),
        ("rust", "fn find(key: &str) -> █Option<&str> {\n", "Option<&str> {"),
        ("go", "package a\n\nfunc f() █error {\n", "error {"),
    ],
)
def test_nothing_is_shown_where_all_is_there(language: str, marked: str, said: str) -> None:
    assert shown(language, marked, said) == "-repeats"


@pytest.mark.parametrize(
    ("language", "marked", "said"),
    [
        ("rust", "fn f(a: u8, █) -> u8 {\n", "b: u8 -> u8 {"),
        ("typescript", "function f(a: string, █): void {\n", "= b: number"),
        ("c", "int f(int a, █) {\n", "int b {"),
    ],
)
def test_a_head_that_does_not_parse_is_not_shown(language: str, marked: str, said: str) -> None:
    assert shown(language, marked, said) == "-syntax"
