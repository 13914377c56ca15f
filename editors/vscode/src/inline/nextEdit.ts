/** What an edit has left to be changed elsewhere in the file: one key goes to each and makes it. */

import * as vscode from "vscode";
import { ExecuteCommandRequest, type LanguageClient } from "vscode-languageclient/node";

import { say } from "../actions/ask";
import { plainPosition } from "../actions/place";
import type { Server } from "../server/server";
import type { NextEdit } from "../wire";

/** How long the status bar says what is left. */
const SAID_MS = 4000;

/** Offer it as a command. */
export function registerNextEdit(server: Server): vscode.Disposable {
  return vscode.commands.registerCommand("nearfield.do.nextEdit", async () => {
    const editor = vscode.window.activeTextEditor;
    if (server.client && editor) await next(server.client, editor).catch(say);
  });
}

async function next(client: LanguageClient, editor: vscode.TextEditor): Promise<void> {
  const { document, selection } = editor;
  const place = {
    uri: client.code2ProtocolConverter.asUri(document.uri),
    position: plainPosition(selection.active),
    version: document.version,
  };
  const { edit, others } = (await command(client, "nearfield.nextEdit", place)) as NextEdit;
  if (!edit) {
    vscode.window.setStatusBarMessage("Nearfield: nothing is left to be changed", SAID_MS);
    return;
  }
  const range = client.protocol2CodeConverter.asRange(edit.range);
  // Typed on meanwhile: the edit is not for this text, and the key can be pressed again.
  if (document.version !== place.version) return;
  if (!(await editor.edit((change) => { change.replace(range, edit.text); }))) return;
  const end = document.positionAt(document.offsetAt(range.start) + edit.text.length);
  editor.selection = new vscode.Selection(end, end);
  editor.revealRange(editor.selection, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
  await command(client, edit.command.command, ...edit.command.arguments);
  const left = others === 0 ? "that was the last one" : `${others} more`;
  vscode.window.setStatusBarMessage(`Nearfield: changed line ${end.line + 1}, ${left}`, SAID_MS);
}

function command(client: LanguageClient, name: string, ...given: readonly unknown[]): Promise<unknown> {
  return client.sendRequest(ExecuteCommandRequest.type, { command: name, arguments: [...given] });
}
