"""The languages that can be parsed: their names, files, grammars and the shapes in their trees.

There is one row per language. A grammar is imported on first use, so that a server that only sees
Python never loads the SQL grammar (40 MB). Formatting is not part of a row: the document decides.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from dataclasses import dataclass, replace
from pathlib import PurePath

import tree_sitter


@dataclass(frozen=True, slots=True)
class Language:
    """A row of the table. The fields from `functions` to `comments` are node types.

    `name` is the LSP language id, `aliases` are further ids that mean the same. `comment` opens a
    comment that ends with the line ("" if there is none). `terminator` ends a statement if the line
    break does not. `indented`: indentation, not a bracket, opens a block. `functions` and `classes`
    are scopes whose first line is their signature; `blocks` hold statements; `imports` are the
    header; in `strings` and `comments` code is only text.
    """

    name: str
    aliases: tuple[str, ...]
    extensions: tuple[str, ...]
    module: str
    comment: str
    entry: str = "language"
    terminator: str = ""
    indented: bool = False
    functions: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    blocks: frozenset[str] = frozenset()
    imports: frozenset[str] = frozenset()
    strings: frozenset[str] = frozenset()
    comments: frozenset[str] = frozenset({"comment"})
    magics: bool = False
    """Lines may be IPython's, as in a notebook."""

    @property
    def scopes(self) -> frozenset[str]:
        """Functions and classes."""
        return self.functions | self.classes


def _types(words: str) -> frozenset[str]:
    return frozenset(words.split())


_ECMA_FUNCTIONS = _types(
    "function_declaration function_expression arrow_function method_definition"
    " generator_function generator_function_declaration"
)
_ECMA_STRINGS = _types("string template_string regex")
_ECMA_BLOCKS = _types("program statement_block class_body switch_body switch_case switch_default")
_TYPESCRIPT = Language(
    name="typescript",
    aliases=("ts",),
    extensions=(".ts", ".mts", ".cts"),
    module="tree_sitter_typescript",
    entry="language_typescript",
    comment="//",
    terminator=";",
    functions=_ECMA_FUNCTIONS | {"method_signature", "function_signature"},
    classes=_types(
        "class class_declaration abstract_class_declaration interface_declaration"
        " enum_declaration internal_module module"
    ),
    blocks=_ECMA_BLOCKS | {"interface_body", "enum_body", "object_type"},
    imports=_types("import_statement import_alias"),
    strings=_ECMA_STRINGS,
)
_C_BLOCKS = _types(
    "translation_unit compound_statement field_declaration_list enumerator_list case_statement"
    " preproc_ifdef preproc_if declaration_list"
)

