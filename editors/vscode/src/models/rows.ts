/** The model picker's rows. Knows nothing of VS Code. */

import { roleTitle } from "../status/words";
import type { ModelPick, PickGroup, RolePick } from "../wire";

export interface Row {
  readonly label: string;
  readonly description: string;
  readonly detail: string;
}

/** One role: what it does, and who serves it now. */
export function roleRow({ role, does, provider, model }: RolePick): Row {
  const now = model || provider;
  return { label: roleTitle(role), description: does, detail: now ? `now: ${now}` : "nobody serves it" };
}

/** One model. */
export function row(model: ModelPick, group: PickGroup): Row {
  const icon = model.current
    ? "$(check)"
    : model.refused
      ? "$(circle-slash)"
      : model.missing
        ? "$(cloud-download)"
        : model.name === "auto"
          ? "$(wand)"
          : group.local
            ? "$(device-desktop)"
            : "$(cloud)";
  const states = [
    model.current ? "in use" : "",
    model.recommended ? "recommended here" : "",
    group.local ? "" : "outside this machine",
  ].filter(Boolean);
  const detail = model.refused || model.about;
  return { label: `${icon} ${model.title}`, description: states.join(", "), detail };
}

/** The reason of a provider that did not say which models it has. */
export function problemRow(group: PickGroup): Row {
  return { label: `$(warning) ${group.provider}`, description: "", detail: group.problem };
}

/** Decimal, as disks are sold. */
export function gigabytes(bytes: number): string {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
