"""What a model is told to do for an action.

Short and plain, for small models: the code first, then what is wrong with it or what to do, then
the form of the answer. Tried on Qwen2.5-Coder 0.5B and 16 functions of fix_humanevalfix: asked like
this it repairs as many as with the question first (5), without talking; told to say first which
line is wrong, none. Half of its answers are the code unchanged; of all 16 it writes 11 rightly when
it sees the signature and the documentation alone (`anew`), which is why that is the second try.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nearfield.routing.request_context import Source
from nearfield.types import Message, Role, Snippet

__all__ = ["Prompt", "again", "anew", "documentation", "edit", "tests"]

_WHOLE = "Answer with the whole {kind} in one code block and nothing else."
_NAMES = {"typescriptreact": "typescript", "csharp": "c#", "shellscript": "bash", "cpp": "c++"}


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is told. `sources` are the other files that it quotes: text of a file comes into
    a prompt as a snippet, which knows its path."""

    messages: tuple[Message, ...]
    sources: tuple[Source, ...] = ()


def edit(
    code: str,
    language: str,
    kind: str,
    goal: str,
    snippets: Sequence[Snippet] = (),
) -> Prompt:
    """Change `code` (a `kind`: function, class or code) as `goal` says."""
    shown = "".join(f"From {one.path}:\n{fenced(one.text, language)}\n\n" for one in snippets)
    text = f"{shown}{fenced(code, language)}\n\n{goal} {_form(kind)}"
    return Prompt((Message(Role.USER, text),), _sources(snippets))


def goal_of_fix(kind: str, problems: Sequence[str], documented: bool) -> str:
    """The sentence that says what is wrong. `problems` are what tools say, each with its line."""
    if problems:
        said = "\n".join(f"- {problem}" for problem in problems)
        one = "this problem" if len(problems) == 1 else "these problems"
        return f"The {kind} above has {one}:\n{said}\n\nRewrite it so that they are gone."
    if documented:
        return (
            f"The {kind} above has a bug: it does not do what its documentation says. Rewrite it"
            " so that it is correct."
        )
    return f"The {kind} above has a bug. Rewrite it so that it is correct."


def again(prompt: Prompt, answer: str, complaint: str, kind: str) -> Prompt:
    """The same once more, with what was wrong with the answer."""
    text = f"That cannot be used: {complaint}. Correct it. {_form(kind)}"
    said = (Message(Role.ASSISTANT, answer), Message(Role.USER, text))
    return Prompt((*prompt.messages, *said), prompt.sources)


def anew(head: str, language: str, kind: str) -> Prompt:
    """Write the body that `head`, a signature with its documentation, asks for."""
    text = f"{fenced(head, language)}\n\nWrite this {_named(language)}{kind}. {_form(kind)}"
    return Prompt((Message(Role.USER, text),))


def documentation(code: str, language: str, kind: str, style: str) -> Prompt:
    """Describe `code` in a comment of the language's `style`."""
    text = (
        f"{fenced(code, language)}\n\nWrite {style} for this {kind}: one sentence on what it does,"
        " then its parameters, its return value and the errors it raises, if any. Answer with the"
        f" {kind} and this comment in one code block and nothing else."
    )
    return Prompt((Message(Role.USER, text),))


def tests(code: str, language: str, name: str, framework: str, example: Snippet) -> Prompt:
    """Tests for `code` with `framework`; `example` is a piece of a test file of the project, or one
    of ours, which has no path."""
    like = f"A test of this project looks like this:\n{fenced(example.text, language)}\n\n"
    like = like if example.text else ""
    text = (
        f"{like}{fenced(code, language)}\n\nWrite three short tests for `{name}` with"
        f" {framework}. Do not repeat the code above. Answer with the tests in one code block"
        " and nothing else."
    )
    return Prompt((Message(Role.USER, text),), _sources((example,)))


def fenced(code: str, language: str) -> str:
    """`code` in a block whose fence does not occur in it."""
    fence = "```"
    while fence in code:
        fence += "`"
    return f"{fence}{_NAMES.get(language, language)}\n{code.rstrip()}\n{fence}"


def _sources(snippets: Sequence[Snippet]) -> tuple[Source, ...]:
    """The files of `snippets`, with their text as `fenced` shows it."""
    return tuple(Source(one.path, None, one.text.rstrip()) for one in snippets if one.path)


def _form(kind: str) -> str:
    return _WHOLE.format(kind=kind)


def _named(language: str) -> str:
    return f"{language.capitalize()} " if language else ""
