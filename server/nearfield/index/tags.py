"""Tag queries of each language: definitions and references.

The grammars' own queries (`queries/tags.scm` in their wheels) come first. The queries here replace
one that a grammar lacks, and add to one that is incomplete. They follow the same convention:
`@definition.KIND` or `@reference.KIND` on the node, `@name` on its name.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import NamedTuple

import tree_sitter

from nearfield.syntax.languages import Language, grammar

_PYTHON = """
(class_definition body: (block
  (expression_statement (assignment left: (identifier) @name)) @definition.field))
(import_from_statement name: (dotted_name (identifier) @name .)) @reference.import
(import_from_statement
  name: (aliased_import name: (dotted_name (identifier) @name .))) @reference.import
(class_definition superclasses: (argument_list (identifier) @name)) @reference.class
(class_definition
  superclasses: (argument_list (attribute attribute: (identifier) @name))) @reference.class
(type (identifier) @name) @reference.type
(type (generic_type (identifier) @name)) @reference.type
(type (binary_operator (identifier) @name)) @reference.type
(type (attribute attribute: (identifier) @name)) @reference.type
(decorator (identifier) @name) @reference.call
(decorator (attribute attribute: (identifier) @name)) @reference.call
(argument_list (identifier) @name) @reference.argument
(keyword_argument value: (identifier) @name) @reference.argument
(attribute object: (identifier) @name) @reference.object
"""
_ECMA = """
(import_specifier name: (identifier) @name) @reference.import
(class_heritage [(identifier) @name (extends_clause value: (identifier) @name)]) @reference.class
(arguments (identifier) @name) @reference.argument
(member_expression object: (identifier) @name) @reference.object
(program (export_statement
  (lexical_declaration (variable_declarator name: (identifier) @name)) @definition.constant))
(program (lexical_declaration (variable_declarator name: (identifier) @name)) @definition.constant)
"""
_JAVASCRIPT = """
(class_heritage (identifier) @name) @reference.class
""" + _ECMA.replace(
    "(class_heritage [(identifier) @name (extends_clause value: (identifier) @name)])"
    " @reference.class\n",
    "",
)
_TYPESCRIPT = """
(method_definition name: (property_identifier) @name) @definition.method
(class_declaration name: (type_identifier) @name) @definition.class
(function_declaration name: (identifier) @name) @definition.function
(generator_function_declaration name: (identifier) @name) @definition.function
(lexical_declaration (variable_declarator name: (identifier) @name
  value: [(arrow_function) (function_expression)]) @definition.function)
(pair key: (property_identifier) @name
  value: [(arrow_function) (function_expression)]) @definition.function
(type_alias_declaration name: (type_identifier) @name) @definition.type
(enum_declaration name: (identifier) @name) @definition.enum
(internal_module name: (identifier) @name) @definition.module
(public_field_definition name: (property_identifier) @name) @definition.field
(call_expression function: (identifier) @name) @reference.call
(call_expression
  function: (member_expression property: (property_identifier) @name)) @reference.call
(type_arguments (type_identifier) @name) @reference.type
(union_type (type_identifier) @name) @reference.type
(array_type (type_identifier) @name) @reference.type
(generic_type name: (type_identifier) @name) @reference.type
(implements_clause (type_identifier) @name) @reference.implementation
""" + _ECMA.replace(
    "(class_heritage [(identifier) @name (extends_clause value: (identifier) @name)])",
    "(class_heritage (extends_clause value: (identifier) @name))",
)
_TSX = """
(jsx_self_closing_element name: (identifier) @name) @reference.call
(jsx_opening_element name: (identifier) @name) @reference.call
"""
_C = """
(call_expression function: (identifier) @name) @reference.call
(call_expression function: (field_expression field: (field_identifier) @name)) @reference.call
(preproc_def name: (identifier) @name) @definition.macro
(preproc_function_def name: (identifier) @name) @definition.macro
(parameter_declaration type: (type_identifier) @name) @reference.type
(declaration type: (type_identifier) @name) @reference.type
(field_declaration type: (type_identifier) @name) @reference.type
(function_definition type: (type_identifier) @name) @reference.type
"""
_CPP = (
    _C
    + """
(namespace_definition name: (namespace_identifier) @name) @definition.module
(base_class_clause (type_identifier) @name) @reference.class
(call_expression function: (qualified_identifier name: (identifier) @name)) @reference.call
(alias_declaration name: (type_identifier) @name) @definition.type
"""
)
_GO = """
(const_declaration (const_spec name: (identifier) @name)) @definition.constant
(source_file (var_declaration (var_spec name: (identifier) @name)) @definition.variable)
"""
_RUST = """
(const_item name: (identifier) @name) @definition.constant
(static_item name: (identifier) @name) @definition.constant
(call_expression function: (scoped_identifier name: (identifier) @name)) @reference.call
(parameter type: (type_identifier) @name) @reference.type
(parameter type: (reference_type type: (type_identifier) @name)) @reference.type
(use_declaration argument: (scoped_identifier name: (identifier) @name)) @reference.import
(use_list (identifier) @name) @reference.import
(use_list (scoped_identifier name: (identifier) @name)) @reference.import
(use_as_clause path: (identifier) @name) @reference.import
(use_as_clause path: (scoped_identifier name: (identifier) @name)) @reference.import
(scoped_type_identifier name: (type_identifier) @name) @reference.type
(scoped_identifier path: (identifier) @name) @reference.type
(struct_expression name: (type_identifier) @name) @reference.type
(field_declaration type: (type_identifier) @name) @reference.type
(impl_item type: (type_identifier) @name) @definition.implementation
(function_signature_item name: (identifier) @name) @definition.method
"""
_JAVA = """
(constructor_declaration name: (identifier) @name) @definition.method
(enum_declaration name: (identifier) @name) @definition.enum
(record_declaration name: (identifier) @name) @definition.class
(import_declaration (scoped_identifier name: (identifier) @name)) @reference.import
"""
_RUBY = """
(program (assignment left: (constant) @name) @definition.constant)
(superclass (constant) @name) @reference.class
"""
_PHP = """
(base_clause (name) @name) @reference.class
(function_call_expression function: (name) @name) @reference.call
(object_creation_expression (name) @name) @reference.class
(enum_declaration name: (name) @name) @definition.enum
(const_element (name) @name) @definition.constant
"""
_CSHARP = """
(class_declaration name: (identifier) @name) @definition.class
(interface_declaration name: (identifier) @name) @definition.interface
(struct_declaration name: (identifier) @name) @definition.class
(record_declaration name: (identifier) @name) @definition.class
(enum_declaration name: (identifier) @name) @definition.enum
(method_declaration name: (identifier) @name) @definition.method
(constructor_declaration name: (identifier) @name) @definition.method
(property_declaration name: (identifier) @name) @definition.property
(namespace_declaration name: (_) @name) @definition.module
(invocation_expression function: (identifier) @name) @reference.call
(invocation_expression
  function: (member_access_expression name: (identifier) @name)) @reference.call
