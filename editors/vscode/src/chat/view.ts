/** The chat view: what is asked goes to the server, what comes is handed on as it comes. */

import { randomBytes } from "node:crypto";

import * as vscode from "vscode";
import type {
  ApplyWorkspaceEditParams,
  ApplyWorkspaceEditRequest,
  ChangeAnnotation,
  LanguageClient,
} from "vscode-languageclient/node";

import { isCancelled } from "../actions/ask";
import type { Previews } from "../actions/preview";
import type { Server } from "../server/server";
import type { StatusItem } from "../status/item";
import {
  AllowCall,
  ChatClose,
  ChatHistory,
  ChatPrepare,
  ChatProgress,
  ChatRequest,
  type Allow,
  type CallQuestion,
  type ChatAnswer,
  type ChatKept,
  type ChatPiece,
} from "../wire";
import { applyCode, insertCode, referenceTo, type Reference } from "./code";
import { page } from "./page";
import type { FromView, ToView } from "./protocol";

export class ChatView implements vscode.WebviewViewProvider, vscode.Disposable {
  static readonly id = "nearfield.chat";

  private view: vscode.WebviewView | undefined;
  private isReady = false;
  private waiting: ToView[] = [];
  private session: string | undefined;
  /** Of which page of the view the exchanges before this start were shown. */
  private restored: vscode.WebviewView | undefined;
  private turn = 0;
  private readonly references = new Map<number, Reference>();
  private running: vscode.CancellationTokenSource | undefined;
  /** The call that was told of last. */
  private call = "";
  /** Calls whose edits were not wanted: the server only sees that they were not applied. */
  private readonly refused = new Set<string>();
  /** Whether edits were allowed for the whole chat. */
  private mayEdit = false;
  private readonly asked = new Map<string, (allow: Allow) => void>();
  private readonly disposables: vscode.Disposable[];

  constructor(
    private readonly extension: vscode.Uri,
    private readonly server: Server,
    private readonly status: StatusItem,
    private readonly previews: Previews,
    private readonly memory: vscode.Memento,
  ) {
    this.session = memory.get(LAST_CHAT);
    this.disposables = [
      vscode.window.registerWebviewViewProvider(ChatView.id, this, {
        webviewOptions: { retainContextWhenHidden: true },
      }),
      vscode.commands.registerCommand("nearfield.openChat", () => this.reveal()),
      vscode.commands.registerCommand("nearfield.clearChat", () => this.clear()),
      vscode.window.onDidChangeTextEditorSelection(() => {
        this.tellReference();
      }),
      vscode.window.onDidChangeActiveTextEditor(() => {
        this.tellReference();
      }),
      server.onWillStart((client) => {
        this.mayEdit = false;
        if (this.isReady) void this.restore(client);
        client.onRequest(AllowCall, async (question, token) => ({ allow: await this.permit(question, token) }));
      }),
    ];
  }

  dispose(): void {
    this.running?.cancel();
    for (const one of this.disposables) one.dispose();
  }

  resolveWebviewView(view: vscode.WebviewView): void {
    this.view = view;
    this.isReady = false;
    view.webview.options = {
      enableScripts: true,
      localResourceRoots: [vscode.Uri.joinPath(this.extension, "dist"), vscode.Uri.joinPath(this.extension, "media")],
    };
    view.webview.onDidReceiveMessage((message: FromView) => void this.take(message));
    view.onDidDispose(() => {
      this.view = undefined;
      this.isReady = false;
    });
    view.webview.html = page(view.webview, this.extension, randomBytes(16).toString("hex"));
  }

  /** Show the view with the cursor in its box. */
  async reveal(): Promise<void> {
    await vscode.commands.executeCommand(`${ChatView.id}.focus`);
  }

  /** Show an answer that was not asked for here, such as an explanation. */
  async tell(title: string, markdown: string, model: string): Promise<void> {
    await this.reveal();
    this.turn += 1;
    const id = this.turn;
    this.post({ kind: "begin", id, question: title, reference: "" });
    this.post({ kind: "text", id, text: markdown });
    this.post({ kind: "end", id, note: model, failed: false });
  }

