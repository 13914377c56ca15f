"""Grammars whose scanner cannot write outside its memory, for texts that might make it.

A scanner serializes its state into a buffer of 1,024 bytes of the parser. Here it gets a larger
buffer, and the parser a copy if it fits; a larger state is dropped, as careful scanners do
themselves. Each token costs a call into Python, so these grammars are for unusual texts only.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import struct
import sys
import threading

import tree_sitter

from nearfield.syntax.languages import Language

PARSER_BYTES = 1_024
"""The parser's buffer: `TREE_SITTER_SERIALIZATION_BUFFER_SIZE`."""
_BUFFER_BYTES = 65_536
_STRUCT_BYTES = {14: 232, 15: 288}
"""The size of a language's struct, by ABI version."""
_SERIALIZE_AT = 208
"""Byte offset of the function in a language's struct: after nine numbers of 32 bits and one of 16,
13 tables, the lexers and five fields of the scanner. The layout belongs to the ABI version and is
the same wherever pointers have 64 bits."""
_CAPSULE = b"tree_sitter.Language"
_Serialize = ctypes.PYFUNCTYPE(ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p)


class CheckedGrammar:
    """A `grammar` with a checked scanner; `largest` is its largest state yet, in bytes."""

    def __init__(self, language: Language) -> None:
        """Raise `RuntimeError` if the layout of the struct is unknown."""
        python = ctypes.pythonapi
        address = python.PyCapsule_GetPointer
        address.restype, address.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        wrap = python.PyCapsule_New
        wrap.restype = ctypes.py_object
        wrap.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        # The module owns the struct's tables; a copy of the struct points to them, too.
        self._module = importlib.import_module(language.module)
        capsule: object = getattr(self._module, language.entry)()
        found = tree_sitter.Language(capsule)
        size = _STRUCT_BYTES.get(found.abi_version, 0)
        if not size or sys.maxsize < 1 << 32:
            raise RuntimeError(f"the grammar of {language.name} has the ABI {found.abi_version}")
        self.largest = 0
        self._buffers = threading.local()
        raw = ctypes.string_at(address(capsule, _CAPSULE), size)
        self._struct = ctypes.create_string_buffer(raw, size)
        (place,) = struct.unpack_from("Q", raw, _SERIALIZE_AT)
        if place:
            self._own = _Serialize(place)
            self._hook = _Serialize(self._serialize)
            hook = ctypes.cast(self._hook, ctypes.c_void_p).value
            struct.pack_into("Q", self._struct, _SERIALIZE_AT, hook)
        copied: object = wrap(ctypes.addressof(self._struct), _CAPSULE, None)
        self.grammar = tree_sitter.Language(copied)

    def _serialize(self, payload: int, target: int) -> int:
        buffer = getattr(self._buffers, "buffer", None)
        if buffer is None:
            buffer = self._buffers.buffer = ctypes.create_string_buffer(_BUFFER_BYTES)
        written = int(self._own(payload, ctypes.addressof(buffer)))
        self.largest = max(self.largest, written)
        if written > PARSER_BYTES:
            return 0
        ctypes.memmove(target, buffer, written)
        return written


@functools.cache
def checked(language: Language) -> CheckedGrammar | None:
    """Return the checked grammar of `language`, None if its layout is unknown. It is never freed,
    because every tree refers to its grammar."""
    try:
        return CheckedGrammar(language)
    except RuntimeError:
        return None
