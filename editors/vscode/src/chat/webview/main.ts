/** The chat view's script: draws what the extension says, and tells it what the user does. */

import type { FromView, ToView } from "../protocol";
import { render } from "./markdown";

declare function acquireVsCodeApi(): { postMessage(message: FromView): void };

const vscode = acquireVsCodeApi();
const log = element("log");
const box = element("box") as HTMLTextAreaElement;
const form = element("form") as HTMLFormElement;
const send = element("send") as HTMLButtonElement;
const withSelection = element("with") as HTMLInputElement;

interface Turn {
  readonly root: HTMLElement;
  readonly calls: Map<string, HTMLElement>;
  /** The part that text goes to; a call between two texts begins a new one. */
  part: { readonly node: HTMLElement; text: string } | undefined;
}

const turns = new Map<number, Turn>();
let running = false;
let drawing = false;
const dirty = new Map<HTMLElement, { text: string; id: number }>();

window.addEventListener("message", ({ data }: MessageEvent<ToView>) => {
  const stick = atEnd();
  take(data);
  if (stick) scrollToEnd();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
box.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    if (!running) submit();
  }
  if (event.key === "Escape" && running) vscode.postMessage({ kind: "stop" });
});
box.addEventListener("input", () => {
  grow();
  if (box.value && !isTyping) vscode.postMessage({ kind: "typing" });
  isTyping = box.value !== "";
});
element("clear").addEventListener("click", () => {
  vscode.postMessage({ kind: "clear" });
});
window.addEventListener("focus", () => {
  box.focus();
});
/** Whether the box holds the beginning of a question. */
let isTyping = false;
vscode.postMessage({ kind: "ready" });
box.focus();

function submit(): void {
  if (running) {
    vscode.postMessage({ kind: "stop" });
    return;
  }
  const message = box.value.trim();
  if (!message) return;
  vscode.postMessage({ kind: "send", message, withSelection: withSelection.checked });
  box.value = "";
  isTyping = false;
  grow();
}

function take(message: ToView): void {
  switch (message.kind) {
    case "begin":
      begin(message);
      return;
    case "reference":
      element("reference").textContent = message.text;
      element("context").hidden = message.text === "";
      return;
    case "clear":
      log.replaceChildren();
      turns.clear();
      setRunning(false);
      return;
  }
  const turn = turns.get(message.id);
  if (!turn) return;
  switch (message.kind) {
    case "text":
      addText(turn, message.id, message.text);
      return;
    case "restart":
      for (const node of turn.root.querySelectorAll(".text")) node.remove();
      turn.part = undefined;
      return;
    case "call":
      showCall(turn, message);
      return;
    case "ask":
      askAbout(turn, message);
      return;
    case "end":
      end(turn, message);
  }
}

function begin({ id, question, reference }: Extract<ToView, { kind: "begin" }>): void {
  document.getElementById("hello")?.remove();
  const asked = make("div", "question", question);
  if (reference) {
    const chip = make("button", "reference", reference) as HTMLButtonElement;
    chip.addEventListener("click", () => {
      vscode.postMessage({ kind: "open", reference });
    });
    asked.append(chip);
  }
  const root = make("div", "answer working");
  log.append(asked, root);
  turns.set(id, { root, calls: new Map(), part: undefined });
  setRunning(true);
  scrollToEnd();
}

function addText(turn: Turn, id: number, text: string): void {
  if (!turn.part) {
    const node = make("div", "text");
    turn.root.append(node);
    turn.part = { node, text: "" };
  }
  turn.part.text += text;
  dirty.set(turn.part.node, { text: turn.part.text, id });
  if (drawing) return;
  drawing = true;
  // Several pieces come within a frame; they are drawn once.
  requestAnimationFrame(draw);
}

function draw(): void {
  drawing = false;
  const stick = atEnd();
  for (const [node, { text, id }] of dirty) {
    node.replaceChildren(render(text, (code) => toolbar(id, code)));
  }
  dirty.clear();
  if (stick) scrollToEnd();
}

