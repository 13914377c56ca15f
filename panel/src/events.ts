/** Server-sent events over `fetch`, since `EventSource` can send no header. */

export interface ServerEvent {
  name: string;
  data: string;
}

/** Cuts a stream of text into events. Comments and unknown fields are left out. */
export class EventParser {
  #rest = "";
  #name = "message";
  #data: string[] = [];

  /** The events that are complete with this piece. */
  read(piece: string): ServerEvent[] {
    const lines = (this.#rest + piece).split(/\r\n|\n|\r(?=[^\n])/);
    this.#rest = lines.pop() ?? "";
    const events: ServerEvent[] = [];
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0) events.push({ name: this.#name, data: this.#data.join("\n") });
        this.#name = "message";
        this.#data = [];
        continue;
      }
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "event") this.#name = value;
      if (field === "data") this.#data.push(value);
    }
    return events;
  }
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/** The time until attempt `attempt` (from 0), with up to a fifth more, so that pages do not all
 * come at once. `random` is from 0 to 1. */
export function backoffMs(attempt: number, random: number): number {
  const wait = Math.min(FIRST_WAIT_MS * 2 ** attempt, LONGEST_WAIT_MS);
  return Math.round(wait * (1 + random / 5));
}