LANGUAGES: tuple[Language, ...] = (
    Language(
        name="python",
        aliases=("py", "python3"),
        extensions=(".py", ".pyi", ".pyw"),
        module="tree_sitter_python",
        comment="#",
        indented=True,
        functions=_types("function_definition"),
        classes=_types("class_definition"),
        blocks=_types("module block"),
        imports=_types("import_statement import_from_statement future_import_statement"),
        strings=_types("string"),
    ),
    Language(
        name="javascript",
        aliases=("javascriptreact", "js", "jsx"),
        extensions=(".js", ".jsx", ".mjs", ".cjs"),
        module="tree_sitter_javascript",
        comment="//",
        terminator=";",
        functions=_ECMA_FUNCTIONS,
        classes=_types("class class_declaration"),
        blocks=_ECMA_BLOCKS,
        imports=_types("import_statement"),
        strings=_ECMA_STRINGS,
    ),
    _TYPESCRIPT,
    replace(
        _TYPESCRIPT,
        name="typescriptreact",
        aliases=("tsx",),
        extensions=(".tsx",),
        entry="language_tsx",
    ),
    Language(
        name="go",
        aliases=("golang",),
        extensions=(".go",),
        module="tree_sitter_go",
        comment="//",
        functions=_types("function_declaration method_declaration func_literal"),
        classes=_types("type_declaration"),
        blocks=_types(
            "source_file block statement_list field_declaration_list interface_type"
            " expression_case default_case communication_case type_case"
        ),
        imports=_types("package_clause import_declaration"),
        strings=_types("interpreted_string_literal raw_string_literal rune_literal"),
    ),
    Language(
        name="rust",
        aliases=("rs",),
        extensions=(".rs",),
        module="tree_sitter_rust",
        comment="//",
        terminator=";",
        functions=_types("function_item function_signature_item closure_expression"),
        classes=_types("impl_item trait_item struct_item enum_item mod_item"),
        blocks=_types(
            "source_file block declaration_list field_declaration_list enum_variant_list"
            " match_block"
        ),
        imports=_types("use_declaration extern_crate_declaration"),
        strings=_types("string_literal raw_string_literal char_literal"),
        comments=_types("line_comment block_comment"),
    ),
    Language(
        name="java",
        aliases=(),
        extensions=(".java",),
        module="tree_sitter_java",
        comment="//",
        terminator=";",
        functions=_types(
            "method_declaration constructor_declaration compact_constructor_declaration"
            " lambda_expression"
        ),
        classes=_types(
            "class_declaration interface_declaration enum_declaration record_declaration"
            " annotation_type_declaration"
        ),
        blocks=_types(
            "program block class_body interface_body enum_body constructor_body switch_block"
            " switch_block_statement_group"
        ),
        imports=_types("package_declaration import_declaration"),
        strings=_types("string_literal character_literal"),
        comments=_types("line_comment block_comment"),
    ),
    Language(
        name="c",
        aliases=(),
        extensions=(".c", ".h"),
        module="tree_sitter_c",
        comment="//",
        terminator=";",
        functions=_types("function_definition"),
        classes=_types("struct_specifier union_specifier enum_specifier"),
        blocks=_C_BLOCKS,
        imports=_types("preproc_include"),
        strings=_types("string_literal char_literal system_lib_string"),
    ),
    Language(
        name="cpp",
        aliases=("c++", "cc", "cuda-cpp", "objective-cpp"),
        extensions=(".cpp", ".cc", ".cxx", ".hpp", ".hh", ".hxx", ".ipp", ".cu", ".cuh"),
        module="tree_sitter_cpp",
        comment="//",
        terminator=";",
        functions=_types("function_definition lambda_expression"),
        classes=_types(
            "class_specifier struct_specifier union_specifier enum_specifier namespace_definition"
        ),
        blocks=_C_BLOCKS,
        imports=_types("preproc_include using_declaration"),
        strings=_types("string_literal char_literal raw_string_literal system_lib_string"),
    ),
    Language(
        name="csharp",
        aliases=("c#", "cs", "c_sharp"),
        extensions=(".cs", ".csx"),
        module="tree_sitter_c_sharp",
        comment="//",
        terminator=";",
        functions=_types(
            "method_declaration constructor_declaration local_function_statement"
            " lambda_expression destructor_declaration"
        ),
        classes=_types(
            "class_declaration interface_declaration struct_declaration enum_declaration"
            " record_declaration namespace_declaration"
        ),
        blocks=_types("compilation_unit block declaration_list switch_body switch_section"),
        imports=_types("using_directive"),
        strings=_types(
            "string_literal character_literal verbatim_string_literal raw_string_literal"
            " interpolated_string_expression"
        ),
    ),
    Language(
        name="ruby",
        aliases=("rb",),
        extensions=(".rb", ".rake", ".gemspec"),
        module="tree_sitter_ruby",
        comment="#",
        functions=_types("method singleton_method lambda"),
        classes=_types("class module singleton_class"),
        blocks=_types("program body_statement block_body then else do"),
        strings=_types("string heredoc_body regex"),
    ),
    Language(
        name="php",
        aliases=(),
        extensions=(".php", ".phtml"),
        module="tree_sitter_php",
        entry="language_php",
        comment="//",
        terminator=";",
        functions=_types(
            "function_definition method_declaration anonymous_function arrow_function"
        ),
        classes=_types(
            "class_declaration interface_declaration trait_declaration enum_declaration"
            " namespace_definition"
        ),
        blocks=_types(
            "program compound_statement declaration_list switch_block enum_declaration_list"
            " colon_block"
        ),
        imports=_types("namespace_use_declaration"),
        strings=_types("string encapsed_string heredoc_body nowdoc_body"),
    ),
    Language(
        name="shellscript",
        aliases=("bash", "sh", "shell", "zsh", "ksh"),
        extensions=(".sh", ".bash", ".zsh", ".ksh"),
        module="tree_sitter_bash",
        comment="#",
        functions=_types("function_definition"),
        blocks=_types("program compound_statement do_group case_item subshell"),
        strings=_types("string raw_string heredoc_body ansi_c_string"),
    ),
    Language(
        name="lua",
        aliases=("luau",),
        extensions=(".lua",),
        module="tree_sitter_lua",
        comment="--",
        functions=_types("function_declaration function_definition"),
        blocks=_types("chunk block"),
        strings=_types("string"),
    ),
    Language(
        name="kotlin",
        aliases=("kt",),
        extensions=(".kt", ".kts"),
        module="tree_sitter_kotlin",
        comment="//",
        functions=_types("function_declaration secondary_constructor anonymous_function"),
        classes=_types("class_declaration object_declaration companion_object"),
        blocks=_types("source_file block class_body enum_class_body"),
        imports=_types("package_header import"),
        strings=_types("string_literal multiline_string_literal character_literal"),
        comments=_types("line_comment block_comment"),
    ),
    Language(
        name="swift",
        aliases=(),
        extensions=(".swift",),
        module="tree_sitter_swift",
        comment="//",
        functions=_types("function_declaration init_declaration lambda_literal"),
        classes=_types("class_declaration protocol_declaration"),
        blocks=_types("source_file statements class_body enum_class_body protocol_body"),
        imports=_types("import_declaration"),
        strings=_types("line_string_literal multi_line_string_literal raw_string_literal"),
        comments=_types("comment multiline_comment"),
    ),
    Language(
        name="scala",
        aliases=("sbt",),
        extensions=(".scala", ".sc", ".sbt"),
        module="tree_sitter_scala",
        comment="//",
        functions=_types("function_definition function_declaration"),
        classes=_types(
            "class_definition object_definition trait_definition enum_definition given_definition"
            " extension_definition"
        ),
        blocks=_types("compilation_unit block indented_block template_body enum_body case_block"),
        imports=_types("package_clause import_declaration"),
        strings=_types("string interpolated_string_expression character_literal"),
        comments=_types("comment block_comment"),
    ),
    Language(
        name="html",
        aliases=("htm", "xhtml"),
        extensions=(".html", ".htm", ".xhtml"),
        module="tree_sitter_html",
        comment="",
        blocks=_types("document element"),
        strings=_types("quoted_attribute_value raw_text text"),
    ),
    Language(
        name="css",
        aliases=(),
        extensions=(".css",),
        module="tree_sitter_css",
        comment="",
        terminator=";",
        classes=_types("rule_set media_statement supports_statement keyframes_statement"),
        blocks=_types("stylesheet block keyframe_block_list"),
        imports=_types("import_statement charset_statement"),
        strings=_types("string_value"),
    ),
    Language(
        name="json",
        aliases=("jsonc", "json5", "jsonl"),
        extensions=(".json", ".jsonc", ".webmanifest"),
        module="tree_sitter_json",
        comment="",
        blocks=_types("document object array"),
        strings=_types("string"),
    ),
    Language(
        name="yaml",
        aliases=("yml", "dockercompose", "github-actions-workflow"),
        extensions=(".yaml", ".yml"),
        module="tree_sitter_yaml",
        comment="#",
        indented=True,
        blocks=_types("stream document block_mapping block_sequence"),
        strings=_types("double_quote_scalar single_quote_scalar block_scalar"),
    ),
    Language(
        name="toml",
        aliases=(),
        extensions=(".toml",),
        module="tree_sitter_toml",
        comment="#",
        classes=_types("table table_array_element"),
        blocks=_types("document"),
        strings=_types("string"),
    ),
    Language(
        name="markdown",
        aliases=("md", "mdx", "quarto"),
        extensions=(".md", ".markdown", ".mdx"),
        module="tree_sitter_markdown",
        comment="",
        classes=_types("section"),
        blocks=_types("document section list list_item"),
        strings=_types("inline code_fence_content html_block"),
        comments=frozenset(),
    ),
    Language(
        name="sql",
        aliases=("mysql", "pgsql", "postgres", "plsql", "sqlite"),
        extensions=(".sql",),
        module="tree_sitter_sql",
        comment="--",
        terminator=";",
        functions=_types("create_function"),
        blocks=_types("program block"),
        strings=_types("literal"),
        comments=_types("comment marginalia"),
    ),
)

