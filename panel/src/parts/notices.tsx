import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { ApiError } from "../api";
import { visible } from "../format";

interface Notice {
  id: number;
  text: string;
  hint: string;
  wrong: boolean;
}

const notices = signal<readonly Notice[]>([]);
const SHOWN_MS = 6000;
let last = 0;

/** Say what an action did; it goes away by itself. */
export function say(text: string): void {
  add(text, "", false);
}

/** Say what went wrong, until the user has dismissed it. */
export function complain(error: unknown): void {
  if (error instanceof DOMException && error.name === "AbortError") return;
  const text = error instanceof Error ? error.message : String(error);
  add(text, error instanceof ApiError ? error.hint : "", true);
}

function add(text: string, hint: string, wrong: boolean): void {
  const id = (last += 1);
  notices.value = [...notices.value, { id, text, hint, wrong }].slice(-4);
  if (!wrong) setTimeout(() => dismiss(id), SHOWN_MS);
}

function dismiss(id: number): void {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}

/** Do it; what goes wrong is said. Returns whether it went well. */
export async function attempt(action: () => Promise<unknown>): Promise<boolean> {
  try {
    await action();
    return true;
  } catch (error) {
    complain(error);
    return false;
  }
}

export function Notices(): JSX.Element {
  return (
    <div class="notices" role="status" aria-live="polite">
      {notices.value.map((notice) => (
        <div key={notice.id} class={notice.wrong ? "notice wrong" : "notice"}>
          <div>
            <div>{visible(notice.text)}</div>
            {notice.hint && <div class="hint">{visible(notice.hint)}</div>}
          </div>
          <button class="plain" aria-label="Dismiss" onClick={() => dismiss(notice.id)}>
            ×
          </button>
        </div>
      ))}
    </div>
  );
}
