"""Questions that ask which files there are: answered from the tree, not from what files hold."""

from __future__ import annotations

import itertools
import re
from pathlib import PurePosixPath

from nearfield.features.chat.folder import Folder
from nearfield.syntax.languages import Language, language_for

LISTED_FILES = 60
LISTED_CHARS = 2_000
NAMED_FILES = 10
"""Files that are named below the answer."""

_ASKS = re.compile(
    r"\s*(?:please\s+|can you\s+|could you\s+)?(?:list|show|name|count|tell me|give me|which|what|"
    r"how many|are there|welche|zeige?|nenne|wie viele)\b(?:[^.?!;,]|\.\w)*?"
    r"\b(?:files|modules|scripts|sources|dateien|module|skripte)\b(?P<rest>[^?!;]*)",
    re.I,
)
_ABOUT_CONTENT = re.compile(
    r"\b(?:that|which|whose|where|with|without|us(?:es?|ed|ing)|import\w*|call\w*|contain\w*|defin\w*|"
    r"chang\w*|edit\w*|modif\w*|mention\w*|implement\w*|responsible|related|about|for|to)\b",
    re.I,
)
_WORD = re.compile(r"[\w.+#/-]+")
_AMBIGUOUS = {"go", "c", "r", "d"}
"""Languages whose names are words or letters; in small letters they do not count."""


def listing(folder: Folder, question: str) -> tuple[str, str] | None:
    """Return the files that a question asks for, as a text for the model and a line for the user;
    None for another question. Reads folders; call it off the event loop."""
    match = _ASKS.match(question)
    if match is None or _ABOUT_CONTENT.search(match["rest"]):
        return None
    if (files := folder.listed()) is None:
        return None
    words = [word.rstrip(".").removesuffix("/") for word in _WORD.findall(question)]
    kinds, below = _kinds(words), _below(words, files)
    found = [path for path in files if _is_kind(path, kinds) and path.startswith(below)]
    what = " and ".join(kinds)
    title = f"{len(found)} {f'{what} ' if what else ''}{'file' if len(found) == 1 else 'files'}"
    title += f" in {below.removesuffix('/')}" if below else ""
    shown = _fitting(found)
    text = "\n".join((f"The workspace has {title}:", *shown, *_more(found, shown)))
    first = shown[:NAMED_FILES]
    return text, ": ".join((title, *([", ".join((*first, *_more(found, first)))] if first else [])))


def _more(found: list[str], shown: list[str]) -> list[str]:
    rest = len(found) - len(shown)
    return [f"… and {rest} more"] if rest else []


def _kinds(words: list[str]) -> dict[str, Language | str]:
    """Return the languages and the endings of files that a question names."""
    found: dict[str, Language | str] = {}
    for word in words:
        if re.fullmatch(r"\*?\.\w+", word):
            found[word.removeprefix("*")] = word.removeprefix("*").lower()
        elif word not in _AMBIGUOUS and (language := language_for(word)) is not None:
            found[word] = language
    return found


def _is_kind(path: str, kinds: dict[str, Language | str]) -> bool:
    suffix, language = PurePosixPath(path).suffix.lower(), language_for("", path)
    return not kinds or any(kind in (suffix, language) for kind in kinds.values())


def _below(words: list[str], files: list[str]) -> str:
    """Return the folder that a question names, with "/" at its end; "" for none."""
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents} - {"."}
    return next((f"{word}/" for word in reversed(words) if word in folders), "")


def _fitting(paths: list[str]) -> list[str]:
    """Return the first paths, as many as there is room for."""
    ends = itertools.accumulate(len(path) + 1 for path in paths)
    fitting = [path for path, end in zip(paths, ends, strict=True) if end <= LISTED_CHARS]
    return fitting[:LISTED_FILES]
