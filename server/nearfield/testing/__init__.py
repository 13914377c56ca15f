"""A headless editor: open a workspace, type, ask, and look at the answers.

For tests of a configuration, a provider or a plugin, and for ours. It starts a real
`nearfield serve` and speaks LSP to it, as editors do, from plain functions that wait:

    from nearfield.testing import start

    with start("my-project", answers={r"def add\\(a, b\\):\\s*$": "return a + b"}) as editor:
        file = editor.open("app.py")
        file.type("def add(a, b):\\n    ")
        assert file.suggest() == "return a + b"
        file.accept()
        assert file.text.endswith("return a + b")

With `answers` a script answers and nothing of the user's is seen: no settings, models or keys.
Without, it is the user's own configuration and model that is tested.
"""

from nearfield.testing.buffer import Buffer, Item
from nearfield.testing.connection import Failed
from nearfield.testing.editor import CAPABILITIES, Editor, start

__all__ = ["CAPABILITIES", "Buffer", "Editor", "Failed", "Item", "start"]
