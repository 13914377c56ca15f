import assert from "node:assert/strict";
import { test } from "node:test";
import { readFragment, takeToken } from "../src/token";

const CASES: readonly (readonly [string, ReturnType<typeof readFragment>])[] = [
  ["", { view: "", token: "", code: "" }],
  ["#models", { view: "models", token: "", code: "" }],
  ["#token=a-b", { view: "", token: "a-b", code: "" }],
  ["#code=c&view=index", { view: "index", token: "", code: "c" }],
];

for (const [fragment, expected] of CASES)
  test(`the fragment "${fragment}"`, () => assert.deepEqual(readFragment(fragment), expected));

/** As much of a window as a token needs. */
class Tab {
  readonly kept = new Map<string, string>();
  readonly addresses: string[] = [];
  readonly location;
  readonly history = {
    replaceState: (_: unknown, __: string, address: string) => this.addresses.push(address),
  };
  readonly sessionStorage = {
    getItem: (key: string) => this.kept.get(key) ?? null,
    setItem: (key: string, value: string) => void this.kept.set(key, value),
    removeItem: (key: string) => void this.kept.delete(key),
  };

  constructor(hash: string) {
    this.location = { hash, pathname: "/panel/", search: "" };
  }

  get window(): Window {
    return this as unknown as Window;
  }
}

test("a token leaves the address, and the view stays in it", () => {
  const tab = new Tab("#token=secret&view=models");
  assert.equal(takeToken(tab.window).token, "secret");
  assert.deepEqual(tab.addresses, ["/panel/#models"]);
  tab.location.hash = "#models";
  assert.equal(takeToken(tab.window).token, "secret");
});

test("a code counts more than the token of before", () => {
  const tab = new Tab("#code=once");
  tab.kept.set("nearfield.token", "old");
  const opening = takeToken(tab.window);
  assert.deepEqual([opening.code, opening.token], ["once", ""]);
  opening.keep("new");
  tab.location.hash = "";
  assert.equal(takeToken(tab.window).token, "new");
});

test("a frame without storage has its token in memory", () => {
  const tab = new Tab("#token=secret");
  Object.defineProperty(tab, "sessionStorage", {
    get: () => {
      throw new Error("denied");
    },
  });
  assert.equal(takeToken(tab.window).token, "secret");
});
