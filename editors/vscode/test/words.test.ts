import assert from "node:assert/strict";
import { test } from "node:test";

import { short, shown, where, type Situation } from "../src/status/words";
import type { Last, Role, Status } from "../src/wire";

const HERE: Role = { role: "complete", provider: "embedded", model: "small", local: true, others: [] };
const AWAY: Role = { role: "large", provider: "cloud", model: "big", local: false, others: [] };
const NOBODY: Role = { role: "review", provider: "", model: "", local: true, others: [] };
const READY: Status = {
  state: "ready", detail: "", progress: null, provider: "embedded", model: "small", roles: [HERE, NOBODY],
};
const NOW: Situation = {
  life: "running", problem: "", status: READY, busy: false, download: undefined, enabled: true, trusted: true,
};

function check(change: Partial<Situation>, text: string, kind = "plain"): void {
  const seen = shown({ ...NOW, ...change });
  assert.deepEqual([seen.text, seen.kind], [text, kind]);
}

test("every state has its words, and all of them say whether it is local", () => {
  const status = (change: Partial<Status>): Partial<Situation> => ({ status: { ...READY, ...change } });
  check({}, "$(device-desktop) Local · small");
  check({ busy: true }, "$(loading~spin) Local · small");
  check({ enabled: false }, "$(debug-pause) Local · off");
  check(status({ state: "paused" }), "$(debug-pause) Local · paused");
  check(status({ state: "unavailable" }), "$(warning) Local · no model", "warning");
  check(status({ state: "loading", progress: 0.432 }), "$(loading~spin) Local · loading 43 %");
  check(status({ state: "starting" }), "$(loading~spin) Local · loading");
  const index = { state: "embedding", detail: "", done: 1, total: 9, files: 4 };
  check(status({ index }), "$(device-desktop) Local · small · indexing");
  check(status({ roles: [HERE, AWAY] }), "$(cloud) Local + Cloud · small");
  check(status({ roles: [AWAY], model: "big" }), "$(cloud) Cloud · big");
  check({ download: { name: "m", part: 0.5 } }, "$(cloud-download) Local · downloading 50 %");
  check({ download: { name: "m", part: undefined } }, "$(cloud-download) Local · downloading");
});

test("without a server it says what is the matter", () => {
  check({ life: "installing", status: undefined }, "$(loading~spin) Nearfield: installing");
  check({ life: "searching", status: undefined }, "$(loading~spin) Nearfield: starting");
  check({ life: "starting", status: undefined }, "$(loading~spin) Nearfield: starting");
  check({ life: "missing", status: undefined }, "$(warning) Nearfield: not installed", "warning");
  check({ life: "failed", status: undefined, problem: "x" }, "$(error) Nearfield: not running", "error");
  check({ life: "stopped", status: undefined }, "$(circle-slash) Nearfield: stopped");
});

test("what comes from outside becomes neither Markdown nor an icon", () => {
  const detail = "[click](command:evil) $(flame) **bold**";
  const { tooltip } = shown({ ...NOW, status: { ...READY, detail } });
  assert.ok(!tooltip.includes("[click](command"));
  assert.ok(!tooltip.includes("$(flame)"));
});

test("roles that nobody serves do not count", () => {
  assert.equal(where({ ...READY, roles: [NOBODY, AWAY] }), "Cloud");
});

test("long names are cut", () => {
  assert.equal(short("/models/qwen.gguf"), "qwen");
  assert.equal(short("x".repeat(40)).length, 24);
});

test("why the last request showed nothing, and what to do, is in the tooltip", () => {
  const tooltip = (last: Last | null): string => shown({ ...NOW, status: { ...READY, last } }).tooltip;
  const last = { reason: "unsure", sentence: "The model was not sure", advice: "Ask by the key" };
  assert.match(tooltip(last), /No suggestion: The model was not sure Ask by the key/);
  for (const none of [null, { ...last, reason: "" }]) {
    assert.doesNotMatch(tooltip(none), /No suggestion/);
  }
  assert.doesNotMatch(shown({ ...NOW, status: READY }).tooltip, /No suggestion/);
});