_BY_ID = {key: row for row in LANGUAGES for key in (row.name, *row.aliases)}
_BY_EXTENSION = {key: row for row in LANGUAGES for key in row.extensions}
_IPYTHON = replace(_BY_ID["python"], magics=True)


@functools.lru_cache(maxsize=256)
def language_for(language_id: str, path: str | None = None) -> Language | None:
    """Return the row for a client's language id, or else for the path's extension.

    A known id takes precedence, except that a TypeScript id for a `.tsx` file selects the grammar
    with JSX, and Python in a notebook includes IPython's magics. None: there is no grammar.
    """
    row = _BY_ID.get(language_id.strip().lower())
    extension = PurePath(path).suffix.lower() if path else ""
    if row is not None and row.name == "python" and extension == ".ipynb":
        return _IPYTHON
    if row is None or (row.name == "typescript" and extension == ".tsx"):
        return _BY_EXTENSION.get(extension, row)
    return row


@functools.cache
def is_installed(language: Language) -> bool:
    """Return whether the package with the grammar of `language` is there, without importing it."""
    return importlib.util.find_spec(language.module) is not None


def missing_note(language: Language | None) -> str:
    """Return what to do about a missing grammar of `language`, "" where none is missing."""
    if language is None or is_installed(language):
        return ""
    return f'the grammar of {language.name} is not installed: pip install "nearfield[grammars]"'


@functools.cache
def grammar(language: Language) -> tree_sitter.Language:
    """Return the grammar of `language`, imported on first use. Raises `ImportError` if its package
    is missing."""
    capsule: object = getattr(importlib.import_module(language.module), language.entry)()
    return tree_sitter.Language(capsule)
