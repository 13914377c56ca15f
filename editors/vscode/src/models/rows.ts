/** The model picker's rows. Knows nothing of VS Code. */

/** A row of `nearfield models list --json`. */
export interface Model {
  readonly name: string;
  readonly title: string;
  readonly roles: readonly string[];
  readonly fim: string;
  readonly licence: string;
  readonly bytes: number | null;
  readonly memory_mb: number;
  readonly installed: boolean;
  readonly used_for: readonly string[];
  readonly problem: string | null;
  readonly here: {
    readonly fits: boolean;
    readonly in_time_for: readonly string[];
    /** null where only a measurement can tell. */
    readonly tokens_per_second: number | null;
  } | null;
}

export type Role = "complete" | "chat";

export interface Row {
  readonly label: string;
  readonly description: string;
  readonly detail: string;
}

/** One model, for a role. */
export function row(model: Model, role: Role, recommended: boolean): Row {
  const icon = model.used_for.includes(role)
    ? "$(check)"
    : model.installed
      ? "$(device-desktop)"
      : "$(cloud-download)";
  const states = [
    model.problem ? "damaged" : "",
    model.used_for.includes(role) ? "in use" : "",
    recommended ? "recommended here" : "",
  ].filter(Boolean);
  const facts = [
    model.memory_mb ? `needs ${gigabytes(model.memory_mb * 2 ** 20)} of memory` : "",
    pace(model, role),
    model.installed ? "" : model.bytes ? `${gigabytes(model.bytes)} to download` : "to download",
    role === "complete" && model.fim === "" ? "cannot fill in" : "",
    model.licence,
  ].filter(Boolean);
  return { label: `${icon} ${model.name}`, description: states.join(", "), detail: facts.join(" · ") };
}

/** The models for a role: what is in use, then what is here, then what answers in time. */
export function sorted(models: readonly Model[], role: Role, recommended: string): Model[] {
  const rank = (model: Model): number =>
    (model.used_for.includes(role) ? 16 : 0) +
    (model.name === recommended ? 8 : 0) +
    (model.installed ? 4 : 0) +
    (model.here?.in_time_for.includes(role) ? 2 : 0) +
    (model.here?.fits ? 1 : 0);
  return models
    .filter((model) => model.roles.includes(role))
    .sort((a, b) => rank(b) - rank(a) || a.memory_mb - b.memory_mb);
}

function pace({ here }: Model, role: Role): string {
  if (!here) return "";
  if (!here.fits) return "too large for this machine's memory";
  const rate = here.tokens_per_second;
  const about = rate === null ? "" : `about ${rate < 10 ? rate.toFixed(1) : Math.round(rate)} tokens/s`;
  if (here.in_time_for.includes(role)) return about || "fast enough here";
  return about ? `slow here, ${about}` : "slow here";
}

/** Decimal, as disks are sold. */
export function gigabytes(bytes: number): string {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
