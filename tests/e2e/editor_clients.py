"""What editors say of themselves when they start a server: recorded from Kate 22.12, and read in
the sources of Helix (0002bec4), Sublime's package LSP (0014a4db) and Zed (2026). Lists of kinds of
symbols and tokens, which change nothing here, are shortened."""

from __future__ import annotations

from typing import Any

OPERATIONS = ["create", "rename", "delete"]
YES = {"dynamicRegistration": True}
NO = {"dynamicRegistration": False}
BOTH = ["markdown", "plaintext"]


def _kinds(*kinds: str) -> dict[str, Any]:
    return {"codeActionKind": {"valueSet": list(kinds)}}


HELIX: dict[str, Any] = {
    "clientInfo": {"name": "helix", "version": "25.07"},
    "capabilities": {
        "workspace": {
            "configuration": True,
            "didChangeConfiguration": NO,
            "workspaceFolders": True,
            "applyEdit": True,
            "symbol": NO,
            "executeCommand": NO,
            "inlayHint": {"refreshSupport": False},
            "workspaceEdit": {
                "documentChanges": True,
                "resourceOperations": OPERATIONS,
                "failureHandling": "abort",
                "normalizesLineEndings": False,
            },
            "didChangeWatchedFiles": {**YES, "relativePatternSupport": False},
            "fileOperations": {"willRename": True, "didRename": True},
        },
        "textDocument": {
            "completion": {
                "completionItem": {
                    "snippetSupport": True,
                    "resolveSupport": {
                        "properties": ["documentation", "detail", "additionalTextEdits"]
                    },
                    "insertReplaceSupport": True,
                    "deprecatedSupport": True,
                    "tagSupport": {"valueSet": [1]},
                },
                "completionItemKind": {},
            },
            "hover": {"contentFormat": ["markdown"]},
            "signatureHelp": {
                "signatureInformation": {
                    "documentationFormat": ["markdown"],
                    "parameterInformation": {"labelOffsetSupport": True},
                    "activeParameterSupport": True,
                }
            },
            "rename": {**NO, "prepareSupport": True, "honorsChangeAnnotations": False},
            "formatting": NO,
            "codeAction": {
                "codeActionLiteralSupport": _kinds(
                    "", "quickfix", "refactor", "refactor.extract", "refactor.inline",
                    "refactor.rewrite", "source", "source.organizeImports",
                ),
                "isPreferredSupport": True,
                "disabledSupport": True,
                "dataSupport": True,
                "resolveSupport": {"properties": ["edit", "command"]},
            },
            "publishDiagnostics": {"versionSupport": True, "tagSupport": {"valueSet": [1, 2]}},
            "inlayHint": NO,
        },
        "window": {"workDoneProgress": True},
        "general": {"positionEncodings": ["utf-8", "utf-32", "utf-16"]},
    },
}  # fmt: skip
KATE: dict[str, Any] = {
    "capabilities": {
        "textDocument": {
            "codeAction": {"codeActionLiteralSupport": _kinds("quickfix", "refactor", "source")},
            "documentSymbol": {"hierarchicalDocumentSymbolSupport": True},
            "hover": {"contentFormat": BOTH},
            "publishDiagnostics": {"relatedInformation": True},
            "selectionRange": NO,
            "semanticTokens": {
                "formats": ["relative"],
                "requests": {"full": {"delta": True}, "range": True},
                "tokenModifiers": [],
                "tokenTypes": ["namespace", "type"],
            },
            "synchronization": {"didSave": True},
        },
        "window": {"workDoneProgress": True},
        "workspace": {"workspaceFolders": True},
    },
}
SUBLIME: dict[str, Any] = {
    "clientInfo": {"name": "Sublime Text LSP", "version": "2.4.0"},
    "workspaceFolders": None,
    "capabilities": {
        "general": {
            "regularExpressions": {"engine": "ECMAScript"},
            "markdown": {"parser": "Python-Markdown", "version": "3.2.2"},
        },
        "textDocument": {
            "synchronization": {
                **YES,
                "didSave": True,
                "willSave": True,
                "willSaveWaitUntil": True,
            },
            "hover": {**YES, "contentFormat": BOTH},
            "completion": {
                **YES,
                "completionItem": {
                    "snippetSupport": True,
                    "deprecatedSupport": True,
                    "documentationFormat": BOTH,
                    "tagSupport": {"valueSet": [1]},
                    "resolveSupport": {
                        "properties": ["detail", "documentation", "additionalTextEdits"]
                    },
                    "insertTextModeSupport": {"valueSet": [2]},
                    "labelDetailsSupport": True,
                },
                "completionItemKind": {"valueSet": [1, 2]},
                "insertTextMode": 2,
            },
            "codeAction": {
                **YES,
                "codeActionLiteralSupport": _kinds(
                    "quickfix", "refactor", "refactor.extract", "refactor.inline",
                    "refactor.rewrite", "source.organizeImports",
                ),
                "dataSupport": True,
                "disabledSupport": True,
                "resolveSupport": {"properties": ["edit"]},
            },
            "rename": {**YES, "prepareSupport": True},
            "publishDiagnostics": {"relatedInformation": True, "versionSupport": True},
        },
        "workspace": {
            "applyEdit": True,
            "didChangeConfiguration": YES,
            "executeCommand": {},
            "workspaceEdit": {"documentChanges": True, "failureHandling": "abort"},
            "workspaceFolders": True,
            "configuration": True,
            "didChangeWatchedFiles": YES,
        },
        "window": {
            "showDocument": {"support": True},
            "showMessage": {"messageActionItem": {"additionalPropertiesSupport": True}},
            "workDoneProgress": True,
        },
    },
}  # fmt: skip
ZED: dict[str, Any] = {
    "clientInfo": {"name": "Zed", "version": "0.200.0"},
    "capabilities": {
        "general": {"positionEncodings": ["utf-16"]},
        "workspace": {
            "configuration": True,
            "didChangeWatchedFiles": {**YES, "relativePatternSupport": True},
            "didChangeConfiguration": YES,
            "workspaceFolders": True,
            "symbol": YES,
            "inlayHint": {"refreshSupport": True},
            "codeLens": {"refreshSupport": True},
            "workspaceEdit": {
                "resourceOperations": OPERATIONS,
                "documentChanges": True,
                "snippetEditSupport": True,
            },
            "fileOperations": {**YES, "didRename": True, "willRename": True},
            "applyEdit": True,
            "executeCommand": YES,
        },
        "textDocument": {
            "definition": {**YES, "linkSupport": True},
            "codeAction": {
                **YES,
                "codeActionLiteralSupport": _kinds("refactor", "quickfix", "source"),
                "dataSupport": True,
                "resolveSupport": {
                    "properties": [
                        "kind", "diagnostics", "isPreferred", "disabled", "edit", "command",
                    ]
                },
            },
            "completion": {
                **YES,
                "completionItem": {
                    "snippetSupport": True,
                    "resolveSupport": {
                        "properties": ["additionalTextEdits", "command", "detail", "documentation"]
                    },
                    "deprecatedSupport": True,
                    "tagSupport": {"valueSet": [1]},
                    "insertReplaceSupport": True,
                    "labelDetailsSupport": True,
                    "insertTextModeSupport": {"valueSet": [1, 2]},
                    "documentationFormat": BOTH,
                },
                "insertTextMode": 2,
                "completionList": {
                    "itemDefaults": [
                        "commitCharacters", "editRange", "insertTextMode", "insertTextFormat",
                        "data",
                    ]
                },
                "contextSupport": True,
            },
            "hover": {**YES, "contentFormat": ["markdown"]},
            "publishDiagnostics": {"relatedInformation": True, "versionSupport": True},
            "synchronization": {**YES, "didSave": True},
        },
        "experimental": {"serverStatusNotification": True, "localDocs": True},
        "window": {"workDoneProgress": True, "showMessage": {}},
    },
}  # fmt: skip
