/** Positions and ranges as the wire has them: VS Code's own have more in them. */

import type { Position, Range } from "vscode";

export interface WirePosition {
  readonly line: number;
  readonly character: number;
}

export interface WireRange {
  readonly start: WirePosition;
  readonly end: WirePosition;
}

export function plainPosition({ line, character }: Position): WirePosition {
  return { line, character };
}

export function plainRange({ start, end }: Range): WireRange {
  return { start: plainPosition(start), end: plainPosition(end) };
}
