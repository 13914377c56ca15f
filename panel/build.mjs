// Builds the page into server/nearfield/panel/page, or with --check says whether that is what these
// sources give. The output is in git, so that an installation needs no Node; it is the same bytes
// on every machine.
import { build } from "esbuild";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = `${here}../server/nearfield/panel/page`;
const LIBRARIES = ["preact", "@preact/signals", "@preact/signals-core", "uplot"];

const result = await build({
  absWorkingDir: here,
  entryPoints: { panel: "src/main.tsx" },
  outdir: out,
  bundle: true,
  minify: true,
  charset: "utf8",
  format: "esm",
  platform: "browser",
  target: ["es2022", "chrome111", "firefox113", "safari16.4"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  logLevel: "warning",
  write: false,
});
const files = new Map(
  result.outputFiles.map((file) => [file.path.slice(file.path.lastIndexOf("/") + 1), file.text]),
);
for (const name of ["index.html", "favicon.svg"])
  files.set(name, await readFile(`${here}src/${name}`, "utf8"));
files.set("licences.txt", await licences());

if (process.argv.includes("--check")) await check();
else await write();

/** The licences of what is bundled, each after its name and version. */
async function licences() {
  const parts = [];
  for (const name of LIBRARIES) {
    const folder = `${here}node_modules/${name}`;
    const { version, license } = JSON.parse(await readFile(`${folder}/package.json`, "utf8"));
    const text = (await readFile(`${folder}/LICENSE`, "utf8")).replaceAll("\r\n", "\n").trim();
    parts.push(`${name} ${version} (${license})\n\n${text}\n`);
  }
  return parts.join(`\n${"-".repeat(80)}\n\n`);
}

async function write() {
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  let bytes = 0;
  for (const [name, text] of files) {
    await writeFile(`${out}/${name}`, text);
    if (name !== "licences.txt") bytes += Buffer.byteLength(text);
  }
  process.stdout.write(`panel: ${(bytes / 1000).toFixed(1)} kB\n`);
}

async function check() {
  const stale = [];
  for (const [name, text] of files) {
    const kept = await readFile(`${out}/${name}`, "utf8").catch(() => "");
    if (kept !== text) stale.push(name);
  }
  if (stale.length === 0) return;
  process.stderr.write(
    `server/nearfield/panel/page is not what panel/src gives (${stale.join(", ")}): run make panel\n`,
  );
  process.exit(1);
}
