/** Light or dark: the system's choice until the user makes one, which this browser remembers. */

import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

const KEY = "nearfield.theme";
const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };

function remembered(): Theme {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === "light" || kept === "dark" ? kept : "system";
  } catch {
    // A frame may have no storage.
    return "system";
  }
}

export const choice = signal<Theme>(remembered());

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const system = signal<"light" | "dark">(dark.matches ? "dark" : "light");
dark.addEventListener("change", () => {
  system.value = dark.matches ? "dark" : "light";
});

/** The theme that is shown. */
export const theme = signal<"light" | "dark">("light");

effect(() => {
  const shown = choice.value === "system" ? system.value : choice.value;
  document.documentElement.dataset.theme = shown;
  theme.value = shown;
});

/** Go to the next of system, light, dark. */
export function turn(): void {
  choice.value = NEXT[choice.value];
  try {
    localStorage.setItem(KEY, choice.value);
  } catch {
    // It counts until the page is left.
  }
}
