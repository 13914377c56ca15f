/** What the status item says. Knows nothing of VS Code, so that every state can be tested. */

import type { IndexState, Role, Status } from "../wire";

/** Where the server's process is in its life, as the extension sees it. */
export type Life = "searching" | "missing" | "installing" | "starting" | "running" | "failed" | "stopped";

export interface Shown {
  readonly text: string;
  /** Markdown. */
  readonly tooltip: string;
  readonly kind: "plain" | "warning" | "error";
}

export interface Download {
  readonly name: string;
  /** 0..1; undefined while nothing is known. */
  readonly part: number | undefined;
}

export interface Situation {
  readonly life: Life;
  readonly problem: string;
  readonly status: Status | undefined;
  /** Whether a model works on an answer now. */
  readonly busy: boolean;
  readonly download: Download | undefined;
  /** Whether completions are on in the language that is looked at. */
  readonly enabled: boolean;
  readonly trusted: boolean;
}

const SPIN = "$(loading~spin)";
/** Longer names would push other items out. */
const MODEL_LENGTH = 24;
const INDEXING: readonly string[] = ["reading", "building", "embedding"];

/** What to show now. */
export function shown(now: Situation): Shown {
  const { life, problem, status } = now;
  if (life === "missing") {
    return warning("$(warning) Nearfield: not installed", `${problem} Click to install it.`);
  }
  if (life === "installing") return plain(`${SPIN} Nearfield: installing`, "");
  if (life === "failed") return error("$(error) Nearfield: not running", escape(problem));
  if (life === "stopped") return plain("$(circle-slash) Nearfield: stopped", "Click to start it.");
  if (life !== "running" || !status) return plain(`${SPIN} Nearfield: starting`, "");
  return running(now, status);
}

function running(now: Situation, status: Status): Shown {
  const tooltip = details(now, status);
  const place = where(status);
  if (now.download) {
    return plain(`$(cloud-download) ${place} · downloading${percent(now.download.part)}`, tooltip);
  }
  switch (status.state) {
    case "paused":
      return plain(`$(debug-pause) ${place} · paused`, tooltip);
    case "unavailable":
      return warning(`$(warning) ${place} · no model`, tooltip);
    case "starting":
    case "loading":
      return plain(`${SPIN} ${place} · loading${percent(status.progress)}`, tooltip);
    case "ready":
      break;
  }
  if (!now.enabled) return plain(`$(debug-pause) ${place} · off`, tooltip);
  const icon = now.busy ? SPIN : isLocal(status) ? "$(device-desktop)" : "$(cloud)";
  const model = short(status.model || status.provider);
  const index = isIndexing(status.index) ? " · indexing" : "";
  return plain(`${icon} ${place} · ${model}${index}`, tooltip);
}

/** Where answers come from. All roles count, since any of them may be asked. */
export function where(status: Status): string {
  if (isLocal(status)) return "Local";
  return served(status).some((role) => role.local) ? "Local + Cloud" : "Cloud";
}

/** Whether the index is being made. */
export function isIndexing(index: IndexState | undefined): boolean {
  return index !== undefined && INDEXING.includes(index.state);
}

/** A model's name, cut where it gets too long; a file's folder and ending say nothing. */
export function short(model: string): string {
  const name = model.replace(/\.gguf$/i, "").split(/[\\/]/).pop() ?? model;
  return name.length > MODEL_LENGTH ? `${name.slice(0, MODEL_LENGTH - 1)}…` : name;
}

function isLocal(status: Status): boolean {
  return served(status).every((role) => role.local !== false);
}

function served(status: Status): Role[] {
  return status.roles.filter((role) => role.provider !== "");
}

const ROLES: Readonly<Record<string, string>> = {
  complete: "Completions",
  edit: "Next edits",
  chat: "Chat and actions",
  fast: "Quick answers",
  code: "Code",
  large: "Large tasks",
  review: "Reviews",
  embed: "Search",
};

/** The name of a role in menus. */
export function roleTitle(role: string): string {
  return ROLES[role] ?? role;
}

function details({ enabled, trusted, download }: Situation, status: Status): string {
  const lines = [`**Nearfield** · ${where(status)}`];
  if (status.detail) lines.push(escape(status.detail));
  if (!trusted) {
    lines.push("This workspace is not trusted: no cloud, no tools, none of its settings.");
  }
  if (!enabled) lines.push("Completions are off by your settings.");
  if (status.last?.reason) {
    lines.push(escape(`No suggestion: ${status.last.sentence} ${status.last.advice}`.trim()));
  }
  if (download) lines.push(`Downloading ${escape(download.name)}.`);
  const rows = served(status).map(
    ({ role, model, provider, local }) =>
      `- ${escape(roleTitle(role))}: ${escape(model || provider)}, ` +
      (local === false ? "$(cloud) outside this machine" : "$(device-desktop) on this machine"),
  );
  if (rows.length) lines.push(rows.join("\n"));
  const { index } = status;
  if (index && index.files > 0) {
    const far = isIndexing(index) && index.total ? ` (${index.done} of ${index.total})` : "";
    lines.push(`Index: ${index.files} files, ${escape(index.state)}${far}`);
  }
  return lines.join("\n\n");
}

function percent(part: number | null | undefined): string {
  return part === null || part === undefined ? "" : ` ${Math.round(part * 100)} %`;
}

/** What comes from outside must not become Markdown, nor an icon. */
function escape(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+\-.!|<>$~]/g, "\\$&");
}

function plain(text: string, tooltip: string): Shown {
  return { text, tooltip, kind: "plain" };
}

function warning(text: string, tooltip: string): Shown {
  return { text, tooltip, kind: "warning" };
}

function error(text: string, tooltip: string): Shown {
  return { text, tooltip, kind: "error" };
}
