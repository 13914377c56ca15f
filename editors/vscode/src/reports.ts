/** What `nearfield doctor`, `stats` and the like say, as read-only documents. */

import * as vscode from "vscode";

import { say } from "./actions/ask";
import type { Server } from "./server/server";

const SCHEME = "nearfield-report";
const REPORTS = {
  doctor: "looking at this machine",
  stats: "adding up",
  audit: "reading the ledger",
} as const;

export class Reports implements vscode.TextDocumentContentProvider {
  private readonly texts = new Map<string, string>();
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changed.event;

  constructor(private readonly server: Server) {}

  /** Offer them as commands. */
  register(): vscode.Disposable[] {
    return [
      this.changed,
      vscode.workspace.registerTextDocumentContentProvider(SCHEME, this),
      ...(Object.keys(REPORTS) as (keyof typeof REPORTS)[]).map((name) =>
        vscode.commands.registerCommand(`nearfield.${name}`, () => this.show(name)),
      ),
    ];
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.texts.get(uri.path) ?? "";
  }

  private async show(name: keyof typeof REPORTS): Promise<void> {
    const options = {
      location: vscode.ProgressLocation.Notification,
      title: `Nearfield: ${REPORTS[name]}`,
      cancellable: true,
    };
    try {
      await vscode.window.withProgress(options, async (_progress, token) => {
        const abort = new AbortController();
        token.onCancellationRequested(() => {
          abort.abort();
        });
        const { out, err } = await this.server.cli([name], { signal: abort.signal });
        if (token.isCancellationRequested) return;
        const uri = vscode.Uri.from({ scheme: SCHEME, path: `/Nearfield ${name}` });
        this.texts.set(uri.path, [out, err].filter(Boolean).join("\n"));
        this.changed.fire(uri);
        await vscode.window.showTextDocument(uri, { preview: true });
      });
    } catch (error) {
      say(error);
    }
  }
}
