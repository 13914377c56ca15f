// Bundles the extension and its chat view into dist/.
import { build } from "esbuild";

const shared = { bundle: true, minify: true, legalComments: "none", logLevel: "warning" };
await build({
  ...shared,
  entryPoints: ["src/extension.ts"],
  outfile: "dist/extension.js",
  platform: "node",
  format: "cjs",
  target: "node20",
  external: ["vscode"],
});
await build({
  ...shared,
  entryPoints: ["src/chat/webview/main.ts"],
  outfile: "dist/chat.js",
  platform: "browser",
  format: "iife",
  target: "es2022",
});
