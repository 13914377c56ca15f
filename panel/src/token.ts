/**
 * The access token: taken from the fragment, which no server and no referrer ever sees, and removed
 * from the address bar at once. It stays in this tab's memory and session storage, so that
 * reloading the page works; another tab does not have it.
 */

const KEY = "nearfield.token";

export interface Fragment {
  /** The name of the view, "" for the first one. */
  view: string;
  token: string;
  /** What is exchanged for a token, once. */
  code: string;
}

export interface Opening {
  token: string;
  code: string;
  /** Keep the token that a code was exchanged for. */
  keep: (token: string) => void;
}

/** Read a fragment such as `#token=abc`, `#models` or `#code=abc&view=models`. */
export function readFragment(fragment: string): Fragment {
  const text = fragment.replace(/^#/, "");
  if (!text.includes("=")) return { view: text, token: "", code: "" };
  const fields = new URLSearchParams(text);
  const field = (name: string): string => fields.get(name) ?? "";
  return { view: field("view"), token: field("token"), code: field("code") };
}

/** Take token and code out of the address bar and the tab's history, and return them, or else the
 * token that this tab has already. */
export function takeToken(window: Window): Opening {
  const { view, token, code } = readFragment(window.location.hash);
  const keep = (kept: string): void => remember(window, kept);
  if (token !== "" || code !== "") {
    const { pathname, search } = window.location;
    window.history.replaceState(null, "", pathname + search + (view === "" ? "" : `#${view}`));
  }
  if (token !== "") keep(token);
  return { token: token === "" && code === "" ? remembered(window) : token, code, keep };
}

function remember(window: Window, token: string): void {
  try {
    window.sessionStorage.setItem(KEY, token);
  } catch {
    // A frame may have no storage: the token is in memory alone, and a reload needs the address.
  }
}

function remembered(window: Window): string {
  try {
    return window.sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

/** Forget the token, which the server has refused. */
export function forgetToken(window: Window): void {
  try {
    window.sessionStorage.removeItem(KEY);
  } catch {
    // There was none.
  }
}
