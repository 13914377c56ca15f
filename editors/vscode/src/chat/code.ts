/** What becomes of a code block of an answer: into the file, or beside it to be compared. */

import * as vscode from "vscode";

import { FOLLOWED } from "../documents";
import { plainPosition, plainRange, type WirePosition, type WireRange } from "../actions/place";
import type { Previews } from "../actions/preview";

/** The code that a question is about. */
export interface Reference {
  readonly uri: vscode.Uri;
  readonly range: vscode.Range;
  /** Where in it the question is asked: what is selected, or the cursor. */
  readonly place: { readonly range: WireRange } | { readonly position: WirePosition };
  /** As people write it: `src/a.py:3-10`. */
  readonly label: string;
}

/** The selection, without one the whole file; undefined where no file is open. */
export function referenceTo(editor: vscode.TextEditor | undefined): Reference | undefined {
  if (!editor || !FOLLOWED.includes(editor.document.uri.scheme)) return undefined;
  const { document, selection } = editor;
  const name = nameOf(document);
  if (selection.isEmpty) {
    const place = { position: plainPosition(selection.active) };
    return { uri: document.uri, range: wholeOf(document), place, label: name };
  }
  const [first, last] = [selection.start.line + 1, selection.end.line + 1];
  const label = first === last ? `${name}:${first}` : `${name}:${first}-${last}`;
  return { uri: document.uri, range: selection, place: { range: plainRange(selection) }, label };
}

/** A document's path as people write it; of a cell, its notebook's and which one it is. */
function nameOf(document: vscode.TextDocument): string {
  for (const notebook of vscode.workspace.notebookDocuments) {
    const cell = notebook.getCells().find((one) => one.document === document);
    if (cell) return `${vscode.workspace.asRelativePath(notebook.uri)}, cell ${cell.index + 1}`;
  }
  return vscode.workspace.asRelativePath(document.uri);
}

/** Put code at the cursor, in place of what is selected. */
export async function insertCode(code: string): Promise<void> {
  const editor = vscode.window.activeTextEditor ?? vscode.window.visibleTextEditors[0];
  if (!editor) {
    void vscode.window.showInformationMessage("Nearfield: open the file that it shall go into first.");
    return;
  }
  await editor.edit((edit) => {
    edit.replace(editor.selection, code);
  });
  await vscode.window.showTextDocument(editor.document, editor.viewColumn);
}

/** Show what the file becomes with the code in place of what the question was about. */
export async function applyCode(
  code: string,
  reference: Reference | undefined,
  previews: Previews,
  look: boolean,
): Promise<void> {
  const target = reference ?? referenceTo(vscode.window.activeTextEditor);
  if (!target) {
    void vscode.window.showInformationMessage("Nearfield: open the file that it shall change first.");
    return;
  }
  const document = await vscode.workspace.openTextDocument(target.uri);
  const range = document.validateRange(target.range);
  const ends = document.getText(range).endsWith("\n");
  const edit = new vscode.WorkspaceEdit();
  edit.replace(document.uri, range, ends && !code.endsWith("\n") ? `${code}\n` : code);
  await previews.show(document, edit, `${look ? "Compare" : "Apply"}: ${target.label}`, look);
}

function wholeOf(document: vscode.TextDocument): vscode.Range {
  return new vscode.Range(0, 0, document.lineCount, 0);
}
