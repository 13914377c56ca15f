/** What the server says and is asked beyond LSP; ARCHITECTURE.md has the table. */

import type { Position, Range, TextDocumentIdentifier, WorkspaceEdit } from "vscode-languageclient";
import {
  NotificationType,
  ProgressType,
  RequestType,
  type ProgressToken,
} from "vscode-languageclient";

export type State = "starting" | "loading" | "ready" | "unavailable" | "paused";

export interface Role {
  readonly role: string;
  /** "" where nobody serves it. */
  readonly provider: string;
  readonly model: string;
  /** Whether nothing that the role is told leaves this machine. */
  readonly local?: boolean;
  readonly others: readonly { readonly provider: string; readonly why: string }[];
}

export interface IndexState {
  readonly state: string;
  readonly detail: string;
  readonly done: number;
  readonly total: number;
  readonly files: number;
}

export interface Status {
  readonly state: State;
  readonly detail: string;
  /** 0..1 while a model loads. */
  readonly progress: number | null;
  readonly provider: string;
  readonly model: string;
  readonly roles: readonly Role[];
  readonly index?: IndexState;
  /** What became of the last completion; null where there was none. */
  readonly last?: Last | null;
}

export interface Last {
  /** Empty when a suggestion was shown. */
  readonly reason: string;
  readonly sentence: string;
  readonly advice: string;
}

export interface Offer {
  readonly id: string;
  readonly message: string;
  readonly provider: string;
  readonly model: string;
  readonly task: string;
  readonly workspace: string;
  readonly reason: string;
  readonly bytes: number;
  readonly files: readonly string[];
  readonly redactions: readonly { readonly kind: string; readonly count: number }[];
  /** US dollars; null where it is not known. */
  readonly price: number | null;
  readonly warning: string;
}

export interface Consent {
  readonly workspace: string;
  readonly provider: string;
  readonly destination: string;
  readonly consent: string;
  readonly at: number | string;
}

export type CallState = "asking" | "running" | "done" | "denied" | "failed";

export type ChatPiece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "restart" }
  | {
      readonly kind: "call";
      readonly id: string;
      readonly name: string;
      readonly arguments: unknown;
      readonly state: CallState;
      readonly result?: unknown;
    };

export interface ChatParams {
  readonly session?: string;
  readonly message: string;
  readonly textDocument?: TextDocumentIdentifier;
  readonly position?: Position;
  readonly range?: Range;
  readonly allowedFunctions?: readonly string[];
  readonly role?: string;
  readonly partialResultToken?: ProgressToken;
}

export interface ChatAnswer {
  readonly session: string;
  readonly text: string;
  readonly provider: string;
  readonly model: string;
  readonly finish: string;
  /** What is wrong with the answer, "" for nothing. */
  readonly wrong?: string;
  readonly notes?: readonly string[];
}

/** A chat that is kept on disk. */
export interface ChatKept {
  readonly exchanges: readonly { readonly question: string; readonly answer: string; readonly model: string }[];
}

export interface CommitMessages {
  readonly messages: readonly string[];
  readonly notes: readonly string[];
}

export interface CallQuestion {
  readonly session: string;
  readonly id: string;
  readonly name: string;
  readonly arguments: unknown;
  readonly title: string;
  /** Whether it is to be asked each time: a yes for the session is not taken. */
  readonly eachTime?: boolean;
}

export type Allow = "once" | "session" | "no";

export interface Preview {
  readonly edit: WorkspaceEdit | null;
  readonly diff: string;
}

export interface Review {
  readonly findings: number;
  readonly error: string;
  readonly model: string;
}

export interface NextEdit {
  readonly text: string;
  readonly range: Range;
  /** Run when it was made; its argument is the edit's id. */
  readonly command: { readonly command: string; readonly arguments: readonly unknown[] };
}

/** What is left to be changed in the nearest other file. */
export interface Jump {
  readonly id: string;
  /** For the user. */
  readonly title: string;
  /** Why it is not for us to go there; "" where it is. */
  readonly advice: string;
  readonly uri: string;
  readonly range: Range;
  /** Null where there is only advice. */
  readonly command: unknown;
}

/** The edit that is nearest, null for none, how many more there are in its file, and what is left in
 * others. */
export interface NextEditAnswer {
  readonly edit: NextEdit | null;
  readonly others: number;
  readonly jump?: Jump | null;
}

/** A role that a model can be picked for, and who serves it now. */
export interface RolePick {
  readonly role: string;
  readonly does: string;
  /** "" where nobody serves it. */
  readonly provider: string;
  readonly model: string;
  readonly local: boolean;
}

export interface ModelPick {
  /** What picks it. */
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly current: boolean;
  readonly recommended: boolean;
  /** Whether it has to be fetched first. */
  readonly missing: boolean;
  /** Why it cannot be picked here, "" where it can. */
  readonly refused: string;
}

export interface PickGroup {
  readonly provider: string;
  readonly title: string;
  readonly local: boolean;
  /** Why it did not say which models it has, "" where it did. */
  readonly problem: string;
  readonly models: readonly ModelPick[];
}

export interface Picks {
  readonly roles: readonly RolePick[];
  readonly role: string;
  readonly groups: readonly PickGroup[];
}

export interface UsedModel {
  readonly role: string;
  readonly model: string;
  readonly missing: boolean;
  readonly outside: boolean;
  /** What counts more than the choice, "" for nothing. */
  readonly note: string;
}

export const ModelList = new RequestType<{ role?: string }, Picks, void>("nearfield/models/list");
export const UseModel = new RequestType<{ role: string; name: string }, UsedModel, void>(
  "nearfield/models/use",
);
export const StatusRequest = new RequestType<{ workspace?: string }, Status, void>(
  "nearfield/status",
);
export const StatusChanged = new NotificationType<Status>("nearfield/status");
export const Offered = new NotificationType<Offer>("nearfield/offer");
export const ChatRequest = new RequestType<ChatParams, ChatAnswer, void>("nearfield/chat");
export const ChatClose = new RequestType<{ session: string }, unknown, void>("nearfield/chat/close");
export const ChatDelete = new RequestType<{ session: string }, unknown, void>("nearfield/chat/delete");
export const ChatHistory = new RequestType<{ session: string }, ChatKept, void>("nearfield/chat/history");
export const CommitMessage = new RequestType<{ workspace: string; count: number }, CommitMessages, void>(
  "nearfield/commitMessage",
);
export const ChatPrepare = new NotificationType<object>("nearfield/chat/prepare");
export const ChatProgress = new ProgressType<ChatPiece>();
export const AllowCall = new RequestType<CallQuestion, { allow: Allow }, void>(
  "nearfield/allowCall",
);

/** A suggestion as the server sent it; its id is the first argument of its command. */
export interface ShownItem {
  readonly item: { readonly command: { readonly arguments: readonly unknown[] } };
  readonly acceptedLength?: number;
}

export const DidShow = new NotificationType<ShownItem>("textDocument/didShowCompletion");
export const DidShowEdit = new NotificationType<ShownItem>("textDocument/didShowInlineEdit");
export const DidAcceptPart = new NotificationType<ShownItem>(
  "textDocument/didPartiallyAcceptCompletion",
);
