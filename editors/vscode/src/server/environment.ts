/**
 * Makes a Python environment of the extension's own with the server in it, from the wheel that is
 * packed with the extension. Knows nothing of VS Code. What was interrupted is begun anew.
 */

import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import * as path from "node:path";

import { run } from "./command";
import { binOf, ServerProblem } from "./find";

export interface Making {
  /** The environment's folder; what is in it goes. */
  readonly folder: string;
  /** The folder with the server's wheel. */
  readonly wheels: string;
  readonly signal: AbortSignal;
  readonly say: (step: string) => void;
  readonly log: (line: string) => void;
}

/** Written last: without it the environment is unfinished. */
const DONE = ".complete";
const PYTHONS =
  process.platform === "win32"
    ? ["python", "python3", "py"]
    : ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"];
const CHECK = "import sys, venv, ensurepip; raise SystemExit(sys.version_info < (3, 11))";

/** Whether the environment was made to its end. */
export async function isComplete(folder: string): Promise<boolean> {
  try {
    return (await stat(path.join(folder, DONE))).isFile();
  } catch {
    return false; // There is none yet.
  }
}

/** Make it. Rejects with a `ServerProblem` that says what to do. */
export async function make({ folder, wheels, signal, say, log }: Making): Promise<void> {
  const wheel = (await readdir(wheels)).find((name) => name.endsWith(".whl"));
  if (!wheel) throw new ServerProblem("This build of the extension has no server in it.", false);
  say("looking for Python 3.11 or newer");
  const python = await findPython(signal);
  say("making the environment");
  await rm(folder, { recursive: true, force: true });
  await mkdir(path.dirname(folder), { recursive: true });
  const onLine = (line: string): void => {
    log(line);
    const step = pipStep(line);
    if (step) say(step);
  };
  await succeed(python, ["-m", "venv", folder], { signal, onLine });
  const pip = [path.join(binOf(folder), "python"), "-m", "pip"] as const;
  // With the compiled llama.cpp: no compiler is needed.
  const requirement = `${path.join(wheels, wheel)}[all]`;
  const flags = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"];
  const [program, ...first] = pip;
  await succeed(program, [...first, "install", ...flags, requirement], { signal, onLine });
  await writeFile(path.join(folder, DONE), "");
}

/** What pip does at a line of its output, for people; undefined for what they need not know. */
export function pipStep(line: string): string | undefined {
  const [, verb, what = ""] = /^\s*(Collecting|Downloading|Building|Installing)\s+(.+)/.exec(line) ?? [];
  switch (verb) {
    case "Collecting":
      return `fetching ${/^[\w.-]+/.exec(what)?.[0] ?? what}`;
    case "Downloading":
      return `fetching ${what.split("/").pop() ?? what}`;
    case "Building":
      return "building";
    case "Installing":
      return "installing, this takes a minute";
    default:
      return undefined;
  }
}

async function findPython(signal: AbortSignal): Promise<string> {
  for (const name of PYTHONS) {
    try {
      if ((await run(name, ["-c", CHECK], { signal })).code === 0) return name;
    } catch {
      // There is no such program.
    }
  }
  throw new ServerProblem(
    "Python 3.11 or newer with its venv module was not found. Install it " +
      "(Debian, Ubuntu: sudo apt install python3-venv; elsewhere: python.org), then try again.",
    false,
  );
}

async function succeed(
  command: string,
  args: readonly string[],
  options: { signal: AbortSignal; onLine: (line: string) => void },
): Promise<void> {
  const { code, err } = await run(command, args, options);
  options.signal.throwIfAborted();
  if (code !== 0) {
    const why = err.split("\n").find((line) => /error/i.test(line)) ?? err.trim().slice(-300);
    throw new ServerProblem(`The server could not be installed: ${why.trim()}`, false);
  }
}
