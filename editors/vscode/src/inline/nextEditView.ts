/**
 * A next edit as it is seen before it is taken: what goes is struck through in place, what comes
 * stands behind it, whole lines in a block beside; where that is out of view, the edge says so.
 */

import * as vscode from "vscode";

import { columns, difference, type BlockChange, type LineChange } from "./difference";

/** Of a block no more lines are shown, and of a line no more characters. */
const MAX_LINES = 30;
const MAX_CHARACTERS = 120;
/** Columns between the code and a block beside it. */
const GAP = 4;

const GONE = vscode.window.createTextEditorDecorationType({
  backgroundColor: new vscode.ThemeColor("diffEditor.removedTextBackground"),
  textDecoration: "line-through",
  rangeBehavior: vscode.DecorationRangeBehavior.ClosedClosed,
});
const COME = vscode.window.createTextEditorDecorationType({
  after: {
    color: new vscode.ThemeColor("editor.foreground"),
    backgroundColor: new vscode.ThemeColor("diffEditor.insertedTextBackground"),
  },
});
const HINT = vscode.window.createTextEditorDecorationType({
  after: {
    color: new vscode.ThemeColor("editorCodeLens.foreground"),
    border: "1px solid",
    borderColor: new vscode.ThemeColor("editorWidget.border"),
    margin: "0 0 0 2ch",
  },
});

/** A place in the file that is looked at, and what it is to become. */
export interface Change {
  readonly range: vscode.Range;
  readonly text: string;
  /** How many more there are in this file. */
  readonly others: number;
}

/** Show an edit in an editor. */
export function draw(editor: vscode.TextEditor, change: Change): void {
  const { document } = editor;
  const { start, end } = change.range;
  const lines = linesOf(document, start.line, end.line);
  const found = difference(lines, change.range, change.text);
  const drawn = found.kind === "lines" ? inLines(found.changes) : beside(editor, found.block);
  editor.setDecorations(GONE, drawn.gone);
  editor.setDecorations(COME, drawn.come);
  const more = change.others > 0 ? ` (+${change.others})` : "";
  const edge = edgeTowards(editor, drawn.lines);
  if (edge === undefined) {
    const verb = isAt(editor, change) ? "" : " to go there";
    hint(editor, drawn.hintLine, `Tab${verb}${more}`);
  } else {
    const arrow = edge < drawn.lines.start.line ? "↓" : "↑";
    hint(editor, edge, `${arrow} Edit in line ${drawn.lines.start.line + 1}${more}: Tab`);
  }
}

/** Show a word of ours at the last line that is seen. */
export function drawAtEdge(editor: vscode.TextEditor, words: string): void {
  erase(editor);
  const { end } = editor.visibleRanges.at(-1) ?? new vscode.Range(0, 0, 0, 0);
  hint(editor, Math.max(0, end.line - 1), words);
}

/** Show nothing more. */
export function erase(editor: vscode.TextEditor): void {
  for (const type of [GONE, COME, HINT]) editor.setDecorations(type, []);
}

/** Whether the cursor has come to the edit, so that one sees what one takes. */
export function isAt(editor: vscode.TextEditor, { range }: Change): boolean {
  const { line } = editor.selection.active;
  return range.start.line <= line && line <= range.end.line && isSeen(editor, range);
}

interface Drawn {
  readonly gone: readonly vscode.Range[];
  readonly come: readonly vscode.DecorationOptions[];
  /** The lines in which something is drawn. */
  readonly lines: vscode.Range;
  readonly hintLine: number;
}

function inLines(changes: readonly LineChange[]): Drawn {
  const first = changes[0]?.line ?? 0;
  const last = changes.at(-1)?.line ?? first;
  const ranges = changes.map(({ line, start, end }) => new vscode.Range(line, start, line, end));
  return {
    gone: ranges.filter((range) => !range.isEmpty),
    come: changes.flatMap(({ line, end, text }) =>
      text === "" ? [] : [come(new vscode.Range(line, end, line, end), text)],
    ),
    lines: new vscode.Range(first, 0, last, 0),
    hintLine: first,
  };
}

/** Lines cannot be put between others without an edit, so those that come stand beside. */
function beside({ document, options }: vscode.TextEditor, block: BlockChange): Drawn {
  const tabSize = Number(options.tabSize) || 4;
  let shown = block.lines.slice(0, MAX_LINES);
  if (shown.length < block.lines.length) {
    shown.push(`… ${block.lines.length - shown.length} lines more`);
  }
  shown = shown.map(cut);
  // Without lines that go, they come behind the line above.
  const wanted = block.count > 0 ? block.first : Math.max(0, block.first - 1);
  const top = Math.max(0, Math.min(wanted, document.lineCount - shown.length));
  const room = linesOf(document, top, top + shown.length - 1).map((line) => columns(line, tabSize));
  const left = Math.max(0, ...room) + GAP;
  const width = Math.max(0, ...shown.map((line) => columns(line, tabSize)));
  const last = block.first + Math.max(0, block.count - 1);
  const gone = block.count > 0 ? [new vscode.Range(block.first, 0, last, Number.MAX_SAFE_INTEGER)] : [];
  return {
    gone: gone.map((range) => document.validateRange(range)),
    come: room.map((used, index) => {
      const line = shown[index] ?? "";
      const padded = expand(line, tabSize) + " ".repeat(width - columns(line, tabSize));
      return come(endOf(document, top + index), ` ${padded} `, `0 0 0 ${left - used}ch`);
    }),
    lines: new vscode.Range(wanted, 0, last, 0),
    hintLine: shown.length > 0 ? top + shown.length - 1 : block.first,
  };
}

function come(range: vscode.Range, text: string, margin?: string): vscode.DecorationOptions {
  const after = { contentText: unbreakable(cut(text)), ...(margin === undefined ? {} : { margin }) };
  return { range, renderOptions: { after } };
}

function hint(editor: vscode.TextEditor, line: number, words: string): void {
  const after = { contentText: unbreakable(` ${words} `) };
  editor.setDecorations(HINT, [{ range: endOf(editor.document, line), renderOptions: { after } }]);
}

/** The line at the edge that is nearest to `lines`; undefined where they are seen. */
function edgeTowards(editor: vscode.TextEditor, lines: vscode.Range): number | undefined {
  if (isSeen(editor, lines)) return undefined;
  const top = editor.visibleRanges[0]?.start.line ?? 0;
  const bottom = editor.visibleRanges.at(-1)?.end.line ?? top;
  // The last line is often seen only in part.
  return lines.start.line < top ? top : Math.max(top, bottom - 1);
}

function isSeen(editor: vscode.TextEditor, range: vscode.Range): boolean {
  return editor.visibleRanges.some(
    ({ start, end }) => start.line <= range.start.line && range.start.line <= end.line,
  );
}

function linesOf(document: vscode.TextDocument, first: number, last: number): string[] {
  const lines: string[] = [];
  for (let line = first; line <= Math.min(last, document.lineCount - 1); line += 1) {
    lines.push(document.lineAt(line).text);
  }
  return lines;
}

function endOf(document: vscode.TextDocument, line: number): vscode.Range {
  const { end } = document.lineAt(Math.min(line, document.lineCount - 1)).range;
  return new vscode.Range(end, end);
}

function expand(line: string, tabSize: number): string {
  let text = "";
  for (const character of line) {
    text += character === "\t" ? " ".repeat(tabSize - (columns(text, tabSize) % tabSize)) : character;
  }
  return text;
}

function cut(text: string): string {
  return text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}…` : text;
}

function unbreakable(text: string): string {
  return text.replaceAll(" ", "\u00a0");
}
