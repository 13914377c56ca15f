/** Finds, starts, watches and restarts the language server. */

import * as os from "node:os";
import * as path from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

import * as vscode from "vscode";
import {
  CloseAction,
  ErrorAction,
  LanguageClient,
  ShowMessageNotification,
  State as ClientState,
  TransportKind,
  type ErrorHandler,
  type LanguageClientOptions,
  type Middleware,
  type StaticFeature,
} from "vscode-languageclient/node";

import { openSettings, serverPath, serverSettings } from "../settings/sources";
import type { Life } from "../status/words";
import { FOLLOWED } from "../documents";
import { run, type Outcome, type RunOptions } from "./command";
import { make } from "./environment";
import { find, ServerProblem, type Found } from "./find";
import { activePython } from "./python";

/** After so many ends within the time the server is left alone until the user says so. */
const MAX_ENDS = 5;
const WITHIN_MS = 3 * 60_000;

export class Server implements vscode.Disposable {
  /** The running client; undefined while there is none. */
  client: LanguageClient | undefined;
  life: Life = "searching";
  /** Why there is none, for the user. */
  problem = "";

  private readonly changed = new vscode.EventEmitter<Life>();
  readonly onDidChange = this.changed.event;
  private readonly started = new vscode.EventEmitter<LanguageClient>();
  /** Each client before it starts: whoever listens adds its handlers. */
  readonly onWillStart = this.started.event;

  private found: Found | undefined;
  private ends: number[] = [];
  private settingUp: Promise<void> | undefined;
  private busy: Promise<void> = Promise.resolve();
  private settingsListener: vscode.Disposable | undefined;

  constructor(
    private readonly context: vscode.ExtensionContext,
    readonly log: vscode.LogOutputChannel,
    private readonly middleware: Middleware,
  ) {}

  /** Find and start it, or say what is missing. One at a time. */
  start(): Promise<void> {
    return this.inTurn(() => this.startNow());
  }

  /** End the server and start it anew, also after it was given up. */
  restart(): Promise<void> {
    return this.inTurn(async () => {
      this.ends = [];
      await this.stopNow();
      await this.startNow();
    });
  }

  stop(): Promise<void> {
    return this.inTurn(() => this.stopNow());
  }

  dispose(): void {
    this.settingsListener?.dispose();
    this.changed.dispose();
    this.started.dispose();
  }

  /** Run `nearfield ...` with the server's own program. Rejects with a `ServerProblem` for none. */
  async cli(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const found = this.found ?? (await this.look());
    if (!found) throw new ServerProblem("Nearfield's server is not installed.", false);
    const cwd = vscode.workspace.isTrusted ? folder() : undefined;
    return run(found.command, args, { cwd: cwd ?? os.homedir(), ...options });
  }

  /** Tell the server that settings may have changed, those in its own files included. */
  async reread(): Promise<void> {
    await this.client?.sendNotification("workspace/didChangeConfiguration", { settings: null });
  }

  /** Make the extension's own environment, with progress and a way to cancel, and start it. Who
   * asks again while it is made waits for the same. */
  setUp(): Promise<void> {
    this.settingUp ??= this.setUpNow().finally(() => {
      this.settingUp = undefined;
    });
    return this.settingUp;
  }

  private async setUpNow(): Promise<void> {
    const options = {
      location: vscode.ProgressLocation.Notification,
      title: "Nearfield: installing the server",
      cancellable: true,
    };
    const { life, problem } = this;
    if (!this.client) this.become("installing");
    try {
      await vscode.window.withProgress(options, async (progress, token) => {
        const abort = new AbortController();
        token.onCancellationRequested(() => {
          abort.abort();
        });
        await make({
          folder: this.ownFolder,
          wheels: this.context.asAbsolutePath("server"),
          signal: abort.signal,
          say: (message) => {
            progress.report({ message });
          },
          log: (line) => {
            this.log.info(line);
          },
        });
      });
    } catch (error) {
      if (!(error instanceof Error && error.name === "AbortError")) await this.fail(error);
      else if (!this.client) this.become(life, problem);
      return;
    }
    await this.restart();
  }

  private get ownFolder(): string {
    return path.join(this.context.globalStorageUri.fsPath, "server");
  }

  private async look(): Promise<Found | undefined> {
    const trusted = vscode.workspace.isTrusted;
    return find({
      setting: serverPath(),
      python: trusted ? await activePython() : undefined,
      path: process.env["PATH"] ?? "",
      own: this.ownFolder,
      forbidden: trusted ? [] : folders(),
      passedOver: (command, why) => {
        this.log.warn(`${command} is not a Nearfield server: ${why}`);
      },
    });
  }

  private async startNow(): Promise<void> {
    if (this.client) return;
    this.become("searching");
    try {
      this.found = await this.look();
      if (!this.found) {
        this.become("missing", "Nearfield's server is not installed.");
        void this.offerToSetUp();
        return;
      }
      const { command, version, source } = this.found;
      this.log.info(`nearfield ${version} from ${source}: ${command}`);
      this.become("starting");
      await this.run(command);
    } catch (error) {
      await this.stopNow();
      await this.fail(error);
    }
  }

