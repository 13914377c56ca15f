/** A message for what is staged, put into the box of Source Control, where it can be changed. */

import * as vscode from "vscode";

import { CommitMessage } from "../wire";
import type { Ask } from "./ask";

/** The part of the API of VS Code's own extension for git that is used here. */
interface Repository {
  readonly rootUri: vscode.Uri;
  readonly inputBox: { value: string };
}
interface GitExtension {
  getAPI(version: 1): { readonly repositories: readonly Repository[] };
}

/** Suggest a message for a repository: that of the button, or the only one, or one that is chosen. */
export async function suggestCommitMessage(ask: Ask, place: unknown): Promise<void> {
  const repository = await chosen(place);
  if (!repository) return;
  const params = { workspace: folderOf(repository), count: 1 };
  const found = await ask.request(
    "writing a commit message",
    (client, token) => client.sendRequest(CommitMessage, params, token),
    vscode.ProgressLocation.SourceControl,
  );
  const message = found?.messages[0];
  if (message) repository.inputBox.value = message;
  if (found?.notes.length) void vscode.window.showInformationMessage(`Nearfield: ${found.notes.join(" ")}`);
}

async function chosen(place: unknown): Promise<Repository | undefined> {
  const git = vscode.extensions.getExtension<GitExtension>("vscode.git");
  if (!git) {
    void vscode.window.showWarningMessage("Nearfield: VS Code's extension for git is turned off.");
    return undefined;
  }
  const { repositories } = (await git.activate()).getAPI(1);
  const root = isSourceControl(place) ? place.rootUri?.toString() : undefined;
  const named = repositories.find((one) => one.rootUri.toString() === root);
  if (named || repositories.length < 2) {
    const found = named ?? repositories[0];
    if (!found) void vscode.window.showWarningMessage("Nearfield: no git repository is open.");
    return found;
  }
  const paths = repositories.map((one) => one.rootUri.fsPath);
  const path = await vscode.window.showQuickPick(paths, { title: "A message for which repository?" });
  return repositories.find((one) => one.rootUri.fsPath === path);
}

/** The open folder that the repository is, or that it shares files with. */
function folderOf({ rootUri }: Repository): string {
  const root = rootUri.path;
  const folders = (vscode.workspace.workspaceFolders ?? []).map((one) => one.uri);
  const shares = folders.find(({ path }) => path === root || path.startsWith(`${root}/`) || root.startsWith(`${path}/`));
  return (shares ?? rootUri).fsPath;
}

function isSourceControl(place: unknown): place is vscode.SourceControl {
  return typeof place === "object" && place !== null && "rootUri" in place;
}
