/** Reads the settings out of VS Code; `told.ts` decides what of them the server is told. */

import * as vscode from "vscode";

import { told, type Tree } from "./told";

const SECTION = "nearfield";

/** The settings for the server as they are now. */
export function serverSettings(context: vscode.ExtensionContext): Tree {
  const inspected = vscode.workspace.getConfiguration().inspect(SECTION);
  return told(inspected ?? {}, workspaceKeys(context), vscode.workspace.isTrusted);
}

/** Where the user says that the server is, "" for nowhere. */
export function serverPath(): string {
  return vscode.workspace.getConfiguration(SECTION).get<string>("server.path", "").trim();
}

/** Set a setting for the user; undefined takes it away. */
export async function setForUser(key: string, value: unknown): Promise<void> {
  const settings = vscode.workspace.getConfiguration(SECTION);
  await settings.update(key, value, vscode.ConfigurationTarget.Global);
}

/** Open the settings at ours, or at the one that is named. */
export async function openSettings(query = "@ext:nearfield.nearfield"): Promise<void> {
  await vscode.commands.executeCommand("workbench.action.openSettings", query);
}

/** The keys that a workspace may set: those whose scope is not `machine`. */
function workspaceKeys(context: vscode.ExtensionContext): string[] {
  const manifest = context.extension.packageJSON as {
    contributes: { configuration: { properties: Record<string, { scope?: string }> }[] };
  };
  return manifest.contributes.configuration
    .flatMap((section) => Object.entries(section.properties))
    .filter(([, property]) => property.scope !== "machine")
    .map(([key]) => key.slice(SECTION.length + 1));
}
