/** One question to the server, with progress, a way to cancel, and plain errors. */

import * as vscode from "vscode";
import { ExecuteCommandRequest } from "vscode-languageclient";
import type { LanguageClient } from "vscode-languageclient/node";

import type { Server } from "../server/server";
import type { StatusItem } from "../status/item";

/** JSON-RPC's code for a request that was cancelled, and LSP's. */
const CANCELLED: readonly number[] = [-32800, -32802];

export class Ask {
  constructor(
    readonly server: Server,
    private readonly status: StatusItem,
  ) {}

  /** Run a command of the server; undefined where it was cancelled or failed, which was said. */
  command<T>(title: string, command: string, argument: unknown): Promise<T | undefined> {
    const params = { command, arguments: [argument] };
    return this.request<T>(
      title,
      (client, token) => client.sendRequest(ExecuteCommandRequest.type, params, token) as Promise<T>,
    );
  }

  /** Send any request in the same way; `location` is where its progress is shown. */
  async request<T>(
    title: string,
    send: (client: LanguageClient, token: vscode.CancellationToken) => Promise<T>,
    location: vscode.ProgressLocation = vscode.ProgressLocation.Notification,
  ): Promise<T | undefined> {
    const client = this.server.client;
    if (!client) {
      void vscode.window.showWarningMessage("Nearfield: the server is not running.");
      return undefined;
    }
    const options = { location, title: `Nearfield: ${title}`, cancellable: true };
    return vscode.window.withProgress(options, async (_progress, token) => {
      try {
        return await this.status.during(send(client, token));
      } catch (error) {
        if (!token.isCancellationRequested && !isCancelled(error)) say(error);
        return undefined;
      }
    });
  }
}

/** Whether a request's error says that it was cancelled. */
export function isCancelled(error: unknown): boolean {
  return error instanceof vscode.CancellationError || CANCELLED.includes(codeOf(error));
}

/** Show an error of a request. */
export function say(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  void vscode.window.showErrorMessage(`Nearfield: ${message}`);
}

function codeOf(error: unknown): number {
  const code: unknown = error instanceof Error && "code" in error ? error.code : 0;
  return typeof code === "number" ? code : 0;
}
