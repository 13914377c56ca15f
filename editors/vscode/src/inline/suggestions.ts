/**
 * Tells the server what became of its suggestions: shown, or partly taken. That it was taken as a
 * whole is told by the command of the suggestion itself.
 */

import * as vscode from "vscode";
import type { Middleware } from "vscode-languageclient";

import type { Server } from "../server/server";
import type { StatusItem } from "../status/item";
import { DidAcceptPart, DidShow, type ShownItem } from "../wire";

export class Suggestions {
  /** What was shown last. */
  private last: ShownItem | undefined;
  private server: Server | undefined;
  private status: StatusItem | undefined;

  readonly middleware: Pick<Middleware, "provideInlineCompletionItems"> = {
    provideInlineCompletionItems: async (document, position, context, token, next) => {
      const answer = Promise.resolve(next(document, position, context, token));
      const result = await (this.status?.during(answer) ?? answer);
      const [first] = Array.isArray(result) ? result : (result?.items ?? []);
      const given: unknown = first?.command?.arguments;
      // One that was superseded is not shown.
      if (!token.isCancellationRequested && Array.isArray(given)) {
        this.last = { item: { command: { arguments: given } } };
        void this.server?.client?.sendNotification(DidShow, this.last);
      }
      return result;
    },
  };

  /** Where to tell it; the middleware must exist before these do. */
  attach(server: Server, status: StatusItem): vscode.Disposable[] {
    this.server = server;
    this.status = status;
    return [
      vscode.commands.registerCommand("nearfield.acceptWord", () =>
        this.acceptPart("editor.action.inlineSuggest.acceptNextWord"),
      ),
      vscode.commands.registerCommand("nearfield.acceptLine", () =>
        this.acceptPart("editor.action.inlineSuggest.acceptNextLine"),
      ),
    ];
  }

  private async acceptPart(command: string): Promise<void> {
    const item = this.last;
    await vscode.commands.executeCommand(command);
    if (item) await this.server?.client?.sendNotification(DidAcceptPart, item);
  }
}
