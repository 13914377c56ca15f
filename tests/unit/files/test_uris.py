"""URIs and paths, on every system: a table of how editors write one file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nearfield
from nearfield.files.uris import System, notebook_of, path_of, uri_beside, uri_of

POSIX, WINDOWS, WSL = System

PATHS: list[tuple[str, System, str | None]] = [
    ("file:///w/a.py", POSIX, "/w/a.py"),
    ("FILE:///w/a.py", POSIX, "/w/a.py"),
    ("file:/w/a.py", POSIX, "/w/a.py"),
    ("file:////w/a.py", POSIX, "/w/a.py"),
    ("file://localhost/w/a.py", POSIX, "/w/a.py"),
    ("file://LOCALHOST/w/a.py", POSIX, "/w/a.py"),
    ("file:///w/", POSIX, "/w/"),
    ("file:///", POSIX, "/"),
    ("file:///w/a%20b%23;c%3F.py", POSIX, "/w/a b#;c?.py"),
    ("file:///w/100%25.py", POSIX, "/w/100%.py"),
    ("file:///w/100%.py", POSIX, "/w/100%.py"),
    ("file:///w/%E4%BD%A0.py", POSIX, "/w/你.py"),
    ("file:///w/你.py", POSIX, "/w/你.py"),
    ("file:///w/caf%E9.py", POSIX, "/w/caf\udce9.py"),
    ("file:///w/a%0Ab.py", POSIX, "/w/a\nb.py"),
    ("file:///w/a\tb.py", POSIX, "/w/a\tb.py"),
    ("file:///w/a.py#L3", POSIX, "/w/a.py"),
    ("file:///c%3A/w/a.py", POSIX, "/c:/w/a.py"),
    ("file://server/share/a.py", POSIX, "//server/share/a.py"),
    ("file:///c%3A/w/a.py", WINDOWS, "C:\\w\\a.py"),
    ("file:///C:/w/a.py", WINDOWS, "C:\\w\\a.py"),
    ("file:///c:/w/a%20b.py", WINDOWS, "C:\\w\\a b.py"),
    ("file:///c|/w/a.py", WINDOWS, "C:\\w\\a.py"),
    ("file:///c%3A", WINDOWS, "C:\\"),
    ("file:///D:/", WINDOWS, "D:\\"),
    ("file:///d%3A/100%25/%C3%A9.py", WINDOWS, "D:\\100%\\é.py"),
    ("file://server/share/a.py", WINDOWS, "\\\\server\\share\\a.py"),
    ("file://Server/share/a.py", WINDOWS, "\\\\server\\share\\a.py"),
    ("file:////server/share/a.py", WINDOWS, "\\\\server\\share\\a.py"),
    (
        "file://wsl.localhost/Ubuntu/home/x/a.py",
        WINDOWS,
        "\\\\wsl.localhost\\Ubuntu\\home\\x\\a.py",
    ),
    ("file://wsl%24/Ubuntu/home/x", WINDOWS, "\\\\wsl$\\Ubuntu\\home\\x"),
    ("file://wsl$/Ubuntu/home/x", WINDOWS, "\\\\wsl$\\Ubuntu\\home\\x"),
    ("file:////wsl%24/Ubuntu/home/x", WINDOWS, "\\\\wsl$\\Ubuntu\\home\\x"),
    ("file:///home/x/a.py", WSL, "/home/x/a.py"),
    ("file://wsl.localhost/Ubuntu/home/x/a%20b.py", WSL, "/home/x/a b.py"),
    ("file://wsl%24/Ubuntu/home/x", WSL, "/home/x"),
    ("file:////wsl$/Ubuntu/home/x", WSL, "/home/x"),
    ("file://wsl.localhost/Ubuntu/", WSL, "/"),
    ("file://wsl.localhost/Ubuntu/mnt/c/w", WSL, "/mnt/c/w"),
    ("file:///c%3A/Users/x", WSL, "/mnt/c/Users/x"),
    ("file:///C:/", WSL, "/mnt/c/"),
    ("file:////w/a.py", WSL, "/w/a.py"),
    *(
        (uri, system, None)
        for system in System
        for uri in (
            *("untitled:Untitled-1", "", "file:", "file:a.py", "file://[broken", "file://[::1]/w"),
            *("file:///a%00b", "vscode-notebook-cell:/w/a.ipynb#W0sZ", "git:/w/a.py?ref"),
            *("vscode-remote://wsl%2BUbuntu/home/x", "http://a/b", "/w/a.py", "C:\\w\\a.py"),
        )
    ),
]


@pytest.mark.parametrize(
    ("uri", "notebook"),
    [
        ("vscode-notebook-cell:/w/a.ipynb#W0sZmlsZQ%3D%3D", "file:///w/a.ipynb"),
        ("vscode-notebook-cell:/w/a%20b.ipynb#W0sZmlsZQ%3D%3D", "file:///w/a%20b.ipynb"),
        ("vscode-notebook-cell:///w/a.ipynb#c1", "file:///w/a.ipynb"),
        ("vscode-notebook-cell:/c%3A/w/a.ipynb#W0sZmlsZQ%3D%3D", "file:///c%3A/w/a.ipynb"),
        (
            "vscode-notebook-cell://wsl.localhost/U/a.ipynb#W0sZmlsZQ%3D%3D",
            "file://wsl.localhost/U/a.ipynb",
        ),
        (
            "vscode-notebook-cell://ssh-remote%2Bh/w/a.ipynb#W0sdnNjb2RlLXJlbW90ZQ%3D%3D",
            "file:///w/a.ipynb",
        ),
        ("vscode-notebook-cell:Untitled-1.ipynb#W0sdW50aXRsZWQ%3D", "untitled:Untitled-1.ipynb"),
        ("file:///w/a.ipynb#1", "file:///w/a.ipynb"),
        ("file:///w/a.ipynb", None),
        ("file:///w/a.py#1", None),
        ("vscode-notebook-cell:/w/a.ipynb", None),
        ("vscode-notebook-cell:#x", None),
        ("untitled:a#b", None),
        ("", None),
    ],
)
def test_notebook_of(uri: str, notebook: str | None) -> None:
    assert notebook_of(uri) == notebook


@pytest.mark.parametrize(("uri", "system", "path"), PATHS)
def test_path_of(uri: str, system: System, path: str | None) -> None:
    assert path_of(uri, system) == path


@pytest.mark.parametrize(
    ("path", "system", "uri"),
    [
        ("/w/a.py", POSIX, "file:///w/a.py"),
        ("/w/a b#?%;é.py", POSIX, "file:///w/a%20b%23%3F%25%3B%C3%A9.py"),
        ("/w/caf\udce9.py", POSIX, "file:///w/caf%E9.py"),
        ("/w/c:\\d", POSIX, "file:///w/c%3A%5Cd"),
        ("C:\\w\\a b.py", WINDOWS, "file:///C:/w/a%20b.py"),
        ("c:/w/a.py", WINDOWS, "file:///C:/w/a.py"),
        ("C:\\", WINDOWS, "file:///C:/"),
        ("\\\\server\\share\\a.py", WINDOWS, "file://server/share/a.py"),
        ("\\\\wsl$\\Ubuntu\\home\\x", WINDOWS, "file://wsl%24/Ubuntu/home/x"),
        ("\\\\wsl.localhost\\Ubuntu\\home", WINDOWS, "file://wsl.localhost/Ubuntu/home"),
        ("\\\\?\\C:\\w\\a.py", WINDOWS, "file:///C:/w/a.py"),
        ("\\\\?\\UNC\\server\\share\\a.py", WINDOWS, "file://server/share/a.py"),
        ("/home/x/a.py", WSL, "file:///home/x/a.py"),
    ],
)
def test_uri_of(path: str, system: System, uri: str) -> None:
    assert uri_of(path, system) == uri


NAMES = st.text(
    st.characters(blacklist_characters="\0/\\", blacklist_categories=("Cs",)), min_size=1
).filter(lambda name: name.strip(".") != "")


@given(st.lists(NAMES, min_size=1, max_size=3), st.sampled_from(["", "C:", "\\\\host\\share"]))
def test_a_path_survives_a_round_trip_through_its_uri(names: list[str], start: str) -> None:
    if not start:
        for system in (POSIX, WSL):
            path = "/" + "/".join(names)
            if system is POSIX or path[2:3] not in (":", "|"):
                assert path_of(uri_of(path, system), system) == path
        return
    path = "\\".join([start, *names])
    assert path_of(uri_of(path, WINDOWS), WINDOWS) == path


@pytest.mark.parametrize(
    ("path", "known", "known_uri", "system", "uri"),
    [
        ("/w/t/b.py", "/w/a.py", "file:///w/a.py", POSIX, "file:///w/t/b.py"),
        ("/w/t/b.py", "/w", "file:///w", POSIX, "file:///w/t/b.py"),
        ("/w/b c.py", "/w/", "file:///w/", POSIX, "file:///w/b%20c.py"),
        ("C:\\w\\b.py", "C:\\w\\a.py", "file:///c%3A/w/a.py", WINDOWS, "file:///c%3A/w/b.py"),
        ("D:\\w\\b.py", "C:\\w\\a.py", "file:///c%3A/w/a.py", WINDOWS, "file:///D:/w/b.py"),
        ("/home/x/b.py", "/home/x", "file://wsl.localhost/U/home/x", WSL, "file://wsl.localhost/U/home/x/b.py"),
        ("/home/y/b.py", "/home/x/a.py", "file://wsl%24/U/home/x/a.py", WSL, "file://wsl%24/U/home/y/b.py"),
        ("/mnt/c/x/b.py", "/mnt/c/x/a.py", "file:///c%3A/x/a.py", WSL, "file:///c%3A/x/b.py"),
        ("/etc/b.py", "/mnt/c/x/a.py", "file:///c%3A/x/a.py", WSL, "file:///etc/b.py"),
        ("/w/b.py", "/w/a.py", "untitled:a", POSIX, "file:///w/b.py"),
    ],
)  # fmt: skip
def test_an_editor_gets_uris_of_its_own_form(
    path: str, known: str, known_uri: str, system: System, uri: str
) -> None:
    assert uri_beside(path, known, known_uri, system) == uri
    assert path_of(uri, system) == path


def test_nothing_else_makes_uris_of_paths() -> None:
    package = Path(nearfield.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Attribute)
        and node.attr in ("as_uri", "url2pathname", "to_fs_path", "from_fs_path")
    }
    assert found == set()