(object_creation_expression type: (identifier) @name) @reference.class
(base_list (identifier) @name) @reference.class
(parameter type: (identifier) @name) @reference.type
(variable_declaration type: (identifier) @name) @reference.type
"""
_BASH = """
(function_definition name: (word) @name) @definition.function
(command name: (command_name (word) @name)) @reference.call
(program (variable_assignment name: (variable_name) @name) @definition.variable)
"""
_KOTLIN = """
(class_declaration name: (identifier) @name) @definition.class
(object_declaration name: (identifier) @name) @definition.class
(function_declaration name: (identifier) @name) @definition.function
(source_file (property_declaration (variable_declaration (identifier) @name)) @definition.constant)
(class_body (property_declaration (variable_declaration (identifier) @name)) @definition.property)
(call_expression . (identifier) @name) @reference.call
(call_expression . (navigation_expression (identifier) @name .)) @reference.call
(user_type (identifier) @name) @reference.type
"""
_SWIFT = """
(call_expression . (simple_identifier) @name) @reference.call
(call_expression . (navigation_expression
  suffix: (navigation_suffix suffix: (simple_identifier) @name))) @reference.call
(user_type (type_identifier) @name) @reference.type
"""
_SCALA = """
(call_expression function: (field_expression field: (identifier) @name)) @reference.call
(function_declaration name: (identifier) @name) @definition.function
"""
_CSS = """
(class_selector (class_name) @name) @definition.class
(id_selector (id_name) @name) @definition.id
(keyframes_statement (keyframes_name) @name) @definition.keyframes
"""
_TOML = """
(table [(bare_key) (dotted_key)] @name) @definition.table
(table_array_element [(bare_key) (dotted_key)] @name) @definition.table
"""
_SQL = """
(create_table (object_reference name: (identifier) @name)) @definition.table
(create_view (object_reference name: (identifier) @name)) @definition.view
(create_function (object_reference name: (identifier) @name)) @definition.function
(relation (object_reference name: (identifier) @name)) @reference.table
"""
_MORE = {
    "python": _PYTHON,
    "javascript": _JAVASCRIPT,
    "typescript": _TYPESCRIPT,
    "typescriptreact": _TYPESCRIPT + _TSX,
    "c": _C,
    "cpp": _CPP,
    "go": _GO,
    "rust": _RUST,
    "java": _JAVA,
    "ruby": _RUBY,
    "php": _PHP,
    "csharp": _CSHARP,
    "shellscript": _BASH,
    "kotlin": _KOTLIN,
    "swift": _SWIFT,
    "scala": _SCALA,
    "css": _CSS,
    "toml": _TOML,
    "sql": _SQL,
}


class Tags(NamedTuple):
    """The queries of one language: `definitions` capture the node and its name, `references` the
    name alone, which halves the time that they take."""

    definitions: tree_sitter.Query
    references: tree_sitter.Query


@functools.cache
def tags(language: Language) -> Tags | None:
    """The queries of `language`, compiled on first use; None where nothing in it has a name."""
    source = _shipped(language) + _MORE.get(language.name, "")
    if not source:
        return None
    found = Tags(*(tree_sitter.Query(grammar(language), source) for _ in range(2)))
    content = source.encode()
    for pattern in range(found.definitions.pattern_count):
        start = found.definitions.start_byte_for_pattern(pattern)
        end = found.definitions.end_byte_for_pattern(pattern)
        defines = b"@definition." in content[start:end]
        (found.references if defines else found.definitions).disable_pattern(pattern)
    for capture in range(found.references.capture_count):
        name = found.references.capture_name(capture)
        if name != "name":
            found.references.disable_capture(name)
    return found


def _shipped(language: Language) -> str:
    """The query in the grammar's wheel, "" where there is none."""
    file = resources.files(language.module) / "queries" / "tags.scm"
    return file.read_text("utf-8") + "\n" if file.is_file() else ""


@functools.cache
def import_query(language: Language) -> tree_sitter.Query:
    """Captures the import statements of a language that has some, as `import`."""
    kinds = " ".join(f"({kind})" for kind in sorted(language.imports))
    return tree_sitter.Query(grammar(language), f"[{kinds}] @import")
