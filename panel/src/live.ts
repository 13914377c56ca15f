/** What the page knows of its server: the connection, the event stream, and what it keeps fresh. */

import { batch, computed, signal, type Signal } from "@preact/signals";
import { Api, ApiError, type Ask } from "./api";
import { backoffMs, EventParser, type ServerEvent } from "./events";
import { forgetToken, type Opening } from "./token";
import type { Job, Now } from "./wire";

/** `refused`: the server takes no token, or not this one. */
export type Connection = "connecting" | "live" | "lost" | "refused";

/** The server says something every ten seconds; without a word for longer it is gone. */
const SILENCE_MS = 25_000;

export const connection = signal<Connection>("connecting");
/** When the next attempt is made, in ms since 1970; 0 while there is a connection. */
export const nextAttempt = signal(0);
export const version = signal("");
export const now = signal<Now | null>(null);
/** The last failure to understand what the server sends, "" for none. */
export const trouble = signal("");
/** How often what a view shows has changed; a view that reads its number is drawn again. */
const revisions = new Map<string, Signal<number>>();
const known = signal<ReadonlyMap<string, Job>>(new Map());
/** The server's start, by which a restart is noticed. */
let started: number | null = null;

export const jobs = computed(() => [...known.value.values()].sort((a, b) => b.started - a.started));

export function job(id: string | null | undefined): Job | undefined {
  return id ? known.value.get(id) : undefined;
}

export function revision(view: string): Signal<number> {
  let found = revisions.get(view);
  if (!found) revisions.set(view, (found = signal(0)));
  return found;
}

/** Say that what these views show has changed. */
export function changed(views: readonly string[]): void {
  batch(() => {
    for (const view of views) {
      const found = revision(view);
      found.value = found.peek() + 1;
    }
  });
}

let begin: (api: Api) => void;
/** The server with the user's token: a view that opens first waits until a code is exchanged for it. */
let api = new Promise<Api>((resolve) => {
  begin = resolve;
});

/** Ask the server. Raises `ApiError`; a refused token ends the connection. */
export async function get<T>(path: string, ask: Ask = {}): Promise<T> {
  return watched(async () => (await api).json<T>(path, ask));
}

export async function post<T>(path: string, body: unknown = {}, ask: Ask = {}): Promise<T> {
  return watched(async () => (await api).json<T>(path, { ...ask, body }));
}

export async function stream(
  path: string,
  body: unknown,
  signal: AbortSignal,
  each: (event: ServerEvent) => void,
): Promise<void> {
  const response = await watched(async () => (await api).open(path, { body, signal, waitMs: 0 }));
  await readEvents(response, each);
}

async function watched<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) refuse();
    throw error;
  }
}

function refuse(): void {
  forgetToken(window);
  connection.value = "refused";
}

async function readEvents(response: Response, each: (event: ServerEvent) => void): Promise<void> {
  const reader = response.body?.getReader();
  if (!reader) throw new ApiError("The server's answer is empty.");
  const decoder = new TextDecoder();
  const parser = new EventParser();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    for (const event of parser.read(decoder.decode(value, { stream: true }))) each(event);
  }
}

let connects = 0;
let following: AbortController | undefined;

/** Open the connection and keep it, for as long as the page is shown and the token is taken. One
 * that is there already is ended. */
export async function connect(opening: Opening): Promise<void> {
  const number = (connects += 1);
  const ended = (): boolean => number !== connects || connection.peek() === "refused";
  connection.value = "connecting";
  following?.abort();
  const asked = new Api("api/", await tokenOf(opening));
  api = Promise.resolve(asked);
  begin(asked);
  for (let attempt = 0; !ended(); attempt += 1) {
    const wasLive = await follow();
    if (ended()) return;
    if (wasLive) attempt = 0;
    await lost(attempt);
  }
}

/** Say that the server is not there, and wait for the next attempt. */
async function lost(attempt: number): Promise<void> {
  const wait = backoffMs(attempt, Math.random());
  batch(() => {
    connection.value = "lost";
    nextAttempt.value = Date.now() + wait;
  });
  await pause(wait);
}

let hurry: (() => void) | undefined;

/** Try to connect at once. */
export function tryNow(): void {
  hurry?.();
}

async function pause(ms: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    hurry = () => {
      clearTimeout(timer);
      resolve();
    };
  });
  hurry = undefined;
}

async function tokenOf(opening: Opening): Promise<string> {
  if (opening.token !== "") return opening.token;
  if (opening.code === "") {
    refuse();
    return "";
  }
  for (let attempt = 0; ; attempt += 1) {
    try {
      const { token } = await new Api("api/", "").json<{ token: string }>("session", {
        body: { code: opening.code },
      });
      opening.keep(token);
      return token;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 0) {
        refuse();
        return "";
      }
      await lost(attempt); // nothing was answered: the code may still be good
    }
  }
}

/** Read the event stream until it ends; returns whether anything came. */
async function follow(): Promise<boolean> {
  const stop = new AbortController();
  following = stop;
  let heard = false;
  let timer = 0;
  const listen = (): void => {
    clearTimeout(timer);
    timer = window.setTimeout(() => stop.abort(), SILENCE_MS);
  };
  listen();
  try {
    const response = await watched(async () =>
      (await api).open("events", { signal: stop.signal, waitMs: 0 }),
    );
    const body = response.body?.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform(piece, out) {
          listen();
          out.enqueue(piece);
        },
      }),
    );
    await readEvents(new Response(body ?? null), (event) => {
      heard = true;
      take(event);
    });
  } catch {
    // The notice says that the connection is lost; the next attempt follows.
  } finally {
    clearTimeout(timer);
  }
  return heard;
}

function take(event: ServerEvent): void {
  let data: unknown;
  try {
    data = JSON.parse(event.data);
  } catch {
    trouble.value = `The server sent something that cannot be read (${event.name}).`;
    return;
  }
  batch(() => {
    if (event.name === "hello") hello(data as { version: string; started: number });
    else if (event.name === "now") now.value = data as Now;
    else if (event.name === "job") noteJob(data as Job);
    else if (event.name === "changed") changed((data as { views: string[] }).views);
  });
}

function hello(told: { version: string; started: number }): void {
  const again = started !== null;
  if (started !== told.started) known.value = new Map();
  started = told.started;
  version.value = told.version;
  connection.value = "live";
  nextAttempt.value = 0;
  trouble.value = "";
  // What happened in between is not told: everything that is shown is fetched again.
  if (again) changed([...revisions.keys()]);
  void get<{ jobs: Job[] }>("jobs").then(
    (found) => found.jobs.forEach(noteJob),
    () => undefined,
  );
}

/** Keep what is known of a job; the views that it is about are fetched again at its end. */
export function noteJob(told: Job): void {
  const before = known.value.get(told.id);
  if (before && before.state !== "running" && told.state === "running") return;
  known.value = new Map(known.value).set(told.id, told);
  if (told.state !== "running" && before?.state === "running") changed(VIEWS_OF[told.kind] ?? []);
}

/** Stop a job; a download can be resumed where it was. */
export async function stopJob(of: Job): Promise<void> {
  const { job: told } = await post<{ job: Job }>("jobs/stop", { id: of.id });
  noteJob(told);
  changed(VIEWS_OF[told.kind] ?? []);
}

const VIEWS_OF: Record<string, string[]> = {
  pull: ["models"],
  verify: ["models"],
  benchmark: ["models"],
  index: ["index"],
  doctor: ["health"],
};
