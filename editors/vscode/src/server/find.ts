/**
 * Where the server may be, in the order in which it is looked for: the setting, the active Python
 * environment, PATH, the environment that the extension made. Knows nothing of VS Code.
 */

import { access, constants } from "node:fs/promises";
import * as path from "node:path";

import { run } from "./command";

export interface Candidate {
  readonly command: string;
  /** Where it comes from, as an ending of "the server from ...". */
  readonly source: string;
}

export interface Found extends Candidate {
  readonly version: string;
}

export interface Places {
  /** The user's setting, "" for none: nothing else is then looked at. */
  readonly setting: string;
  /** The interpreter of the active Python environment, if any. */
  readonly python?: string | undefined;
  /** Its folders are looked at in their order. */
  readonly path: string;
  /** The environment that the extension makes. */
  readonly own: string;
  /** Folders whose programs are not run: those of a workspace that is not trusted. */
  readonly forbidden: readonly string[];
  /** Told of each program that is there, but is none of ours. */
  readonly passedOver: (command: string, why: string) => void;
}

/** What is wrong, for the user. */
export class ServerProblem extends Error {
  override readonly name = "ServerProblem";
  constructor(
    message: string,
    /** Whether the setting is to blame. */
    readonly setting: boolean,
  ) {
    super(message);
  }
}

const WINDOWS = process.platform === "win32";
const PROBE_MS = 30_000;

/** The program `nearfield` of a Python environment with this folder for its programs. */
export function programIn(folder: string): string {
  return path.join(folder, WINDOWS ? "nearfield.exe" : "nearfield");
}

/** The folder of the programs of a virtual environment. */
export function binOf(environment: string): string {
  return path.join(environment, WINDOWS ? "Scripts" : "bin");
}

/** All places to look at, best first. */
export function candidates(places: Places): Candidate[] {
  if (places.setting) {
    return [{ command: places.setting, source: "the setting nearfield.server.path" }];
  }
  const found: Candidate[] = [];
  if (places.python) {
    const command = programIn(path.dirname(places.python));
    found.push({ command, source: "the active Python environment" });
  }
  for (const folder of places.path.split(path.delimiter)) {
    // An empty or relative entry means the current folder, which may be anybody's.
    if (path.isAbsolute(folder)) found.push({ command: programIn(folder), source: "PATH" });
  }
  found.push({ command: programIn(binOf(places.own)), source: "the extension's environment" });
  return found.filter(({ command }) => !places.forbidden.some((folder) => within(folder, command)));
}

/** The first candidate that is a Nearfield; undefined for none. Rejects with what is wrong with
 * the one that the user has named. */
export async function find(places: Places): Promise<Found | undefined> {
  for (const candidate of candidates(places)) {
    if (places.setting || (await isProgram(candidate.command))) {
      const version = await probe(candidate, places);
      if (version) return { ...candidate, version };
    }
  }
  return undefined;
}

async function isProgram(command: string): Promise<boolean> {
  try {
    await access(command, constants.X_OK);
    return true;
  } catch {
    return false; // Not there, or not ours to run: the next one, then.
  }
}

/** Its version, "" where it is not a Nearfield and nobody said that it is one. */
async function probe({ command }: Candidate, places: Places): Promise<string> {
  const timeout = AbortSignal.timeout(PROBE_MS);
  let why: string;
  try {
    const { code, out, err } = await run(command, ["--version"], { signal: timeout });
    const version = /^nearfield\s+(\S+)/i.exec(out)?.[1];
    if (code === 0 && version) return version;
    why = lastLine(err) || lastLine(out) || `it ended with ${code ?? "a signal"}`;
  } catch (error) {
    why = error instanceof Error ? error.message : String(error);
  }
  if (places.setting) {
    throw new ServerProblem(
      `The setting nearfield.server.path names ${command}, which is not a Nearfield server: ${why}.`,
      true,
    );
  }
  places.passedOver(command, why);
  return "";
}

function lastLine(text: string): string {
  return text.trim().split("\n").pop()?.trim().replace(/\.$/, "") ?? "";
}

function within(folder: string, file: string): boolean {
  const relative = path.relative(folder, file);
  return relative !== "" && !relative.startsWith("..") && !path.isAbsolute(relative);
}
