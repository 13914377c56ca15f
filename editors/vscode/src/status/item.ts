/** The item in the status bar: always whether answers are local or from a cloud. */

import * as vscode from "vscode";

import type { Server } from "../server/server";
import { StatusChanged, StatusRequest, type Status } from "../wire";
import { isIndexing, shown, type Download } from "./words";

/** What takes shorter is not shown: an item that flickers draws the eye from the code. */
const BUSY_AFTER_MS = 200;
/** While an index is made, its numbers are asked for so often. */
const POLL_MS = 3000;

export class StatusItem implements vscode.Disposable {
  status: Status | undefined;
  private readonly taken = new vscode.EventEmitter<void>();
  /** Fires when the server has said something new. */
  readonly onDidTake = this.taken.event;
  private readonly item: vscode.StatusBarItem;
  private readonly disposables: vscode.Disposable[] = [];
  private working = 0;
  private busy = false;
  private download: Download | undefined;
  private poll: NodeJS.Timeout | undefined;

  constructor(private readonly server: Server) {
    this.item = vscode.window.createStatusBarItem("nearfield", vscode.StatusBarAlignment.Right, 100);
    this.item.name = "Nearfield";
    this.item.command = "nearfield.menu";
    const draw = (): void => {
      this.draw();
    };
    this.disposables.push(
      this.item,
      this.taken,
      server.onDidChange((life) => {
        if (life === "running") void this.refresh();
        else this.status = undefined;
        this.draw();
      }),
      server.onWillStart((client) => {
        client.onNotification(StatusChanged, (status) => {
          this.take(status);
        });
      }),
      vscode.window.onDidChangeActiveTextEditor(draw),
      vscode.workspace.onDidChangeConfiguration(draw),
      vscode.workspace.onDidGrantWorkspaceTrust(draw),
    );
    this.draw();
    this.item.show();
  }

  dispose(): void {
    clearTimeout(this.poll);
    for (const one of this.disposables) one.dispose();
  }

  /** Ask the server how things stand. */
  async refresh(): Promise<void> {
    const client = this.server.client;
    if (!client) return;
    try {
      this.take(await client.sendRequest(StatusRequest, {}));
    } catch (error) {
      if (this.server.client !== client) return; // It has gone, which `onDidChange` tells.
      this.server.log.warn(`The server does not say how it is: ${String(error)}`);
      this.poll = setTimeout(() => void this.refresh(), POLL_MS);
    }
  }

  /** Show that a model works while `work` does. */
  async during<T>(work: Thenable<T>): Promise<T> {
    this.working += 1;
    const timer = setTimeout(() => {
      this.busy = true;
      this.draw();
    }, BUSY_AFTER_MS);
    try {
      return await work;
    } finally {
      clearTimeout(timer);
      this.working -= 1;
      if (this.busy && this.working === 0) {
        this.busy = false;
        this.draw();
      }
    }
  }

  /** Show a download; undefined when it has ended. */
  downloading(download: Download | undefined): void {
    this.download = download;
    this.draw();
  }

  private take(status: Status): void {
    this.status = status;
    clearTimeout(this.poll);
    if (isIndexing(status.index)) this.poll = setTimeout(() => void this.refresh(), POLL_MS);
    this.draw();
    this.taken.fire();
  }

  private draw(): void {
    const now = shown({
      life: this.server.life,
      problem: this.server.problem,
      status: this.status,
      busy: this.busy,
      download: this.download,
      enabled: enabledHere(),
      trusted: vscode.workspace.isTrusted,
    });
    this.item.text = now.text;
    this.item.tooltip = new vscode.MarkdownString(now.tooltip || "Nearfield", true);
    this.item.accessibilityInformation = { label: now.text.replace(/\$\([^)]*\)\s*/g, "") };
    this.item.backgroundColor =
      now.kind === "plain"
        ? undefined
        : new vscode.ThemeColor(`statusBarItem.${now.kind}Background`);
  }
}

/** Whether completions are on, in the language that is looked at. */
export function enabledHere(): boolean {
  const settings = vscode.workspace.getConfiguration("nearfield.completion");
  const off = settings.get<string[]>("disabled_languages", []);
  const language = vscode.window.activeTextEditor?.document.languageId;
  return settings.get<boolean>("enabled", true) && !(language !== undefined && off.includes(language));
}
