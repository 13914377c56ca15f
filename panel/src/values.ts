/** Values of settings as text in a field, and back. */

/** A value as it is typed. */
export function typed(value: unknown, kind: string): string {
  if (value === null || value === undefined) return "";
  if (kind === "list" && Array.isArray(value) && value.every((one) => typeof one === "string"))
    return value.join("\n");
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The value that was typed. Raises `SyntaxError` for what is no JSON where JSON is asked. */
export function understood(text: string, kind: string): unknown {
  switch (kind) {
    case "bool":
      return text === "true";
    case "int":
    case "float":
      return text.trim() === "" || Number.isNaN(Number(text)) ? text : Number(text);
    case "list":
      return text.trim().startsWith("[")
        ? (JSON.parse(text) as unknown)
        : text
            .split("\n")
            .map((line) => line.trim())
            .filter(Boolean);
    case "json":
      return JSON.parse(text) as unknown;
    default:
      return text;
  }
}
