/** Runs the server's program for one question, such as `nearfield models list --json`. */

import { spawn } from "node:child_process";

export interface Outcome {
  /** null where it was ended by a signal. */
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly signal?: AbortSignal;
  readonly cwd?: string;
  /** Each line of standard error or output, as it comes. */
  readonly onLine?: (line: string, stream: "out" | "err") => void;
}

/** Run a program to its end. Rejects where it cannot be started; an abort ends it. */
export function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      stdio: ["ignore", "pipe", "pipe"],
      windowsHide: true,
      // No colours and no pagers: what is said is read by us.
      env: { ...process.env, NO_COLOR: "1", PYTHONUTF8: "1", PYTHONUNBUFFERED: "1" },
    });
    // The first SIGINT lets it say and keep what it has; one that does not listen is ended.
    const stop = (): void => {
      child.kill("SIGINT");
      setTimeout(() => child.kill("SIGKILL"), STOP_MS).unref();
    };
    if (options.signal?.aborted) stop();
    options.signal?.addEventListener("abort", stop, { once: true });
    const said = { out: "", err: "" };
    for (const stream of ["out", "err"] as const) {
      const pipe = stream === "out" ? child.stdout : child.stderr;
      let rest = "";
      pipe.setEncoding("utf8").on("data", (text: string) => {
        said[stream] += text;
        const lines = (rest + text).split(/\r?\n/);
        rest = lines.pop() ?? "";
        for (const line of lines) options.onLine?.(line, stream);
      });
    }
    child.on("error", reject);
    child.on("close", (code) => {
      options.signal?.removeEventListener("abort", stop);
      resolve({ code, ...said });
    });
  });
}

const STOP_MS = 3000;
