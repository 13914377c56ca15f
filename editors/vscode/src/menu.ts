/** The menu behind the status item. */

import * as vscode from "vscode";

import type { Server } from "./server/server";
import { openSettings, setForUser } from "./settings/sources";
import { enabledHere, type StatusItem } from "./status/item";

interface Entry extends vscode.QuickPickItem {
  readonly run?: () => Thenable<unknown>;
}

const STRATEGIES = [
  ["local_only", "Local only", "No model outside this machine is asked."],
  ["local_first", "Local first", "The cloud when local is down, too slow or not good enough, and you agree."],
  ["hybrid", "Hybrid", "By task and length, where you agree."],
  ["cloud_only", "Cloud only", "Always the cloud, where you agree."],
] as const;

/** Show what can be done now. */
export async function showMenu(server: Server, status: StatusItem): Promise<void> {
  if (server.life === "missing") {
    await server.setUp();
    return;
  }
  const entries = server.client ? running(status) : [];
  const chosen = await vscode.window.showQuickPick([...entries, ...always(server)], {
    title: "Nearfield",
    placeHolder: "What shall Nearfield do?",
  });
  await chosen?.run?.();
}

/** Ask which models may be considered at all. */
export async function chooseStrategy(server: Server): Promise<void> {
  const now = vscode.workspace.getConfiguration("nearfield.routing").get<string>("strategy");
  const chosen = await vscode.window.showQuickPick(
    STRATEGIES.map(([value, label, detail]) => ({
      label: `${value === now ? "$(check) " : ""}${label}`,
      detail,
      value,
    })),
    { title: "Nearfield: which models may answer?" },
  );
  if (chosen) await setForUser("routing.strategy", chosen.value);
  if (chosen) await server.reread();
}

function running(status: StatusItem): Entry[] {
  const language = vscode.window.activeTextEditor?.document.languageId;
  const paused = status.status?.state === "paused";
  const pause = paused
    ? call("$(play) Resume in this window", "nearfield.resume")
    : call("$(debug-pause) Pause in this window", "nearfield.pause");
  return [
    ...(enabledHere() ? [pause] : []),
    everywhere(),
    ...(language ? [inLanguage(language)] : []),
    separator("Models"),
    call("$(server-environment) Choose a model…", "nearfield.chooseModel", status.status?.model),
    call("$(git-compare) Choose a strategy…", "nearfield.chooseStrategy"),
    call("$(shield) What may be sent where…", "nearfield.showConsent"),
    separator("Work"),
    call("$(comment-discussion) Open the chat", "nearfield.openChat"),
    call("$(checklist) Review your changes", "nearfield.do.reviewChanges"),
    separator("Look"),
    call("$(dashboard) Open the control panel", "nearfield.openPanel"),
    call("$(graph) Statistics", "nearfield.stats"),
    call("$(book) What was sent (audit)", "nearfield.audit"),
    call("$(pulse) Doctor", "nearfield.doctor"),
  ];
}

function always(server: Server): Entry[] {
  return [
    ...(server.client ? [] : [call("$(desktop-download) Install the server", "nearfield.setUp")]),
    call("$(output) Show the log", "nearfield.showLog"),
    { label: "$(gear) Settings", run: () => openSettings() },
    call("$(refresh) Restart the server", "nearfield.restart"),
  ];
}

function everywhere(): Entry {
  const on = vscode.workspace.getConfiguration("nearfield.completion").get<boolean>("enabled", true);
  return {
    label: on ? "$(circle-slash) Turn completions off everywhere" : "$(play) Turn completions on",
    run: () => setForUser("completion.enabled", on ? false : undefined),
  };
}

function inLanguage(language: string): Entry {
  const settings = vscode.workspace.getConfiguration("nearfield.completion");
  const off = settings.get<string[]>("disabled_languages", []);
  const isOff = off.includes(language);
  return {
    label: isOff ? `$(play) Turn on for ${language}` : `$(circle-slash) Turn off for ${language}`,
    run: () => {
      const rest = off.filter((one) => one !== language);
      return setForUser("completion.disabled_languages", isOff ? rest : [...rest, language]);
    },
  };
}

function call(label: string, command: string, description = ""): Entry {
  return { label, description, run: () => vscode.commands.executeCommand(command) };
}

function separator(label: string): Entry {
  return { label, kind: vscode.QuickPickItemKind.Separator };
}
