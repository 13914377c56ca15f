import assert from "node:assert/strict";
import { test } from "node:test";

import { asMessage, tokensIn } from "../src/chat/messages";

test("a first message is sent as it is", () => {
  assert.equal(asMessage([{ role: "user", text: "What is this?" }]), "What is this?");
  assert.equal(asMessage([]), "");
});

test("what was said before stands above the message", () => {
  const message = asMessage([
    { role: "user", text: "Hello" },
    { role: "assistant", text: "Hi" },
    { role: "assistant", text: " " },
    { role: "user", text: "And now?" },
  ]);
  const before = "This was said before:\n\nUser: Hello\n\nAssistant: Hi\n\n";
  assert.equal(message, `${before}The user says now:\n\nAnd now?`);
});

test("tokens are estimated", () => {
  assert.deepEqual([tokensIn(""), tokensIn("abcde")], [0, 2]);
});
