import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs, EventParser, type ServerEvent } from "../src/events";

function read(...pieces: string[]): ServerEvent[] {
  const parser = new EventParser();
  return pieces.flatMap((piece) => parser.read(piece));
}

const CASES: readonly (readonly [string, string[], ServerEvent[]])[] = [
  ["one event", ["event: now\ndata: {}\n\n"], [{ name: "now", data: "{}" }]],
  ["cut anywhere", ["eve", "nt: now\nda", "ta: 1\n", "\n"], [{ name: "now", data: "1" }]],
  ["a comment and no event", [": still here\n\n"], []],
  ["lines of data are joined", ["data: a\ndata:b\n\n"], [{ name: "message", data: "a\nb" }]],
  ["with carriage returns", ["event: x\r\ndata: 1\r\n\r\n"], [{ name: "x", data: "1" }]],
  ["cut in a line's end", ["event: x\r", "\ndata: 1\r", "\n\r\n"], [{ name: "x", data: "1" }]],
  ["an incomplete one is kept back", ["event: x\ndata: 1\n"], []],
  [
    "a name counts for one event",
    ["event: x\ndata: 1\n\ndata: 2\n\n"],
    [
      { name: "x", data: "1" },
      { name: "message", data: "2" },
    ],
  ],
];

for (const [name, pieces, expected] of CASES)
  test(name, () => assert.deepEqual(read(...pieces), expected));

test("the waits grow to a limit", () => {
  assert.deepEqual(
    [0, 1, 2, 10].map((attempt) => backoffMs(attempt, 0)),
    [500, 1000, 2000, 15_000],
  );
  assert.equal(backoffMs(0, 1), 600);
});
