import assert from "node:assert/strict";
import { test } from "node:test";

import { gigabytes, problemRow, roleRow, row } from "../src/models/rows";
import type { ModelPick, PickGroup } from "../src/wire";

const MODEL: ModelPick = {
  name: "m", title: "M", about: "needs 902 MB of memory", current: false, recommended: false, missing: false,
  refused: "",
};
const HERE: PickGroup = { provider: "ollama", title: "ollama (ollama)", local: true, problem: "", models: [] };

test("a row says what the model needs and what it is to you", () => {
  assert.deepEqual(row({ ...MODEL, current: true, recommended: true }, HERE), {
    label: "$(check) M",
    description: "in use, recommended here",
    detail: "needs 902 MB of memory",
  });
});

function check(change: Partial<ModelPick>, local: boolean, pattern: RegExp): void {
  const { label, description, detail } = row({ ...MODEL, ...change }, { ...HERE, local });
  assert.match(`${label} ${description} ${detail}`, pattern);
}

test("what stands in the way is said", () => {
  check({ missing: true }, true, /^\$\(cloud-download\) M/);
  check({}, false, /^\$\(cloud\) M outside this machine/);
  check({ refused: "Not allowed." }, false, /^\$\(circle-slash\) M outside this machine Not allowed\.$/);
  assert.match(problemRow({ ...HERE, problem: "It is down." }).detail, /down/);
});

test("a role says who serves it now", () => {
  const role = { role: "code", does: "chats", provider: "ollama", model: "", local: true };
  assert.equal(roleRow(role).detail, "now: ollama");
  assert.equal(roleRow({ ...role, provider: "" }).detail, "nobody serves it");
});

test("sizes are decimal", () => {
  assert.equal(gigabytes(491_400_064), "491 MB");
  assert.equal(gigabytes(4_700_000_000), "4.7 GB");
});
