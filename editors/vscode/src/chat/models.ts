/** Our chat models in VS Code's own model picker. The server asks for consent as for any chat; tools and
 * images are not taken. */

import { randomBytes } from "node:crypto";

import * as vscode from "vscode";

import type { Server } from "../server/server";
import type { StatusItem } from "../status/item";
import { ChatDelete, ChatProgress, ChatRequest } from "../wire";
import { asMessage, tokensIn, type Said } from "./messages";

const VENDOR = "nearfield";
const ROLES = ["code", "fast", "large"];
const INPUT_TOKENS = 3000;
const OUTPUT_TOKENS = 1024;

export class ChatModels implements vscode.LanguageModelChatProvider {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeLanguageModelChatInformation = this.changed.event;
  private known = "";

  constructor(
    private readonly server: Server,
    private readonly status: StatusItem,
  ) {}

  /** Offer the models, where this VS Code has a picker for them. */
  register(): vscode.Disposable[] {
    const api: Partial<typeof vscode.lm> = vscode.lm;
    if (!api.registerLanguageModelChatProvider) return [];
    const following = this.status.onDidTake(() => {
      const now = JSON.stringify(this.provideLanguageModelChatInformation());
      if (now !== this.known) this.changed.fire();
      this.known = now;
    });
    return [this.changed, following, api.registerLanguageModelChatProvider(VENDOR, this)];
  }

  provideLanguageModelChatInformation(): vscode.LanguageModelChatInformation[] {
    const served = (this.status.status?.roles ?? []).filter(({ role, model }) => ROLES.includes(role) && model !== "");
    return served.map(({ role, model, provider, local }) => ({
      id: role,
      name: `Nearfield: ${model}`,
      family: model,
      version: "1",
      detail: local === false ? provider : "on this machine",
      tooltip: `The role "${role}", served by ${provider}`,
      maxInputTokens: INPUT_TOKENS,
      maxOutputTokens: OUTPUT_TOKENS,
      capabilities: { imageInput: false, toolCalling: false },
    }));
  }

  async provideLanguageModelChatResponse(
    model: vscode.LanguageModelChatInformation,
    messages: readonly vscode.LanguageModelChatRequestMessage[],
    options: vscode.ProvideLanguageModelChatResponseOptions,
    progress: vscode.Progress<vscode.LanguageModelResponsePart>,
    token: vscode.CancellationToken,
  ): Promise<void> {
    if (options.toolMode === vscode.LanguageModelChatToolMode.Required) {
      throw new Error("Nearfield's models take no tools from VS Code's chat.");
    }
    const client = this.server.client;
    if (!client) throw new Error("Nearfield's server is not running.");
    const partialResultToken = `nearfield-model-${randomBytes(8).toString("hex")}`;
    let streamed = "";
    const listening = client.onProgress(ChatProgress, partialResultToken, (piece) => {
      if (piece.kind !== "text") return;
      streamed += piece.text;
      progress.report(new vscode.LanguageModelTextPart(piece.text));
    });
    try {
      const answer = await client.sendRequest(
        ChatRequest,
        { message: asMessage(messages.map(said)), role: model.id, allowedFunctions: [], partialResultToken },
        token,
      );
      if (!streamed) progress.report(new vscode.LanguageModelTextPart(answer.text));
      // VS Code keeps its own chats.
      await client.sendRequest(ChatDelete, { session: answer.session });
    } finally {
      listening.dispose();
    }
  }

  provideTokenCount(
    _model: vscode.LanguageModelChatInformation,
    text: string | vscode.LanguageModelChatRequestMessage,
  ): Promise<number> {
    return Promise.resolve(tokensIn(typeof text === "string" ? text : said(text).text));
  }
}

/** A message's text. Images and results of tools have no place in it, and are refused. */
function said(message: vscode.LanguageModelChatRequestMessage): Said {
  const texts = message.content.map((part) => {
    if (part instanceof vscode.LanguageModelTextPart) return part.value;
    // Other data are notes for other vendors, such as what they may cache.
    if (part instanceof vscode.LanguageModelDataPart && !part.mimeType.startsWith("image/")) return "";
    throw new Error("Nearfield's models take text alone: no images and no results of tools.");
  });
  const isUser = message.role === vscode.LanguageModelChatMessageRole.User;
  return { role: isUser ? "user" : "assistant", text: texts.join("") };
}