  private async take(message: FromView): Promise<void> {
    switch (message.kind) {
      case "ready":
        this.isReady = true;
        for (const one of this.waiting.splice(0)) this.post(one);
        this.tellReference();
        if (this.server.client) await this.restore(this.server.client);
        return;
      case "typing":
        await this.server.client?.sendNotification(ChatPrepare, {});
        return;
      case "send":
        await this.ask(message.message, message.withSelection);
        return;
      case "stop":
        this.running?.cancel();
        return;
      case "clear":
        await this.clear();
        return;
      case "allow":
        this.asked.get(message.call)?.(message.allow);
        return;
      case "open":
        await this.open(message.reference);
        return;
      case "code":
        await this.code(message);
    }
  }

  private async ask(question: string, withSelection: boolean): Promise<void> {
    this.turn += 1;
    const id = this.turn;
    const reference = withSelection ? referenceTo(vscode.window.activeTextEditor) : undefined;
    if (reference) this.references.set(id, reference);
    this.post({ kind: "begin", id, question, reference: reference?.label ?? "" });
    const client = this.server.client;
    if (!client) {
      this.post({ kind: "end", id, note: "The server is not running.", failed: true });
      return;
    }
    const source = new vscode.CancellationTokenSource();
    this.running = source;
    try {
      const answer = await this.status.during(this.request(client, id, question, reference, source.token));
      await this.remember(answer.session);
      const model = answer.model || answer.provider;
      const notes = [model, finishes[answer.finish], answer.wrong, ...(answer.notes ?? [])];
      const note = notes.filter(Boolean).join(" · ");
      this.post({ kind: "end", id, note, failed: false });
    } catch (error) {
      const stopped = source.token.isCancellationRequested || isCancelled(error);
      const note = stopped ? "Stopped." : error instanceof Error ? error.message : String(error);
      this.post({ kind: "end", id, note, failed: !stopped });
    } finally {
      for (const settle of this.asked.values()) settle("no");
      this.running = undefined;
      source.dispose();
    }
  }

  private async request(
    client: LanguageClient,
    id: number,
    message: string,
    reference: Reference | undefined,
    token: vscode.CancellationToken,
  ): Promise<ChatAnswer> {
    const partialResultToken = `nearfield-chat-${randomBytes(8).toString("hex")}`;
    let streamed = "";
    const progress = client.onProgress(ChatProgress, partialResultToken, (piece) => {
      if (piece.kind === "text") streamed += piece.text;
      if (piece.kind === "restart") streamed = "";
      if (piece.kind === "call") this.call = piece.id;
      this.post(piecesFor(id, piece, this.refused));
    });
    try {
      const answer = await client.sendRequest(
        ChatRequest,
        {
          message,
          partialResultToken,
          ...(this.session ? { session: this.session } : {}),
          ...(reference ? { textDocument: { uri: reference.uri.toString() }, ...reference.place } : {}),
          // In a workspace that is not trusted a model may call nothing.
          ...(vscode.workspace.isTrusted ? {} : { allowedFunctions: [] }),
        },
        token,
      );
      if (!streamed) this.post({ kind: "text", id, text: answer.text });
      return answer;
    } finally {
      progress.dispose();
    }
  }

  /** Ask in the view whether a call may be made; a view that is not there is opened. */
  private async permit(question: Pick<CallQuestion, "id" | "title" | "eachTime">, token: vscode.CancellationToken): Promise<Allow> {
    const { id: call, title, eachTime = false } = question;
    if (!vscode.workspace.isTrusted || !this.running) return "no";
    if (!this.view?.visible) await this.reveal();
    return new Promise((resolve) => {
      const settle = (allow: Allow): void => {
        this.asked.delete(call);
        resolve(allow);
      };
      this.asked.set(call, settle);
      token.onCancellationRequested(() => {
        settle("no");
      });
      this.post({ kind: "ask", id: this.turn, call, title, eachTime });
    });
  }

