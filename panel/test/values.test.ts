import assert from "node:assert/strict";
import { test } from "node:test";
import { above } from "../src/curve";
import { fileName, nameFor } from "../src/names";
import { typed, understood } from "../src/values";

const FORMS: readonly (readonly [string, string, unknown])[] = [
  ["bool", "true", true],
  ["int", "300", 300],
  ["float", "-0.5", -0.5],
  ["text", "abc", "abc"],
  ["choice", "local_only", "local_only"],
  ["list", "a\nb", ["a", "b"]],
  ["json", '[{"task":"chat"}]', [{ task: "chat" }]],
];

for (const [kind, text, value] of FORMS)
  test(`a value of the form ${kind} is typed and understood`, () => {
    assert.deepEqual(understood(text, kind), value);
    assert.equal(typed(value, kind), text);
  });

test("what is no number is left to the server to refuse", () => {
  assert.equal(understood("many", "int"), "many");
  assert.equal(understood("", "int"), "");
});

test("a threshold counts what is above it, and of a bin that it cuts the part above", () => {
  const bins = [
    { from: -1, to: -0.5, offered: 10, taken: 2, saved: 20, hidden: 4 },
    { from: -0.5, to: 0, offered: 10, taken: 8, saved: 80, hidden: 0 },
  ];
  assert.deepEqual(above(bins, -2), { offered: 20, taken: 10, saved: 100, hidden: 4 });
  assert.deepEqual(above(bins, -0.75), { offered: 15, taken: 9, saved: 90, hidden: 2 });
  assert.deepEqual(above(bins, 0), { offered: 0, taken: 0, saved: 0, hidden: 0 });
});

test("names of models and files are plain", () => {
  assert.equal(nameFor("sub/Qwen 2.5_Coder-Q4_K_M.GGUF"), "qwen-2.5-coder-q4-k-m");
  assert.equal(fileName("../../etc/passwd <b>"), "etc-passwd-b");
  assert.equal(fileName("…"), "chat");
});