  private async run(command: string): Promise<void> {
    const client = new LanguageClient(
      "nearfield",
      "Nearfield",
      { command, args: ["serve"], transport: TransportKind.stdio },
      this.clientOptions(),
    );
    client.registerFeature(EXPERIMENTAL);
    this.client = client;
    client.onDidChangeState(({ newState }) => {
      if (this.client !== client) return;
      if (newState === ClientState.Starting) this.become("starting");
      if (newState === ClientState.Running) void this.begun(client);
    });
    this.started.fire(client);
    await client.start();
    this.settingsListener?.dispose();
    this.settingsListener = vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("nearfield.server")) void this.restart();
      else if (event.affectsConfiguration("nearfield")) void this.reread();
    });
  }

  /** "Running" comes when the server has answered, before it is told that it may begin. */
  private async begun(client: LanguageClient): Promise<void> {
    try {
      await client.start();
    } catch {
      return; // Whoever started it is told the same.
    }
    if (this.client !== client) return;
    // The client's own handler, which this replaces, cannot offer what to do.
    client.onNotification(ShowMessageNotification.type, ({ message }) => {
      void this.show(message);
    });
    this.become("running");
  }

  private clientOptions(): LanguageClientOptions {
    return {
      documentSelector: FOLLOWED.map((scheme) => ({ scheme })),
      initializationOptions: serverSettings(this.context),
      outputChannel: this.log,
      stdioOptions: { stdout: toLog, stderr: toLog },
      initializationFailedHandler: () => false,
      errorHandler: this.errorHandler(),
      middleware: {
        ...this.middleware,
        workspace: {
          ...this.middleware.workspace,
          configuration: (params) =>
            params.items.map(({ section }) =>
              section === "nearfield" ? serverSettings(this.context) : null,
            ),
        },
      },
    };
  }

  private errorHandler(): ErrorHandler {
    return {
      error: () => ({ action: ErrorAction.Continue, handled: true }),
      closed: () => {
        const now = Date.now();
        this.ends = [...this.ends.filter((end) => now - end < WITHIN_MS), now];
        this.log.warn("The server has ended.");
        if (this.ends.length < MAX_ENDS) return { action: CloseAction.Restart, handled: true };
        this.client = undefined;
        void this.fail(
          new ServerProblem(`The server has ended ${MAX_ENDS} times in a row; its log says why.`, false),
        );
        return { action: CloseAction.DoNotRestart, handled: true };
      },
    };
  }

  private async stopNow(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    this.settingsListener?.dispose();
    if (client) {
      try {
        await client.dispose();
      } catch (error) {
        // It ended before it was told to.
        this.log.info(`The server was gone already: ${String(error)}`);
      }
    }
    this.become("stopped");
  }

  private become(life: Life, problem = ""): void {
    if (life !== this.life) this.log.info(`the server is ${life}`);
    this.life = life;
    this.problem = problem;
    void vscode.commands.executeCommand("setContext", "nearfield.running", life === "running");
    this.changed.fire(life);
  }

  private async fail(error: unknown): Promise<void> {
    const message = error instanceof Error ? error.message : String(error);
    this.log.error(message);
    this.become("failed", message);
    const setting = error instanceof ServerProblem && error.setting;
    const choices = setting ? ["Open Setting", "Install Server"] : ["Try Again", "Show Log"];
    const chosen = await vscode.window.showErrorMessage(`Nearfield: ${message}`, ...choices);
    if (chosen === "Open Setting") await openSettings("nearfield.server.path");
    if (chosen === "Install Server") {
      const settings = vscode.workspace.getConfiguration("nearfield");
      await settings.update("server.path", undefined, vscode.ConfigurationTarget.Global);
      await this.setUp();
    }
    if (chosen === "Try Again") await this.restart();
    if (chosen === "Show Log") this.log.show();
  }

  private async offerToSetUp(): Promise<void> {
    const chosen = await vscode.window.showInformationMessage(
      "Nearfield's server is not installed. Install it into an environment of its own? " +
        "It takes about 500 MB and needs Python 3.11 or newer.",
      "Install",
      "Choose a Program…",
    );
    if (chosen === "Install") await this.setUp();
    if (chosen === "Choose a Program…") await openSettings("nearfield.server.path");
  }

  /** What the server says to the user, with what can be done about it. */
  private async show(message: string): Promise<void> {
    // VS Code puts all on one line, where one could not tell them apart.
    message = message.replace(":\n", ": ").replaceAll("\n", " • ");
    const settings = message.includes("settings");
    const model = /model/i.test(message) && !settings;
    const choice = settings ? "Open Settings" : model ? "Choose a Model…" : "Show Log";
    const chosen = await vscode.window.showWarningMessage(message, choice);
    if (chosen === "Open Settings") await openSettings();
    if (chosen === "Choose a Model…") await vscode.commands.executeCommand("nearfield.chooseModel");
    if (chosen === "Show Log") this.log.show();
  }

  private inTurn(work: () => Promise<void>): Promise<void> {
    this.busy = this.busy.then(work, work);
    return this.busy;
  }
}

/** What the server says of itself, each line at its own level. */
function toLog(input: Readable, log: vscode.LogOutputChannel): void {
  createInterface({ input, crlfDelay: Infinity }).on("line", (line) => {
    const [, level = "INFO", text = line] = /^[\d:.,]+ (DEBUG|INFO|WARNING|ERROR) (.*)$/.exec(line) ?? [];
    if (level === "ERROR") log.error(text);
    else if (level === "WARNING") log.warn(text);
    else if (level === "DEBUG") log.debug(text);
    else log.info(text);
  });
}

/** What we can do beyond LSP. */
const EXPERIMENTAL: StaticFeature = {
  fillClientCapabilities: (capabilities) => {
    capabilities.experimental = {
      nearfieldOffers: true,
      nearfieldChat: true,
      nearfieldInput: true,
      nearfieldPanel: true,
      nearfieldNextEdits: true,
    };
  },
  initialize: () => undefined,
  getState: () => ({ kind: "static" }),
  clear: () => undefined,
};

function folders(): string[] {
  return (vscode.workspace.workspaceFolders ?? [])
    .filter(({ uri }) => uri.scheme === "file")
    .map(({ uri }) => uri.fsPath);
}

function folder(): string | undefined {
  return folders()[0];
}
