/**
 * A change that is looked at before it is made: the editor's own diff of the document and what it
 * would become, with Accept and Discard in the title. One at a time.
 */

import * as vscode from "vscode";

const SCHEME = "nearfield-preview";
const ACTIVE = "nearfield.previewActive";

interface Pending {
  readonly target: vscode.TextDocument;
  readonly version: number;
  readonly edit: vscode.WorkspaceEdit;
  readonly uri: vscode.Uri;
  readonly settle: (accepted: boolean) => void;
}

export class Previews implements vscode.Disposable, vscode.TextDocumentContentProvider {
  private readonly disposables: vscode.Disposable[];
  private readonly texts = new Map<string, string>();
  private pending: Pending | undefined;
  private count = 0;

  constructor() {
    this.disposables = [
      vscode.workspace.registerTextDocumentContentProvider(SCHEME, this),
      vscode.commands.registerCommand("nearfield.acceptPreview", () => this.decide(true)),
      vscode.commands.registerCommand("nearfield.discardPreview", () => this.decide(false)),
      vscode.window.tabGroups.onDidChangeTabs(({ closed }) => {
        const uri = this.pending?.uri.toString();
        if (uri && closed.some((tab) => modified(tab)?.toString() === uri)) void this.decide(false);
      }),
    ];
  }

  dispose(): void {
    for (const one of this.disposables) one.dispose();
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.texts.get(uri.toString()) ?? "";
  }

  /** Show what `edit` makes of `target`; answers whether it was made. Only `look` lets it be. */
  async show(
    target: vscode.TextDocument,
    edit: vscode.WorkspaceEdit,
    title: string,
    look = false,
  ): Promise<boolean> {
    await this.decide(false);
    const name = target.uri.path.split("/").pop() ?? "";
    this.count += 1;
    const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${this.count}/${name}` });
    this.texts.set(uri.toString(), applied(target, edit.get(target.uri)));
    const options: vscode.TextDocumentShowOptions = { preview: true };
    if (look) {
      await vscode.commands.executeCommand("vscode.diff", target.uri, uri, title, options);
      return false;
    }
    const decided = new Promise<boolean>((settle) => {
      this.pending = { target, version: target.version, edit, uri, settle };
    });
    await vscode.commands.executeCommand("setContext", ACTIVE, true);
    await vscode.commands.executeCommand("vscode.diff", target.uri, uri, title, options);
    return decided;
  }

  private async decide(accept: boolean): Promise<void> {
    const pending = this.pending;
    if (!pending) return;
    this.pending = undefined;
    await vscode.commands.executeCommand("setContext", ACTIVE, false);
    let accepted = false;
    if (accept && pending.target.version !== pending.version) {
      void vscode.window.showWarningMessage(
        "Nearfield: the file was changed meanwhile, so nothing was replaced. Ask again.",
      );
    } else if (accept) {
      accepted = await vscode.workspace.applyEdit(pending.edit);
    }
    await close(pending.uri);
    this.texts.delete(pending.uri.toString());
    if (accepted) await vscode.window.showTextDocument(pending.target, { preview: false });
    pending.settle(accepted);
  }
}

/** The document's text after the edits, which do not overlap. */
function applied(document: vscode.TextDocument, edits: readonly vscode.TextEdit[]): string {
  let text = document.getText();
  const last = [...edits].sort((a, b) => b.range.start.compareTo(a.range.start));
  for (const { range, newText } of last) {
    const [start, end] = [document.offsetAt(range.start), document.offsetAt(range.end)];
    text = text.slice(0, start) + newText + text.slice(end);
  }
  return text;
}

async function close(uri: vscode.Uri): Promise<void> {
  const tabs = vscode.window.tabGroups.all
    .flatMap((group) => group.tabs)
    .filter((tab) => modified(tab)?.toString() === uri.toString());
  await vscode.window.tabGroups.close(tabs);
}

function modified(tab: vscode.Tab): vscode.Uri | undefined {
  return tab.input instanceof vscode.TabInputTextDiff ? tab.input.modified : undefined;
}