function toolbar(id: number, code: string): HTMLElement {
  const bar = make("div", "toolbar");
  for (const how of ["copy", "insert", "diff", "apply"] as const) {
    const button = make("button", "quiet", LABELS[how]);
    button.title = HINTS[how];
    button.addEventListener("click", () => {
      vscode.postMessage({ kind: "code", how, id, code });
    });
    bar.append(button);
  }
  return bar;
}

const LABELS = { copy: "Copy", insert: "Insert", diff: "Diff", apply: "Apply" } as const;

const HINTS = {
  copy: "Copy to the clipboard",
  insert: "Put it at the cursor",
  diff: "Compare with the file",
  apply: "Preview it in the file, then accept or discard",
} as const;

const STATES = {
  asking: "wants to run",
  running: "running…",
  done: "done",
  denied: "denied",
  failed: "failed",
} as const;

function cardOf(turn: Turn, call: string): HTMLElement {
  let card = turn.calls.get(call);
  if (!card) {
    card = make("div", "call");
    turn.calls.set(call, card);
    turn.root.append(card);
    turn.part = undefined;
  }
  return card;
}

function showCall(turn: Turn, message: Extract<ToView, { kind: "call" }>): void {
  const card = cardOf(turn, message.call);
  card.dataset["state"] = message.state;
  const head = make("div", "head");
  head.append(make("code", "", message.name), make("span", "state", STATES[message.state]));
  const asking = message.state === "asking" ? card.querySelector(".permission") : null;
  card.replaceChildren(head);
  for (const [title, text] of [["Arguments", message.arguments], ["Result", message.result]] as const) {
    if (text && text !== "{}") card.append(details(title, text, message.state === "asking"));
  }
  if (asking) card.append(asking);
}

function askAbout(turn: Turn, { call, title, eachTime }: Extract<ToView, { kind: "ask" }>): void {
  const card = cardOf(turn, call);
  card.dataset["state"] = "asking";
  const shown = card.querySelector("details");
  if (shown) shown.open = true;
  const state = card.querySelector(".state");
  if (state) state.textContent = STATES.asking;
  const row = make("div", "permission");
  row.append(make("div", "title", title));
  for (const [allow, label] of [["once", "Allow"], ["session", "Allow in this chat"], ["no", "Deny"]] as const) {
    if (eachTime && allow === "session") continue;
    const button = make("button", allow === "once" ? "" : "quiet", label);
    button.addEventListener("click", () => {
      row.remove();
      if (card.dataset["state"] === "asking" && allow !== "no") card.dataset["state"] = "running";
      vscode.postMessage({ kind: "allow", call, allow });
    });
    row.append(button);
  }
  card.append(row);
  row.scrollIntoView({ block: "nearest" });
}

function end(turn: Turn, { note, failed }: Extract<ToView, { kind: "end" }>): void {
  turn.root.classList.remove("working");
  turn.root.querySelectorAll(".permission").forEach((row) => {
    row.remove();
  });
  if (note) turn.root.append(make("div", failed ? "note failed" : "note", note));
  setRunning(false);
}

function details(title: string, text: string, open: boolean): HTMLElement {
  const node = make("details", "") as HTMLDetailsElement;
  node.open = open;
  node.append(make("summary", "", title), make("pre", "", text));
  return node;
}

function setRunning(now: boolean): void {
  running = now;
  send.textContent = now ? "Stop" : "Send";
  send.classList.toggle("quiet", now);
}

function grow(): void {
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight, 200)}px`;
}

function atEnd(): boolean {
  return log.scrollHeight - log.scrollTop - log.clientHeight < 40;
}

function scrollToEnd(): void {
  log.scrollTop = log.scrollHeight;
}

function make(tag: string, className: string, text = ""): HTMLElement {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no #${id}.`);
  return found;
}
