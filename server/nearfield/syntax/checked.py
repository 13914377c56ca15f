"""A grammar whose scanner cannot write outside its memory, for the texts that might make it.

A scanner writes its state into 1,024 bytes that the parser lends it. Here it gets a larger buffer,
of which the parser is given what it has room for; a larger state is given up, as scanners that mind
the end do themselves. Each token costs a call of Python by that, so it is for odd texts alone.
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

__all__ = ["LENT_BYTES", "Checked", "checked"]

LENT_BYTES = 1_024
"""What the parser lends a scanner: `TREE_SITTER_SERIALIZATION_BUFFER_SIZE`."""
_BUFFER_BYTES = 65_536
_STRUCT_BYTES = {14: 232, 15: 288}
"""The size of a language's struct, by the version of the ABI that it is made for."""
_SERIALIZE_AT = 208
"""Where a language's struct has the function, in bytes. Nine numbers of 32 bits and one of 16, 13
tables, the lexers and five more fields of the scanner stand before it. The layout belongs to the
ABI's version, and is this one wherever pointers have 64 bits."""
_CAPSULE = b"tree_sitter.Language"
_Serialize = ctypes.PYFUNCTYPE(ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p)


class Checked:
    """`grammar` is that of a language, checked; `most` the largest state so far, in bytes."""

    def __init__(self, language: Language) -> None:
        """Raises `RuntimeError` where the struct's layout is not known."""
        python = ctypes.pythonapi
        address = python.PyCapsule_GetPointer
        address.restype, address.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        wrap = python.PyCapsule_New
        wrap.restype = ctypes.py_object
        wrap.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        # The module keeps the struct's tables; a copy of the struct points to them as well.
        self._module = importlib.import_module(language.module)
        capsule: object = getattr(self._module, language.entry)()
        found = tree_sitter.Language(capsule)
        size = _STRUCT_BYTES.get(found.abi_version, 0)
        if not size or sys.maxsize < 1 << 32:
            raise RuntimeError(f"the grammar of {language.name} has the ABI {found.abi_version}")
        self.most = 0
        self._lent = threading.local()
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

    def _serialize(self, payload: int, lent: int) -> int:
        buffer = getattr(self._lent, "buffer", None)
        if buffer is None:
            buffer = self._lent.buffer = ctypes.create_string_buffer(_BUFFER_BYTES)
        written = int(self._own(payload, ctypes.addressof(buffer)))
        self.most = max(self.most, written)
        if written > LENT_BYTES:
            return 0
        ctypes.memmove(lent, buffer, written)
        return written


@functools.cache
def checked(language: Language) -> tree_sitter.Language | None:
    """The grammar of `language`, checked; None where that cannot be had."""
    try:
        return _kept(language).grammar
    except RuntimeError:
        return None


@functools.cache
def _kept(language: Language) -> Checked:
    """Kept for ever, because every tree refers to its grammar."""
    return Checked(language)
