/**
 * Next edits: what an edit has left to be changed elsewhere is shown when the user rests; one key
 * goes there, and then makes it. What is shown is gone as soon as its document changes.
 */

import * as vscode from "vscode";
import { ExecuteCommandRequest, type LanguageClient } from "vscode-languageclient/node";

import { isCancelled, say } from "../actions/ask";
import { plainPosition } from "../actions/place";
import { FOLLOWED } from "../documents";
import type { Server } from "../server/server";
import { DidShowEdit, type Jump, type NextEdit, type NextEditAnswer } from "../wire";
import { draw, drawAtEdge, erase, isAt, type Change } from "./nextEditView";

/** A pause in typing after which it is looked whether there is something to show. */
const REST_MS = 400;
/** How long the status bar says that there is nothing. */
const SAID_MS = 4000;
const NO_LINE = -1;
/** True while a next edit is shown in the editor that has the keys. */
const SHOWN = "nearfield.nextEdit";

interface Shown {
  readonly editor: vscode.TextEditor;
  readonly version: number;
  /** An edit of this document, or a place in another file. */
  readonly what: Edit | Jump;
}

interface Edit extends Change {
  readonly edit: NextEdit;
}

/** A jump has an `edit` too, of another file. */
function isHere(what: Edit | Jump): what is Edit {
  return "others" in what;
}

export class NextEdits implements vscode.Disposable {
  private shown: Shown | undefined;
  private timer: NodeJS.Timeout | undefined;
  private asking: vscode.CancellationTokenSource | undefined;
  /** The line from which a version was asked about last: it is asked again from another one. */
  private asked: { readonly version: number; readonly line: number } | undefined;
  private readonly disposables: vscode.Disposable[];

