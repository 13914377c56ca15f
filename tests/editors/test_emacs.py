"""Emacs and Eglot, set up as docs/editors.md says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tomli_w
from tests.e2e.process import PATIENCE_SECONDS, environment
from tests.editors.conftest import ROOT, chat_script

pytestmark = pytest.mark.editor

EMACS = shutil.which("emacs")
INSTALL = "scripts/install-packages emacs-nox elpa-eglot"

TYPED = 'def add(a: int, ü: int) -> int:\n    "🙂";return a + ü'

SCENE = """
(require 'eglot)
(setq eglot-confirm-server-initiated-edits nil)
(setq eglot-connect-timeout 60 eglot-sync-connect 60 jsonrpc-default-request-timeout 60)
(find-file "a.py")
(apply #'eglot (eglot--guess-contact))
(let ((server (eglot-current-server)))
  (with-timeout (60 (error "It was never ready"))
    (while (not (equal "ready" (plist-get (jsonrpc-request server :nearfield/status nil) :state)))
      (sleep-for 0.05)))
  (goto-char (point-max))
  (insert "ret")
  ;; The first answer holds what is ready: nothing. What is asked again is there.
  (with-timeout (60 (error "Nothing was completed: %s" (buffer-string)))
    (while (not (looking-back "return a \\\\+ ü" (line-beginning-position)))
      (completion-at-point)
      (sleep-for 0.3)))
  (save-buffer)
  (switch-to-buffer (current-buffer))
  (goto-char (point-min))
  (search-forward "def ")
  (let (said)
    (with-timeout (60 (error "Nothing was said of it: %s" said))
      (while (not (and said (string-match-p "def add(a, ü)" said)))
        (eglot-hover-eldoc-function (lambda (info &rest _) (setq said info)))
        (sleep-for 0.3))))
  ;; As M-x eglot-code-actions asks which, by the keyboard.
  (cl-letf ((last-nonmenu-event ?x)
            ((symbol-function 'completing-read)
             (lambda (_ items &rest _)
               (car (seq-find (lambda (one) (string-prefix-p "Add types" (car one))) items)))))
    (call-interactively 'eglot-code-actions))
  (with-timeout (60 (error "No types were added: %s" (buffer-string)))
    (while (not (save-excursion (goto-char (point-min)) (search-forward "a: int" nil t)))
      (sleep-for 0.1)))
  (save-buffer)
  (eglot-shutdown server))
"""


def test_a_completion_a_hover_and_a_code_action(tmp_path: Path) -> None:
    if not EMACS and not os.environ.get("CI"):
        pytest.skip(f"Emacs is missing; {INSTALL}")
    assert EMACS, INSTALL
    home = tmp_path / "home"
    environ = environment(home)
    config = Path(environ["NEARFIELD_CONFIG_DIR"])
    config.mkdir(parents=True)
    typed = f"```python\n{TYPED}\n```"
    answers = ({"match": "ret$", "text": "urn a + ü\n"}, {"text": typed})
    (config / "config.toml").write_text(tomli_w.dumps(chat_script(*answers)))
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ["PATH"]])

    page = (ROOT / "docs" / "editors.md").read_text()
    (snippet,) = [
        one for one in re.findall(r"```elisp\n(.*?)```", page, re.DOTALL) if "eglot" in one
    ]
    (tmp_path / "scene.el").write_text(snippet + SCENE, "utf-8")
    file = tmp_path / "a.py"
    # A character that UTF-16 counts twice stands before the cursor.
    file.write_text('def add(a, ü):\n    "🙂";', "utf-8")
    command = [EMACS, "--batch", "--eval", '(set-language-environment "UTF-8")']
    done = subprocess.run(
        [*command, "--load", str(tmp_path / "scene.el")],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert file.read_text("utf-8").rstrip("\n") == TYPED
