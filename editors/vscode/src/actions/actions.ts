/**
 * What can be done with the code at the cursor: rewrite it, fix it, explain it, and so on; by our own
 * commands, and by those that the server's code actions name.
 */

import * as vscode from "vscode";

import type { ChatView } from "../chat/view";
import type { Preview, Review } from "../wire";
import type { Ask } from "./ask";
import { plainRange, type WireRange } from "./place";
import type { Previews } from "./preview";

/** Actions that need nothing but a place: our command's ending, the server's name, the title. */
const EDITS = [
  ["document", "document", "Document"],
  ["test", "test", "Write Tests"],
  ["simplify", "simplify", "Simplify"],
] as const;

type Place = Readonly<Record<string, unknown>> & { readonly uri: string };
type Next = (command: string, given: unknown[]) => unknown;

export class Actions {
  constructor(
    private readonly ask: Ask,
    private readonly previews: Previews,
    private readonly chat: ChatView,
  ) {}

  /** Offer them as commands. */
  register(): vscode.Disposable[] {
    const at = (name: string, run: (editor: vscode.TextEditor) => Promise<void>): vscode.Disposable =>
      vscode.commands.registerCommand(`nearfield.do.${name}`, async () => {
        const editor = vscode.window.activeTextEditor;
        if (editor) await run(editor);
      });
    return [
      at("rewrite", (editor) => this.rewrite(editor.document, placeOf(editor))),
      at("fix", (editor) => this.fix(editor)),
      at("explain", (editor) => this.explainRange(placeOf(editor))),
      at("review", (editor) => this.review(editor.selection.isEmpty ? uriOf(editor) : placeOf(editor))),
      ...EDITS.map(([name, action, title]) =>
        at(name, (editor) => this.edit(editor.document, { ...placeOf(editor), action }, title)),
      ),
      vscode.commands.registerCommand("nearfield.do.reviewChanges", async () => {
        const workspace = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? "";
        await this.review({ scope: "diff", workspace });
      }),
      vscode.commands.registerCommand("nearfield.do.clearReview", () =>
        this.ask.command("clearing the review", "nearfield.clearReview", {}),
      ),
    ];
  }

  /** A command of the server, as a code action of its names it: with what we do around it. */
  async run(command: string, given: unknown[], next: Next): Promise<unknown> {
    const [first] = given;
    if (!isPlace(first)) return next(command, given);
    switch (command) {
      case "nearfield.rewrite": {
        if ("instruction" in first) return next(command, given);
        await this.rewrite(await documentOf(first), first);
        return undefined;
      }
      case "nearfield.action":
        if ("instruction" in first) return next(command, given);
        return this.named(command, first, next);
      case "nearfield.explain":
        await this.explainRange(first);
        return undefined;
      case "nearfield.review":
        await this.review(first);
        return undefined;
      default:
        return next(command, given);
    }
  }

  private async rewrite(document: vscode.TextDocument, place: Place): Promise<void> {
    const instruction = await vscode.window.showInputBox({
      title: "Nearfield: Rewrite",
      prompt: "What shall become of it? You see the change before it is made.",
      placeHolder: "for example: use a list comprehension",
    });
    if (!instruction?.trim()) return;
    const argument = { ...place, instruction, preview: true };
    const preview = await this.ask.command<Preview>("rewriting", "nearfield.rewrite", argument);
    await this.present(document, preview, "Rewrite");
  }

  /** An action that wants a name first, such as that of an extracted function. */
  private async named(command: string, place: Place, next: Next): Promise<unknown> {
    const instruction = await vscode.window.showInputBox({ title: "Nearfield", prompt: "Its name" });
    return instruction?.trim() ? next(command, [{ ...place, instruction }]) : undefined;
  }

  private async fix(editor: vscode.TextEditor): Promise<void> {
    const { document, selection } = editor;
    const lines = new vscode.Range(selection.start.line, 0, selection.end.line + 1, 0);
    const diagnostics = vscode.languages
      .getDiagnostics(document.uri)
      .filter(({ range }) => range.intersection(lines))
      .map(({ range, message, source }) => ({ range: plainRange(range), message, source }));
    if (diagnostics.length === 0) {
      void vscode.window.showInformationMessage("Nearfield: no problem is reported on this line.");
      return;
    }
    const action = diagnostics.length > 1 ? "fix_all" : "fix";
    await this.edit(document, { ...placeOf(editor), action, diagnostics }, "Fix");
  }

  private async edit(document: vscode.TextDocument, place: Place, title: string): Promise<void> {
    const argument = { ...place, preview: true };
    const preview = await this.ask.command<Preview>(title, "nearfield.action", argument);
    await this.present(document, preview, title);
  }

  private async present(
    document: vscode.TextDocument,
    preview: Preview | null | undefined,
    title: string,
  ): Promise<void> {
    if (preview === undefined) return;
    const edit = await this.ask.server.client?.protocol2CodeConverter.asWorkspaceEdit(preview?.edit);
    if (!edit || edit.size === 0) {
      void vscode.window.showInformationMessage(
        "Nearfield: the model had nothing to change. Say it differently, or choose a larger model.",
      );
    } else if (edit.get(document.uri).length === 0) {
      // Only other files change: VS Code's own preview of changes shows those, and asks.
      await vscode.workspace.applyEdit(edit);
    } else {
      await this.previews.show(document, edit, `${title}: ${nameOf(document)}`);
    }
  }

  private async explainRange(place: Place): Promise<void> {
    const argument = { ...place, show: false };
    const answer = await this.ask.command<{ markdown: string; model?: string }>(
      "explaining",
      "nearfield.explain",
      argument,
    );
    if (!answer) return;
    const title = `Explain ${nameOf(await documentOf(place))}${linesOf(place)}`;
    await this.chat.tell(title, answer.markdown, answer.model ?? "");
  }

  private async review(argument: Readonly<Record<string, unknown>>): Promise<void> {
    const answer = await this.ask.command<Review>("reviewing", "nearfield.review", argument);
    if (!answer) return;
    const { findings, error, model } = answer;
    if (error) {
      void vscode.window.showWarningMessage(`Nearfield: ${error}`);
    } else if (findings === 0) {
      void vscode.window.showInformationMessage(`Nearfield: ${model || "the model"} found nothing.`);
    } else {
      await vscode.commands.executeCommand("workbench.actions.view.problems");
    }
  }
}

function isPlace(value: unknown): value is Place {
  return typeof value === "object" && value !== null && ("uri" in value || "scope" in value);
}

async function documentOf({ uri }: Place): Promise<vscode.TextDocument> {
  return vscode.workspace.openTextDocument(vscode.Uri.parse(uri, true));
}

/** The selection as the server wants it; without one, the cursor's place. */
function placeOf({ document, selection }: vscode.TextEditor): Place {
  return { uri: document.uri.toString(), version: document.version, range: plainRange(selection) };
}

function uriOf({ document }: vscode.TextEditor): Place {
  return { uri: document.uri.toString() };
}

/** The lines of a place as people write them, ":3-10". */
function linesOf(place: Place): string {
  const range = place["range"] as WireRange | undefined;
  if (!range) return "";
  const [first, last] = [range.start.line + 1, range.end.line + 1];
  return first === last ? `:${first}` : `:${first}-${last}`;
}

function nameOf(document: vscode.TextDocument): string {
  return vscode.workspace.asRelativePath(document.uri);
}
