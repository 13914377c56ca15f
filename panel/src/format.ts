/** Numbers with their units, as people read them. An absent number is a dash. */

const NONE = "–";

type Value = number | null | undefined;

function known(value: Value): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** 12,345 */
export function count(value: Value): string {
  return known(value) ? grouped.format(value) : NONE;
}

/** "1 file", "12,345 files" */
export function counted(value: Value, one: string, many = `${one}s`): string {
  return known(value) ? `${count(value)} ${value === 1 ? one : many}` : NONE;
}

/** 531 MB; decimal units, as hubs and disks are labelled. */
export function bytes(value: Value): string {
  if (!known(value)) return NONE;
  if (value < 1000) return `${value}\u00a0B`;
  const units = ["kB", "MB", "GB", "TB"];
  let size = value;
  let unit = "B";
  for (const next of units) {
    if (size < 999.5) break;
    size /= 1000;
    unit = next;
  }
  return `${size < 10 ? size.toFixed(1) : size.toFixed(0)}\u00a0${unit}`;
}

/** 85 ms, 1.4 s, 3 min 20 s */
export function milliseconds(value: Value): string {
  if (!known(value)) return NONE;
  if (value < 1000)
    return `${value < 10 ? value.toFixed(1).replace(/\.0$/, "") : Math.round(value)} ms`;
  return seconds(value / 1000);
}

/** 1.4 s, 3 min 20 s, 2 h 5 min */
export function seconds(value: Value): string {
  if (!known(value)) return NONE;
  if (value < 60) return `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;
  const whole = Math.round(value);
  if (whole < 3600) return pair(Math.floor(whole / 60), "min", whole % 60, "s");
  if (whole < 86_400)
    return pair(Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "min");
  return pair(Math.floor(whole / 86_400), "d", Math.floor((whole % 86_400) / 3600), "h");
}

function pair(large: number, unit: string, small: number, smaller: string): string {
  return small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${smaller}`;
}

/** 38 %; `value` is from 0 to 1. */
export function share(value: Value): string {
  if (!known(value)) return NONE;
  const percent = value * 100;
  return `${percent > 0 && percent < 10 ? percent.toFixed(1) : percent.toFixed(0)}\u00a0%`;
}

/** 41.3 tokens/s */
export function rate(value: Value): string {
  return known(value) ? `${value < 100 ? value.toFixed(1) : count(value)} tokens/s` : NONE;
}

/** $0.0123; two places from ten cents on, four below. A string is a decimal number. */
export function dollars(value: Value | string): string {
  const amount = typeof value === "string" ? Number(value) : value;
  if (!known(amount)) return NONE;
  return `$${amount !== 0 && Math.abs(amount) < 0.1 ? amount.toFixed(4) : amount.toFixed(2)}`;
}

/** 14:03:22 today, else 2026-11-30 14:03; `at` is in seconds since 1970. */
export function moment(at: Value, now: Date = new Date()): string {
  if (!known(at)) return NONE;
  const date = new Date(at * 1000);
  const two = (value: number): string => String(value).padStart(2, "0");
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (date.toDateString() === now.toDateString()) return `${clock}:${two(date.getSeconds())}`;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock}`;
}

/** "3 min ago"; `at` is in seconds since 1970. */
export function ago(at: Value, now: number = Date.now() / 1000): string {
  if (!known(at)) return NONE;
  const age = now - at;
  if (age < 5) return "just now";
  return `${seconds(age < 60 ? Math.round(age / 5) * 5 : age - (age % 60)).replace(/\.0 s/, " s")} ago`;
}

/** A text as it is written, with what cannot be seen (control characters, marks that turn the
 * direction) made visible, so that a hostile name shows as what it is. */
export function visible(text: string): string {
  return text.replace(
    // eslint-disable-next-line no-control-regex -- these are what is looked for
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** "next_edit" → "next edit" */
export function words(name: string): string {
  return visible(name).replaceAll("_", " ");
}