  /** An edit of the server. One that wants a yes, while it answers here, is asked about here. */
  async applyEdit(
    params: ApplyWorkspaceEditParams,
    next: ApplyWorkspaceEditRequest.HandlerSignature,
  ): Promise<Awaited<ReturnType<ApplyWorkspaceEditRequest.HandlerSignature>>> {
    const notes = Object.entries(params.edit.changeAnnotations ?? {});
    const never = new vscode.CancellationTokenSource().token;
    if (!this.running || !notes.some(([, note]) => note.needsConfirmation)) return next(params, never);
    const question = { id: this.call, title: `${params.label ?? "Change files"}?` };
    if (!this.mayEdit) {
      const allow = await this.permit(question, this.running.token);
      if (allow === "no") {
        this.refused.add(this.call);
        return { applied: false };
      }
      this.mayEdit = allow === "session";
    }
    const agreed = notes.map(([id, note]): [string, ChangeAnnotation] => [id, { ...note, needsConfirmation: false }]);
    const changeAnnotations = Object.fromEntries(agreed);
    const dirty = new Set(vscode.workspace.textDocuments.filter((one) => one.isDirty));
    const result = await next({ ...params, edit: { ...params.edit, changeAnnotations } }, never);
    // Who has said yes to a change of files expects it in the files; what was unsaved stays so.
    for (const document of vscode.workspace.textDocuments) {
      if (document.isDirty && !dirty.has(document)) await document.save();
    }
    return result;
  }

  private async clear(): Promise<void> {
    this.running?.cancel();
    const session = this.session;
    await this.remember(undefined);
    this.references.clear();
    this.mayEdit = false;
    this.post({ kind: "clear" });
    if (session) await this.server.client?.sendRequest(ChatClose, { session });
  }

  /** Show what was said in this workspace's chat before, unless something else is shown already. */
  private async restore(client: LanguageClient): Promise<void> {
    const { session, turn, view } = this;
    if (!session || this.running || this.restored === view) return;
    this.restored = view;
    let kept: ChatKept;
    try {
      kept = await client.sendRequest(ChatHistory, { session });
    } catch {
      return; // It is not kept (any more); a question begins it anew.
    }
    if (this.turn !== turn || this.session !== session) return;
    for (const { question, answer, model } of kept.exchanges) {
      this.turn += 1;
      const id = this.turn;
      this.post({ kind: "begin", id, question, reference: "" });
      this.post({ kind: "text", id, text: answer });
      this.post({ kind: "end", id, note: model, failed: false });
    }
  }

  private async remember(session: string | undefined): Promise<void> {
    this.session = session;
    await this.memory.update(LAST_CHAT, session);
  }

  private async code({ how, id, code }: Extract<FromView, { kind: "code" }>): Promise<void> {
    if (how === "copy") await vscode.env.clipboard.writeText(code);
    else if (how === "insert") await insertCode(code);
    else await applyCode(code, this.references.get(id), this.previews, how === "diff");
  }

  private async open(label: string): Promise<void> {
    const reference = [...this.references.values()].find((one) => one.label === label);
    if (!reference) return;
    await vscode.window.showTextDocument(reference.uri, { selection: reference.range });
  }

  private tellReference(): void {
    if (this.isReady) this.post({ kind: "reference", text: referenceTo(vscode.window.activeTextEditor)?.label ?? "" });
  }

  private post(message: ToView): void {
    if (this.view && this.isReady) void this.view.webview.postMessage(message);
    else this.waiting.push(message);
  }
}

/** Where the id of a workspace's chat is remembered. */
const LAST_CHAT = "nearfield.lastChat";

/** What is said of an answer that did not end by itself. */
const finishes: Readonly<Record<string, string>> = {
  length: "cut at the length limit",
  cancelled: "stopped",
  deadline: "cut at the time limit",
};

function piecesFor(id: number, piece: ChatPiece, refused: ReadonlySet<string>): ToView {
  if (piece.kind !== "call") return { ...piece, id };
  return {
    kind: "call",
    id,
    call: piece.id,
    name: piece.name,
    arguments: asText(piece.arguments),
    state: refused.has(piece.id) ? "denied" : piece.state,
    result: asText(piece.result),
  };
}

function asText(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value, undefined, 2);
}
