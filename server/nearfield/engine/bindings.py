"""llama.cpp's C interface as llama-cpp-python binds it.

One name, `c`, typed as `Any`: the binding's own annotations describe the C signatures only
loosely (every pointer may be None, `byref()` fits nowhere), so checking against them says nothing.
"""

from __future__ import annotations

from typing import Any

import llama_cpp
import llama_cpp.llama_cpp as _binding

c: Any = _binding
version: str = llama_cpp.__version__
