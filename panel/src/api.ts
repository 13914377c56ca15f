/** Requests to the server that gave this page. Each shows the token, and each wait is bounded. */

/** What the server says about a refused request, or why there is no answer. */
export class ApiError extends Error {
  /** The status of HTTP, or 0 where nothing was answered. */
  readonly status: number;
  /** What the user can do, "" where nothing is known. */
  readonly hint: string;

  constructor(message: string, status = 0, hint = "") {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.hint = hint;
  }
}

const ORDINARY_WAIT_MS = 60_000;

export interface Ask {
  method?: "GET" | "POST";
  body?: unknown;
  /** The longest wait; 0 for none, as for streams, which have a stop of their own. */
  waitMs?: number;
  signal?: AbortSignal;
}

export class Api {
  readonly #token: string;
  readonly #base: string;

  /** `base` ends in a slash; paths are below it. */
  constructor(base: string, token: string) {
    this.#base = base;
    this.#token = token;
  }

  /** Raises `ApiError`, also where the server cannot be reached or takes too long. */
  async open(path: string, ask: Ask = {}): Promise<Response> {
    const wait = ask.waitMs ?? ORDINARY_WAIT_MS;
    const stops: AbortSignal[] = [];
    if (ask.signal) stops.push(ask.signal);
    if (wait > 0) stops.push(AbortSignal.timeout(wait));
    const headers: Record<string, string> = { Authorization: `Bearer ${this.#token}` };
    if (ask.body !== undefined) headers["Content-Type"] = "application/json";
    let response: Response;
    try {
      response = await fetch(this.#base + path, {
        method: ask.method ?? (ask.body === undefined ? "GET" : "POST"),
        headers,
        body: ask.body === undefined ? null : JSON.stringify(ask.body),
        signal: AbortSignal.any(stops),
        cache: "no-store",
        credentials: "omit",
        referrerPolicy: "no-referrer",
      });
    } catch (error) {
      if (error instanceof DOMException && error.name === "TimeoutError")
        throw new ApiError("The server took too long to answer.");
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new ApiError("The server cannot be reached.");
    }
    if (!response.ok) throw await refusal(response);
    return response;
  }

  async json<T>(path: string, ask: Ask = {}): Promise<T> {
    const response = await this.open(path, ask);
    try {
      return (await response.json()) as T;
    } catch {
      throw new ApiError("The server's answer cannot be read.", response.status);
    }
  }
}

async function refusal(response: Response): Promise<ApiError> {
  const status = response.status;
  try {
    const { error } = (await response.json()) as { error?: { message?: string; hint?: string } };
    if (error?.message) return new ApiError(error.message, status, error.hint ?? "");
  } catch {
    // What it says is no JSON; the status says enough.
  }
  return new ApiError(`The server answers with the status ${status}.`, status);
}

/** A path with its query; what is undefined or "" is left out. */
export function query(path: string, fields: Record<string, string | number | undefined>): string {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(fields))
    if (value !== undefined && value !== "") found.set(name, String(value));
  const text = found.toString();
  return text === "" ? path : `${path}?${text}`;
}
