"""What a documentation comment says, compared with the code: a table of styles and languages."""

from __future__ import annotations

import textwrap

import pytest

from nearfield.features.code_actions.doc_check import facts_of, true_words
from nearfield.syntax.definitions import named_scopes
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import parse

ADD = "def add(a, b):\n    return a + b\n"
CHECKED = """
def take(items, n=1):
    if n < 0:
        raise ValueError("n")
    del items[:n]
"""
ECMA = "function add(a, b) {\n  return a + b;\n}\n"


def told(language: str, code: str, words: str) -> str:
    """What is left of `words` about the first function of `code`."""
    row = language_for(language)
    parsed = parse(row, code) if row else None
    assert parsed is not None
    node = next(n for _, n in named_scopes(parsed) if n.type in parsed.language.functions)
    return "\n".join(
        true_words(textwrap.dedent(words).strip("\n").split("\n"), facts_of(parsed, node))
    )


GOOGLE = """
    Add two numbers.

    Args:
        a (int): The first.
        b: The second, which
            goes on here.
        c: Another one.

    Returns:
        int: The sum.

    Raises:
        TypeError: If they are no numbers.
        ValueError: Never.
"""
CASES: dict[str, tuple[str, str, str, str]] = {
    "Google": ("python", ADD, GOOGLE, """
        Add two numbers.

        Args:
            a (int): The first.
            b: The second, which
                goes on here.

        Returns:
            int: The sum.
    """),
    "Google, with an error that is raised": ("python", CHECKED, """
        Take some.

        Args:
            items: All.
            n: How many.

        Returns:
            The rest.

        Raises:
            ValueError: If n is negative.
            TypeError: If it is no number.
    """, """
        Take some.

        Args:
            items: All.
            n: How many.

        Raises:
            ValueError: If n is negative.
    """),
    "Google, with no error at all": ("python", ADD, """
        Add.

        Raises:
            None
    """, "Add."),
    "on the heading's line": ("python", ADD, """
        Add.

        Returns: the sum.
        Raises: ValueError: if not.
    """, """
        Add.

        Returns: the sum.
    """),
    "NumPy": ("python", ADD, """
        Add.

        Parameters
        ----------
        a, b : int
            The numbers.
        c : int
            None.

        Returns
        -------
        int
            The sum.

        Raises
        ------
        ValueError
            If not.
    """, """
        Add.

        Parameters
        ----------
        a, b : int
            The numbers.

        Returns
        -------
        int
            The sum.
    """),
    "Sphinx": ("python", ADD, """
        Add.

        :param a: one
            and more of it
        :type a: int
        :param int c: three
        :raises ValueError: never
        :returns: the sum
        :rtype: int
    """, """
        Add.

        :param a: one
            and more of it
        :type a: int
        :returns: the sum
        :rtype: int
    """),
    "JSDoc": ("javascript", ECMA, """
        Adds.
        @param {number} a - One.
        @param {number} [c=1] - Three.
        @returns {number} The sum.
        @throws {TypeError} If not.
    """, """
        Adds.
        @param {number} a - One.
        @returns {number} The sum.
    """),
    "TSDoc of what returns nothing": (
        "typescript",
        "function f(o: A) {\n  if (!o) { throw new RangeError('x'); }\n}\n",
        """
        Checks.
        @param o.name - Its name.
        @returns Nothing.
        @throws RangeError if there is none.
        """,
        """
        Checks.
        @param o.name - Its name.
        @throws RangeError if there is none.
        """,
    ),
    "Javadoc": (
        "java",
        "class A {\n  int f(int a) throws IOException {\n    return g(a);\n  }\n}\n",
        """
        Does.
        @param a one
        @param b two
        @return a number
        @throws IOException if not read
        @throws NullPointerException if null
        """,
        """
        Does.
        @param a one
        @return a number
        @throws IOException if not read
        """,
    ),
    "PHPDoc": (
        "php",
        "<?php\nfunction f($a) {\n    return $a;\n}\n",
        "Does.\n@param int $a one\n@param string $b two\n@throws Exception never\n@return int it",
        "Does.\n@param int $a one\n@return int it",
    ),
    "YARD": (
        "ruby",
        "def f(a)\n  raise ArgumentError, 'x' if a.nil?\n  a\nend\n",
        "Does.\n@param a [Integer] one\n@param [Integer] b two\n@raise [ArgumentError] nil\n"
        "@raise [IOError] no",
        "Does.\n@param a [Integer] one\n@raise [ArgumentError] nil",
    ),
    "Doxygen": (
        "cpp",
        "int f(int a) {\n  return a;\n}\n",
        "Does.\n\\param a one\n\\param b two\n\\throws std::logic_error no\n\\return it",
        "Does.\n\\param a one\n\\return it",
    ),
    "XML": (
        "csharp",
        "class A {\n  int F(int a) {\n    return a;\n  }\n}\n",
        '<summary>\nDoes.\n</summary>\n<param name="a">One.</param>\n'
        '<param name="b">\nTwo.\n</param>\n'
        '<exception cref="E">No.</exception>\n<returns>It.</returns>',
        '<summary>\nDoes.\n</summary>\n<param name="a">One.</param>\n<returns>It.</returns>',
    ),
    "Rust": (
        "rust",
        "fn f(a: u8) -> u8 {\n    a + 1\n}\n",
        "Does.\n\n# Arguments\n\n* `a` - One.\n* `b` - Two.\n\n# Panics\n\nIf it does.\n\n"
        "# Errors\n\nNever.",
        "Does.\n\n# Arguments\n\n* `a` - One.",
    ),
    "an error that is not named": (
        "python",
        "def f(a):\n    raise a\n",
        "Raise.\n\nRaises:\n    ValueError: If so.",
        "Raise.\n\nRaises:\n    ValueError: If so.",
    ),
    "an error that an operation raises": (
        "python",
        "def f(a, k):\n    return a[k] / 2\n",
        "Get.\n\nRaises:\n    KeyError: If absent.\n    ZeroDivisionError: No.\n    OSError: No.",
        "Get.\n\nRaises:\n    KeyError: If absent.\n    ZeroDivisionError: No.",
    ),
    "an error of an inner function": (
        "python",
        "def f(a):\n    def g():\n        raise ValueError\n    return g\n",
        "Make.\n\nRaises:\n    ValueError: No.",
        "Make.",
    ),
    "keywords of any name": (
        "python",
        "def f(**options):\n    return options\n",
        "Give.\n\nArgs:\n    size: The size.",
        "Give.\n\nArgs:\n    size: The size.",
    ),
    "a generator": (
        "python",
        "def f(n):\n    yield n\n",
        "Count.\n\nYields:\n    int: A number.",
        "Count.\n\nYields:\n    int: A number.",
    ),
    "a sentence that begins like a section": (
        "python",
        ADD,
        "Returns the sum.\n\nRaises no error.",
        "Returns the sum.\n\nRaises no error.",
    ),
    "an example": (
        "python",
        ADD,
        "Add.\n\nExample:\n    >>> add(1, 2)\n    3",
        "Add.\n\nExample:\n    >>> add(1, 2)\n    3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_the_code_does_not_bear_out_is_left_out(case: str) -> None:
    language, code, words, expected = CASES[case]
    assert told(language, code, words) == textwrap.dedent(expected).strip("\n").rstrip()
