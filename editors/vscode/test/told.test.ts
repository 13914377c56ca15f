import assert from "node:assert/strict";
import { test } from "node:test";

import { told, type Inspected } from "../src/settings/told";

const KEYS = ["completion.enabled", "completion.max_lines"];

function check(inspected: Inspected, expected: object, trusted = true): void {
  assert.deepEqual(told(inspected, KEYS, trusted), expected);
}

test("only what somebody has set is told", () => {
  check({}, {});
  check({ globalValue: { completion: { max_lines: 3 } } }, { completion: { max_lines: 3 } });
});

test("the extension's own settings are not told", () => {
  check({ globalValue: { server: { path: "/x" }, trace: { server: "off" } } }, {});
});

test("a workspace goes before the user where it may set something", () => {
  const globalValue = { completion: { enabled: true, max_lines: 3 } };
  const workspaceValue = { completion: { enabled: false } };
  const workspaceFolderValue = { completion: { max_lines: 1 } };
  check({ globalValue, workspaceValue, workspaceFolderValue }, { completion: { enabled: false, max_lines: 1 } });
});

test("of a workspace's settings nothing else is told, however it is written", () => {
  const workspaceValue = {
    providers: { evil: { kind: "openai_compatible" } },
    routing: { strategy: "cloud_only" },
    completion: { enabled: { x: 1 }, debounce_ms: 0 },
    "completion.max_lines": 9,
  };
  check({ workspaceValue }, { completion: { enabled: { x: 1 } } });
});

test("a workspace that is not trusted sets nothing, and nothing leaves", () => {
  const globalValue = { routing: { strategy: "cloud_only", escalate: "auto" } };
  const workspaceValue = { completion: { enabled: false } };
  const routing = { strategy: "local_only", escalate: "auto" };
  check({ globalValue, workspaceValue }, { routing }, false);
});

test("what the user has written wrongly is told, so that the server can name it", () => {
  check({ globalValue: { completoin: { x: 1 }, completion: 3 } }, { completoin: { x: 1 }, completion: 3 });
});
