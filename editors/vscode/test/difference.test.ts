import assert from "node:assert/strict";
import { test } from "node:test";

import { columns, difference, type Difference } from "../src/inline/difference";

function of(lines: readonly string[], from: readonly [number, number], to: readonly [number, number], text: string): Difference {
  const at = ([line, character]: readonly [number, number]): { line: number; character: number } => ({ line, character });
  return difference(lines, { start: at(from), end: at(to) }, text);
}

test("a name is replaced as a word, however little of it differs", () => {
  const changes = [{ line: 7, start: 11, end: 15, text: "width" }];
  assert.deepEqual(of(["    return wide * high"], [7, 11], [7, 15], "width"), { kind: "lines", changes });
  assert.deepEqual(of(["    return wide * high"], [7, 13], [7, 15], "dth"), { kind: "lines", changes });
});

test("what is only added takes nothing away", () => {
  assert.deepEqual(of(["    return area(2)"], [0, 17], [0, 17], ", high"), {
    kind: "lines",
    changes: [{ line: 0, start: 17, end: 17, text: ", high" }],
  });
});

test("as many lines as before are compared one by one, and those that are the same left out", () => {
  assert.deepEqual(of(["a = 1", "b = 2", "c = 3"], [4, 0], [6, 5], "a = 10\nb = 2\nc = 30"), {
    kind: "lines",
    changes: [
      { line: 4, start: 4, end: 5, text: "10" },
      { line: 6, start: 4, end: 5, text: "30" },
    ],
  });
});

test("lines that come or go are a block", () => {
  assert.deepEqual(of(["a", "b"], [0, 0], [1, 1], "a\nnew\nb"), {
    kind: "block",
    block: { first: 1, count: 0, lines: ["new"] },
  });
  assert.deepEqual(of(["a", "b", "c"], [3, 0], [5, 0], ""), {
    kind: "block",
    block: { first: 3, count: 2, lines: [] },
  });
  assert.deepEqual(of(["one", "two"], [3, 0], [4, 3], "1\r\n2\r\n3"), {
    kind: "block",
    block: { first: 3, count: 2, lines: ["1", "2", "3"] },
  });
});

test("a character of two units is not cut", () => {
  assert.deepEqual(of(["x = '🙂'"], [0, 5], [0, 7], "🙃"), {
    kind: "lines",
    changes: [{ line: 0, start: 5, end: 7, text: "🙃" }],
  });
});

test("tabs are as wide as they are shown", () => {
  assert.equal(columns("\ta\tb", 4), 9);
  assert.equal(columns("ab\t", 8), 8);
});
