/** An edit as it is drawn: what goes and what comes, by lines. Knows nothing of VS Code. */

import type { WireRange } from "../actions/place";

/** In one line, what is between `start` and `end` goes and `text` comes. */
export interface LineChange {
  readonly line: number;
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** `count` whole lines from `first` on go, and `lines` come in their place. */
export interface BlockChange {
  readonly first: number;
  readonly count: number;
  readonly lines: readonly string[];
}

export type Difference =
  | { readonly kind: "lines"; readonly changes: readonly LineChange[] }
  | { readonly kind: "block"; readonly block: BlockChange };

/** What `text` in the place of `range` changes, where `lines` are those that the range touches. */
export function difference(lines: readonly string[], range: WireRange, text: string): Difference {
  const before = (lines[0] ?? "").slice(0, range.start.character);
  const behind = (lines.at(-1) ?? "").slice(range.end.character);
  const old = [...lines];
  const now = `${before}${text}${behind}`.split(/\r\n|\r|\n/);
  let first = range.start.line;
  while (old.length > 0 && now.length > 0 && old[0] === now[0]) {
    old.shift();
    now.shift();
    first += 1;
  }
  while (old.length > 0 && now.length > 0 && old.at(-1) === now.at(-1)) {
    old.pop();
    now.pop();
  }
  if (old.length !== now.length) {
    return { kind: "block", block: { first, count: old.length, lines: now } };
  }
  const changes = old.map((line, index) => inLine(first + index, line, now[index] ?? ""));
  return { kind: "lines", changes: changes.filter(({ start, end, text }) => end > start || text !== "") };
}

/** The one change from `old` to `now`, of whole words. */
function inLine(line: number, old: string, now: string): LineChange {
  const shorter = Math.min(old.length, now.length);
  let start = 0;
  while (start < shorter && old[start] === now[start]) start += 1;
  let tail = 0;
  while (tail < shorter - start && old.at(-1 - tail) === now.at(-1 - tail)) tail += 1;
  const isWord = (text: string, index: number): boolean => /[\p{L}\p{N}\p{M}_$\ud800-\udfff]/u.test(text[index] ?? "");
  const inWord = (at: number, text: string): boolean => isWord(text, at - 1) && isWord(text, at);
  while (start > 0 && (inWord(start, old) || inWord(start, now))) start -= 1;
  while (tail > 0 && (inWord(old.length - tail, old) || inWord(now.length - tail, now))) tail -= 1;
  return { line, start, end: old.length - tail, text: now.slice(start, now.length - tail) };
}

/** The width of a text in columns, with tabs as wide as an editor shows them. */
export function columns(text: string, tabSize: number): number {
  let width = 0;
  for (const character of text) width += character === "\t" ? tabSize - (width % tabSize) : 1;
  return width;
}
