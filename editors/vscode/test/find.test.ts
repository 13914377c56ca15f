import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { test } from "node:test";

import { find, ServerProblem, type Places } from "../src/server/find";

const GOOD = "echo nearfield 1.2.3";

/** A folder for each name, with a program `nearfield` that does as the script says. */
async function folders(scripts: Record<string, string>): Promise<string> {
  const root = await mkdtemp(path.join(os.tmpdir(), "nearfield-"));
  for (const [name, script] of Object.entries(scripts)) {
    await mkdir(path.join(root, name), { recursive: true });
    const program = path.join(root, name, "nearfield");
    await writeFile(program, `#!/bin/sh\n${script}\n`);
    await chmod(program, 0o755);
  }
  return root;
}

async function check(
  scripts: Record<string, string>,
  places: (root: string) => Partial<Places>,
  expected: string | undefined,
): Promise<string[]> {
  const root = await folders(scripts);
  const over: string[] = [];
  const found = await find({
    setting: "",
    path: "",
    own: path.join(root, "own"),
    forbidden: [],
    passedOver: (_command, why) => over.push(why),
    ...places(root),
  });
  assert.equal(found && path.relative(root, found.command), expected && path.join(expected, "nearfield"));
  if (found) assert.equal(found.version, "1.2.3");
  return over;
}

const posix = { skip: process.platform === "win32" };

test("the active environment goes before PATH, PATH before our own", posix, async () => {
  const all = { "venv/bin": GOOD, path: GOOD, "own/bin": GOOD };
  const python = (root: string): string => path.join(root, "venv/bin/python");
  await check(all, (root) => ({ python: python(root), path: path.join(root, "path") }), "venv/bin");
  await check(all, (root) => ({ path: path.join(root, "path") }), "path");
  await check(all, () => ({}), "own/bin");
  await check({}, () => ({}), undefined);
});

test("a program that is none of ours is passed over, and why is told", posix, async () => {
  const all = { one: "echo something else", two: "echo broken >&2; exit 1", three: GOOD };
  const where = (root: string): string => ["one", "two", "three"].map((n) => path.join(root, n)).join(":");
  const over = await check(all, (root) => ({ path: where(root) }), "three");
  assert.deepEqual(over, ["something else", "broken"]);
});

test("relative entries of PATH are the workspace's, and not looked at", posix, async () => {
  await check({}, () => ({ path: `.:${path.delimiter}bin` }), undefined);
});

test("programs of a workspace that is not trusted are not run", posix, async () => {
  const places = (root: string): Partial<Places> => ({ path: path.join(root, "ws/bin"), forbidden: [path.join(root, "ws")] });
  await check({ "ws/bin": GOOD }, places, undefined);
});

test("a wrong setting is named, and nothing else is looked at", posix, async () => {
  const places = (root: string): Partial<Places> => ({ setting: "/nowhere/nearfield", path: path.join(root, "path") });
  await assert.rejects(check({ path: GOOD }, places, undefined), (error: unknown) => {
    assert.ok(error instanceof ServerProblem && error.setting);
    assert.match(error.message, /nearfield\.server\.path names \/nowhere\/nearfield/);
    return true;
  });
});
