/** The control panel in a tab: the server's own page, from a process that ends with the tab. */

import * as vscode from "vscode";

import { say } from "./actions/ask";
import type { Server } from "./server/server";

export class ControlPanel implements vscode.Disposable {
  private tab: vscode.WebviewPanel | undefined;
  private ended = new AbortController();

  constructor(private readonly server: Server) {}

  dispose(): void {
    this.tab?.dispose();
    this.ended.abort();
  }

  /** Show the tab; the first time its process is started. */
  async open(): Promise<void> {
    if (this.tab) {
      this.tab.reveal();
      return;
    }
    const tab = vscode.window.createWebviewPanel(
      "nearfield.panel",
      "Nearfield",
      vscode.ViewColumn.Active,
      { enableScripts: true, retainContextWhenHidden: true },
    );
    const ended = new AbortController();
    this.tab = tab;
    this.ended = ended;
    tab.onDidDispose(() => {
      ended.abort();
      if (this.tab === tab) this.tab = undefined;
    });
    try {
      const address = await this.serve(ended);
      // Where the window is not on the server's machine, the port is forwarded.
      const outside = await vscode.env.asExternalUri(vscode.Uri.parse(address.split("#")[0] ?? ""));
      tab.webview.html = page(outside.toString(true), address.split("#")[1] ?? "");
    } catch (error) {
      tab.dispose();
      say(error);
    }
  }

  /** Start the process and return the address that it says; it runs until `ended`. */
  private serve(ended: AbortController): Promise<string> {
    return new Promise((resolve, reject) => {
      const onLine = (line: string, stream: "out" | "err"): void => {
        if (stream === "out" && line.startsWith("{")) {
          resolve((JSON.parse(line) as { address: string }).address);
        }
      };
      this.server
        .cli(["panel", "--no-open", "--json"], { signal: ended.signal, onLine })
        .then(({ err }) => {
          reject(new Error(err.trim() || "The panel has ended."));
        }, reject);
    });
  }
}

function page(address: string, fragment: string): string {
  const origin = new URL(address).origin;
  const source = escaped(`${address}#${fragment}`);
  const policy = escaped(`default-src 'none'; frame-src ${origin}; style-src 'unsafe-inline'`);
  const style = "html, body, iframe { width: 100%; height: 100%; margin: 0; padding: 0; border: 0 }";
  return `<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="referrer" content="no-referrer"><title>Nearfield</title><style>${style}</style></head>
<body><iframe title="Nearfield's control panel" allow="clipboard-write" src="${source}"></iframe></body></html>`;
}

function escaped(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/"/g, "&quot;").replace(/</g, "&lt;");
}
