/** Names that are made of other programs' names. */

/** A name for the catalogue, after the file's. */
export function nameFor(file: string): string {
  const base = file.split("/").pop() ?? file;
  return base
    .replace(/\.gguf$/i, "")
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, "-")
    .replace(/^[.-]+|[.-]+$/g, "");
}

/** A file's name after a chat's title. */
export function fileName(title: string): string {
  const plain = title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "");
  return plain.slice(0, 60) || "chat";
}
