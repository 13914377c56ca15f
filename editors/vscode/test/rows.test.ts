import assert from "node:assert/strict";
import { test } from "node:test";

import { row, sorted, type Model } from "../src/models/rows";

const MODEL: Model = {
  name: "m", title: "M", roles: ["complete", "chat"], fim: "qwen", licence: "MIT", bytes: 491_400_064,
  memory_mb: 860, installed: false, used_for: [], problem: null,
  here: { fits: true, in_time_for: ["complete"], tokens_per_second: 21 },
};

test("a row says memory, speed and size", () => {
  assert.deepEqual(row(MODEL, "complete", true), {
    label: "$(cloud-download) m",
    description: "recommended here",
    detail: "needs 902 MB of memory · about 21 tokens/s · 491 MB to download · MIT",
  });
});

function check(change: Partial<Model>, pattern: RegExp): void {
  const { label, description, detail } = row({ ...MODEL, ...change }, "complete", false);
  assert.match(`${label} ${description} ${detail}`, pattern);
}

test("what stands in the way is said", () => {
  const here = { fits: false, in_time_for: [], tokens_per_second: 2.04 };
  check({ here }, /too large for this machine's memory/);
  check({ here: { ...here, fits: true } }, /slow here, about 2\.0 tokens\/s/);
  check({ here: { ...here, fits: true, tokens_per_second: null } }, /slow here ·/);
  check({ fim: "" }, /cannot fill in/);
  check({ problem: "bad hash" }, /damaged/);
  check({ installed: true, used_for: ["complete"] }, /^\$\(check\) m in use/);
});

test("what is in use comes first, then what is recommended, then what is here", () => {
  const models = [
    { ...MODEL, name: "other" },
    { ...MODEL, name: "here", installed: true },
    { ...MODEL, name: "best" },
    { ...MODEL, name: "used", used_for: ["complete"] },
    { ...MODEL, name: "chats", roles: ["chat"] },
  ];
  const names = sorted(models, "complete", "best").map(({ name }) => name);
  assert.deepEqual(names, ["used", "best", "here", "other"]);
});
