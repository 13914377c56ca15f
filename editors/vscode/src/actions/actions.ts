/** What can be done with the code at the cursor: rewrite it, fix it, explain it, and so on. */

import * as vscode from "vscode";

import type { ChatView } from "../chat/view";
import type { Preview } from "../wire";
import type { Ask } from "./ask";
import type { Previews } from "./preview";

/** The actions that answer with an edit: our command's ending, the server's name, the title. */
const EDITS = [
  ["fix", "fix", "Fix"],
  ["refactor", "refactor", "Refactor"],
  ["document", "document", "Document"],
  ["test", "test", "Write Tests"],
] as const;

/** Offer all of them as commands. */
export function registerActions(ask: Ask, previews: Previews, chat: ChatView): vscode.Disposable[] {
  const command = (name: string, run: (editor: vscode.TextEditor) => Promise<void>): vscode.Disposable =>
    vscode.commands.registerCommand(`nearfield.do.${name}`, async () => {
      const editor = vscode.window.activeTextEditor;
      if (editor) await run(editor);
    });
  return [
    command("rewrite", (editor) => rewrite(editor, ask, previews)),
    ...EDITS.map(([name, action, title]) =>
      command(name, (editor) => act(editor, action, title, ask, previews)),
    ),
    command("explain", (editor) => explain(editor, ask, chat)),
    command("review", async (editor) => {
      await ask.command("reviewing", "nearfield.review", placeOf(editor));
    }),
    vscode.commands.registerCommand("nearfield.do.reviewChanges", async () => {
      const workspace = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? "";
      await ask.command("reviewing your changes", "nearfield.review", { scope: "diff", workspace });
    }),
    vscode.commands.registerCommand("nearfield.do.clearReview", async () => {
      await ask.command("clearing the review", "nearfield.clearReview", {});
    }),
  ];
}

async function rewrite(editor: vscode.TextEditor, ask: Ask, previews: Previews): Promise<void> {
  const lines = linesOf(editor);
  const instruction = await vscode.window.showInputBox({
    title: "Nearfield: Rewrite",
    prompt: `What shall become of ${words(lines)}?`,
    placeHolder: "e.g. use a list comprehension",
  });
  if (!instruction?.trim()) return;
  const argument = { ...placeOf(editor), instruction, preview: true };
  const preview = await ask.command<Preview>("rewriting", "nearfield.rewrite", argument);
  await present(editor.document, preview, "Rewrite", ask, previews);
}

async function act(
  editor: vscode.TextEditor,
  action: string,
  title: string,
  ask: Ask,
  previews: Previews,
): Promise<void> {
  const argument = { ...placeOf(editor), action, preview: true };
  const preview = await ask.command<Preview>(title.toLowerCase(), "nearfield.action", argument);
  await present(editor.document, preview, title, ask, previews);
}

async function present(
  document: vscode.TextDocument,
  preview: Preview | null | undefined,
  title: string,
  ask: Ask,
  previews: Previews,
): Promise<void> {
  if (preview === undefined) return;
  const edit = await ask.server.client?.protocol2CodeConverter.asWorkspaceEdit(preview?.edit);
  if (!edit || edit.size === 0) {
    void vscode.window.showInformationMessage(
      "Nearfield: the model had nothing to change. Say it differently, or choose a larger model.",
    );
  } else if (edit.get(document.uri).length === 0) {
    // Only other files change: VS Code's own preview shows those, and asks.
    await vscode.workspace.applyEdit(edit);
  } else {
    await previews.show(document, edit, `${title}: ${nameOf(document)}`);
  }
}

async function explain(editor: vscode.TextEditor, ask: Ask, chat: ChatView): Promise<void> {
  const { uri, range } = placeOf(editor);
  const argument = editor.selection.isEmpty ? { uri, position: range.start } : { uri, range };
  const answer = await ask.command<{ markdown: string } | null>(
    "explaining",
    "nearfield.explain",
    argument,
  );
  if (answer === undefined) return;
  const where = `${nameOf(editor.document)}, ${words(linesOf(editor))}`;
  await chat.tell(where, answer?.markdown ?? "There is nothing to explain here.");
}

interface PlaceArgument {
  readonly uri: string;
  readonly version: number;
  readonly range: { start: vscode.Position; end: vscode.Position };
}

/** The selection as the server wants it; without one, the cursor's place. */
function placeOf({ document, selection }: vscode.TextEditor): PlaceArgument {
  const { start, end } = selection;
  return { uri: document.uri.toString(), version: document.version, range: { start, end } };
}

function linesOf({ selection }: vscode.TextEditor): [number, number] {
  return [selection.start.line + 1, selection.end.line + 1];
}

function words([first, last]: [number, number]): string {
  return first === last ? `line ${first}` : `lines ${first}–${last}`;
}

function nameOf(document: vscode.TextDocument): string {
  return vscode.workspace.asRelativePath(document.uri);
}
