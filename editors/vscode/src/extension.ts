/** Puts the parts together. All that is known of code is known by the server. */

import * as vscode from "vscode";

import type { Middleware } from "vscode-languageclient";

import { Actions } from "./actions/actions";
import { Ask } from "./actions/ask";
import { suggestCommitMessage } from "./actions/commitMessage";
import { Previews } from "./actions/preview";
import { ChatModels } from "./chat/models";
import { ChatView } from "./chat/view";
import { NextEdits } from "./inline/nextEdit";
import { Suggestions } from "./inline/suggestions";
import { chooseStrategy, showMenu } from "./menu";
import { ModelPicker } from "./models/picker";
import { registerOffers } from "./offers";
import { ControlPanel } from "./panel";
import { Reports } from "./reports";
import { Server } from "./server/server";
import { StatusItem } from "./status/item";

let running: Server | undefined;

/** Called by VS Code when it has started. */
export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const log = vscode.window.createOutputChannel("Nearfield", { log: true });
  const suggestions = new Suggestions();
  const middleware: Middleware = {
    ...suggestions.middleware,
    workspace: { handleApplyEdit: (params, next) => chat.applyEdit(params, next) },
    executeCommand: (command, given: unknown[], next) => actions.run(command, given, next),
  };
  const server = new Server(context, log, middleware);
  running = server;
  const status = new StatusItem(server);
  const previews = new Previews();
  const chat = new ChatView(context.extensionUri, server, status, previews, context.workspaceState);
  const ask = new Ask(server, status);
  const actions = new Actions(ask, previews, chat);
  const models = new ModelPicker(server, status);
  const panel = new ControlPanel(server);
  const on = (name: string, run: (given?: unknown) => unknown): vscode.Disposable =>
    vscode.commands.registerCommand(`nearfield.${name}`, run);
  context.subscriptions.push(
    log,
    server,
    status,
    previews,
    chat,
    panel,
    ...suggestions.attach(server, status),
    ...actions.register(),
    ...registerOffers(server),
    ...new ChatModels(server, status).register(),
    new NextEdits(server),
    ...new Reports(server).register(),
    on("commitMessage", (place) => suggestCommitMessage(ask, place)),
    on("menu", () => showMenu(server, status)),
    on("chooseModel", () => models.choose()),
    on("openPanel", () => panel.open()),
    on("chooseStrategy", () => chooseStrategy(server)),
    on("restart", () => server.restart()),
    on("setUp", () => server.setUp()),
    on("showLog", () => {
      log.show();
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => server.restart()),
  );
  await server.start();
}

/** Called by VS Code when it ends. */
export async function deactivate(): Promise<void> {
  await running?.stop();
}