  constructor(private readonly server: Server) {
    this.disposables = [
      vscode.commands.registerCommand("nearfield.do.nextEdit", () => this.go()),
      vscode.commands.registerCommand("nearfield.takeNextEdit", () => this.take()),
      vscode.commands.registerCommand("nearfield.dismissNextEdit", () => this.dismiss()),
      vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        if (contentChanges.length === 0) return;
        if (document === this.shown?.editor.document) this.hide();
        if (document === vscode.window.activeTextEditor?.document) this.soon();
      }),
      vscode.window.onDidChangeActiveTextEditor(() => {
        this.hide();
        this.soon();
      }),
      vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => {
        if (textEditor === this.shown?.editor) this.draw();
        else if (this.hasMovedOn(textEditor)) this.soon();
      }),
      vscode.window.onDidChangeTextEditorVisibleRanges(({ textEditor }) => {
        if (textEditor === this.shown?.editor) this.draw();
      }),
      server.onDidChange((life) => {
        if (life !== "running") this.hide();
      }),
    ];
  }

  dispose(): void {
    this.hide();
    for (const one of this.disposables) one.dispose();
  }

  /** Go to the edit that is shown, or make it where the cursor is there; look for one where none is. */
  private async go(): Promise<void> {
    if (this.current()) return this.take();
    const editor = vscode.window.activeTextEditor;
    if (!editor) return;
    await this.ask(editor, true);
    const found = this.current();
    if (!found) tell("nothing is left to be changed");
    else if (isHere(found.what) && !isAt(found.editor, found.what)) await this.take();
  }

  /** The same by a key that means something else where nothing is shown. */
  private async take(): Promise<void> {
    const shown = this.current();
    if (!shown) {
      // It went while the key was on its way.
      await vscode.commands.executeCommand("tab");
      return;
    }
    const { editor, what } = shown;
    if (!isHere(what)) {
      await this.open(what);
      return;
    }
    const { edit, range } = what;
    if (!isAt(editor, what)) {
      editor.selection = new vscode.Selection(range.start, range.start);
      editor.revealRange(range, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
      return;
    }
    if (!(await editor.edit((change) => { change.replace(range, edit.text); }))) return;
    const { document } = editor;
    const end = document.positionAt(document.offsetAt(range.start) + edit.text.length);
    editor.selection = new vscode.Selection(end, end);
    editor.revealRange(editor.selection, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
    await this.command(edit.command.command, ...edit.command.arguments);
    await this.ask(editor);
  }

  /** Show the place in another file; what is to be changed there is asked for when it is open. */
  private async open({ uri, range }: Jump): Promise<void> {
    const converter = this.server.client?.protocol2CodeConverter;
    if (!converter) return;
    this.hide();
    const { start } = converter.asRange(range);
    const document = await vscode.workspace.openTextDocument(converter.asUri(uri));
    await vscode.window.showTextDocument(document, { selection: new vscode.Range(start, start) });
  }

  private async dismiss(): Promise<void> {
    const what = this.current()?.what;
    this.hide();
    if (!what) return;
    await this.command("nearfield.dismissEdit", isHere(what) ? what.edit.command.arguments[0] : what.id);
  }

  /** What is shown, if it is for the text as it is. */
  private current(): Shown | undefined {
    const { shown } = this;
    return shown?.editor.document.version === shown?.version ? shown : undefined;
  }

  /** Whether there was nothing to show where the user was, and may be where the cursor is now. */
  private hasMovedOn(editor: vscode.TextEditor): boolean {
    const { asked } = this;
    if (editor !== vscode.window.activeTextEditor || !asked || this.shown) return false;
    return asked.version === editor.document.version && asked.line !== editor.selection.active.line;
  }

  /** Ask when the user has rested. */
  private soon(): void {
    this.cancel();
    const editor = vscode.window.activeTextEditor;
    if (!editor || !this.server.client || !FOLLOWED.includes(editor.document.uri.scheme)) return;
    this.timer = setTimeout(() => void this.ask(editor), REST_MS);
  }

  private cancel(): void {
    clearTimeout(this.timer);
    this.asking?.cancel();
    this.asking = undefined;
  }

  /** Ask for the edit that is nearest, and show it. */
  private async ask(editor: vscode.TextEditor, byKey = false): Promise<void> {
    this.cancel();
    const { client } = this.server;
    const { document, selections, selection } = editor;
    const { version } = document;
    if (selections.length > 1) {
      // Asked once there is one cursor again, in whatever line.
      this.asked = { version, line: NO_LINE };
      return;
    }
    if (!client) return;
    const asking = (this.asking = new vscode.CancellationTokenSource());
    const place = {
      uri: client.code2ProtocolConverter.asUri(document.uri),
      position: plainPosition(selection.active),
      version,
    };
    // Once more from another line, but not from every line that the cursor passes.
    this.asked = this.asked?.version === version ? undefined : { version, line: selection.active.line };
    try {
      const params = { command: "nearfield.nextEdit", arguments: [place] };
      const answer: unknown = await client.sendRequest(ExecuteCommandRequest.type, params, asking.token);
      if (this.asking === asking && document.version === version) {
        this.show(client, editor, answer as NextEditAnswer);
      }
    } catch (error) {
      if (asking.token.isCancellationRequested || isCancelled(error)) return;
      if (byKey) say(error);
      else this.server.log.warn(`The next edit cannot be asked for: ${String(error)}`);
    }
  }

  private show(client: LanguageClient, editor: vscode.TextEditor, answer: NextEditAnswer): void {
    this.hide();
    if (editor !== vscode.window.activeTextEditor) return;
    const { edit, others, jump } = answer;
    const { version } = editor.document;
    if (edit) {
      const range = client.protocol2CodeConverter.asRange(edit.range);
      this.shown = { editor, version, what: { edit, range, text: edit.text, others } };
      void client.sendNotification(DidShowEdit, { item: { command: edit.command } });
    } else if (jump?.command) {
      this.shown = { editor, version, what: jump };
    } else {
      if (jump) tell(`${jump.title}: ${jump.advice}`);
      return;
    }
    // First the key, then what names it: whoever sees it may press it.
    void vscode.commands.executeCommand("setContext", SHOWN, true);
    this.draw();
  }

  private draw(): void {
    if (!this.shown) return;
    const { editor, what } = this.shown;
    if (isHere(what)) draw(editor, what);
    else drawAtEdge(editor, `→ ${what.title}: Tab`);
  }

  private hide(): void {
    this.cancel();
    if (!this.shown) return;
    erase(this.shown.editor);
    this.shown = undefined;
    void vscode.commands.executeCommand("setContext", SHOWN, false);
  }

  private async command(name: string, ...given: readonly unknown[]): Promise<void> {
    const params = { command: name, arguments: [...given] };
    await this.server.client?.sendRequest(ExecuteCommandRequest.type, params);
  }
}

function tell(words: string): void {
  vscode.window.setStatusBarMessage(`Nearfield: ${words}`, SAID_MS);
}
