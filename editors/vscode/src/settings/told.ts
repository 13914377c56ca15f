/**
 * Which settings the server is told: those that somebody has set, and of a workspace's only those
 * that a workspace may set. Defaults stay at home, or they would hide the user's config.toml.
 */

export type Tree = Readonly<Record<string, unknown>>;

/** What `WorkspaceConfiguration.inspect` knows of the section `nearfield`. */
export interface Inspected {
  readonly globalValue?: unknown;
  readonly workspaceValue?: unknown;
  readonly workspaceFolderValue?: unknown;
}

/** Settings of the extension itself, which the server does not have. */
export const OURS: readonly string[] = ["server", "trace"];

/**
 * The settings for the server. `workspaceKeys` are the dotted keys that a workspace may set; those
 * of an untrusted one are not looked at, and nothing then leaves the machine.
 */
export function told(inspected: Inspected, workspaceKeys: Iterable<string>, trusted: boolean): Tree {
  let settings = tree(inspected.globalValue);
  if (trusted) {
    const keys = [...workspaceKeys];
    settings = laidOver(settings, only(tree(inspected.workspaceValue), keys));
    settings = laidOver(settings, only(tree(inspected.workspaceFolderValue), keys));
  } else {
    settings = laidOver(settings, { routing: { strategy: "local_only" } });
  }
  return Object.fromEntries(Object.entries(settings).filter(([name]) => !OURS.includes(name)));
}

/** `over` laid over `base`, table by table. */
export function laidOver(base: Tree, over: Tree): Tree {
  const result: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(over)) {
    const below = result[name];
    result[name] = isTree(below) && isTree(value) ? laidOver(below, value) : value;
  }
  return result;
}

/** What `settings` has at the dotted `keys`, and nothing else. */
function only(settings: Tree, keys: readonly string[]): Tree {
  let result: Tree = {};
  for (const key of keys) {
    const names = key.split(".");
    let value: unknown = settings;
    for (const name of names) value = isTree(value) ? value[name] : undefined;
    if (value === undefined) continue;
    result = laidOver(
      result,
      names.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as Tree,
    );
  }
  return result;
}

function tree(value: unknown): Tree {
  return isTree(value) ? value : {};
}

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
