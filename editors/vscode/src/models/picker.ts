/** Choose a model for a role, fetch it where it is not here, and remove those that are. */

import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";

import { say } from "../actions/ask";
import type { Server } from "../server/server";
import { setForUser } from "../settings/sources";
import type { StatusItem } from "../status/item";
import { ModelList, UseModel, type ModelPick, type PickGroup, type Picks, type RolePick } from "../wire";
import { gigabytes, problemRow, roleRow, row } from "./rows";

/** The roles whose model can also be set in the editor's own settings. */
const OWN_ROLES = ["complete", "edit", "chat"];
const OWN = "embedded";
const DOWNLOAD: vscode.QuickInputButton = {
  iconPath: new vscode.ThemeIcon("cloud-download"),
  tooltip: "Download",
};
const REMOVE: vscode.QuickInputButton = { iconPath: new vscode.ThemeIcon("trash"), tooltip: "Delete from this machine" };

interface RoleChoice extends vscode.QuickPickItem {
  readonly role: RolePick;
}

interface Choice extends vscode.QuickPickItem {
  readonly model?: ModelPick;
}

export class ModelPicker {
  constructor(
    private readonly server: Server,
    private readonly status: StatusItem,
  ) {}

  /** Ask for a role and a model, and let that model serve it. */
  async choose(): Promise<void> {
    try {
      const { roles } = await this.list();
      const options = { title: "Nearfield: choose a model for …", matchOnDescription: true };
      const rows: RoleChoice[] = roles.map((role) => ({ ...roleRow(role), role }));
      const chosen = await vscode.window.showQuickPick(rows, options);
      if (chosen) await this.pick(chosen.role);
    } catch (error) {
      say(error);
    }
  }

  private async pick({ role, does }: RolePick): Promise<void> {
    const picker = vscode.window.createQuickPick<Choice>();
    picker.title = `Nearfield: model for ${role} (${does})`;
    picker.placeholder = "Asking your providers for their models…";
    picker.matchOnDescription = true;
    picker.matchOnDetail = true;
    picker.busy = true;
    picker.show();
    const done = new Promise<ModelPick | undefined>((resolve) => {
      picker.onDidAccept(() => {
        const [chosen] = picker.selectedItems;
        if (chosen?.model) resolve(chosen.model);
      });
      picker.onDidHide(() => {
        resolve(undefined);
      });
    });
    const fill = async (): Promise<void> => {
      const { groups } = await this.list(role);
      picker.items = groups.flatMap(choices);
      picker.placeholder = "What is picked is written into your config.toml";
      picker.busy = false;
    };
    picker.onDidTriggerItemButton(({ item, button }) => {
      const model = item.model;
      if (!model) return;
      const work = button === REMOVE ? this.remove(model.name) : this.download(model.name);
      void work.then(fill).catch(say);
    });
    try {
      await fill();
      const chosen = await done;
      picker.hide();
      if (chosen) await this.use(role, chosen);
    } finally {
      picker.dispose();
    }
  }

  private client(): LanguageClient {
    const client = this.server.client;
    if (!client) throw new Error("The server does not run yet.");
    return client;
  }

  private async list(role = ""): Promise<Picks> {
    return this.client().sendRequest(ModelList, { role });
  }

  private async use(role: string, model: ModelPick): Promise<void> {
    if (model.refused) {
      void vscode.window.showWarningMessage(`Nearfield: ${model.refused}`);
      return;
    }
    if (model.missing && !(await this.download(model.name))) return;
    const client = this.client();
    // The editor's setting would go before the file that the server writes.
    if (OWN_ROLES.includes(role)) await setForUser(`models.${role}`, undefined);
    const now = await client.sendRequest(UseModel, { role, name: model.name });
    if (now.note) void vscode.window.showWarningMessage(`Nearfield: ${now.note}`);
    await this.status.refresh();
  }

  /** Fetch it, with progress; answers whether it is here. What has come is kept when cancelled. */
  private async download(name: string): Promise<boolean> {
    const options = {
      location: vscode.ProgressLocation.Notification,
      title: `Nearfield: downloading ${name}`,
      cancellable: true,
    };
    try {
      return await vscode.window.withProgress(options, async (progress, token) => {
        const abort = new AbortController();
        token.onCancellationRequested(() => {
          abort.abort();
        });
        let told = 0;
        const onLine = (line: string, stream: "out" | "err"): void => {
          const step = stream === "err" ? stepOf(line) : undefined;
          if (!step) return;
          const part = step.total > 0 ? step.done / step.total : undefined;
          this.status.downloading({ name, part });
          const percent = Math.floor((part ?? 0) * 100);
          const message =
            step.phase === "fetching"
              ? `${gigabytes(step.done)} of ${gigabytes(step.total)}`
              : step.phase === "waiting"
                ? "another window fetches it"
                : "checking what is here";
          progress.report({ message, increment: Math.max(0, percent - told) });
          told = Math.max(told, percent);
        };
        const args = ["models", "pull", name, "--json", "--steps"];
        const { code, out } = await this.server.cli(args, { signal: abort.signal, onLine });
        if (token.isCancellationRequested) return false;
        if (code !== 0) throw new Error(errorIn(out));
        return true;
      });
    } finally {
      this.status.downloading(undefined);
    }
  }

  private async remove(name: string): Promise<void> {
    const question = `Delete ${name} from this machine?`;
    const answer = await vscode.window.showWarningMessage(question, { modal: true }, "Delete");
    if (answer !== "Delete") return;
    const { code, out } = await this.server.cli(["models", "remove", name, "--json"]);
    if (code !== 0) throw new Error(errorIn(out));
    await this.server.reread();
  }
}

/** A provider's models below its name. */
function choices(group: PickGroup): Choice[] {
  const head: Choice = { label: group.title, kind: vscode.QuickPickItemKind.Separator };
  const models = group.models.map((model) => ({
    ...row(model, group),
    model,
    alwaysShow: model.name === "auto",
    buttons: group.provider === OWN && model.name !== "auto" ? [model.missing ? DOWNLOAD : REMOVE] : [],
  }));
  return [head, ...models, ...(group.problem ? [problemRow(group)] : [])];
}

interface Step {
  readonly phase: string;
  readonly done: number;
  readonly total: number;
}

/** A line of `models pull --steps`; warnings in between are not for us. */
function stepOf(line: string): Step | undefined {
  if (!line.startsWith("{")) return undefined;
  return JSON.parse(line) as Step;
}

/** What `--json` says of an error. */
function errorIn(out: string): string {
  try {
    const { error, hint } = JSON.parse(out) as { error?: string; hint?: string };
    return [error ?? "It did not succeed.", hint].filter(Boolean).join(" ");
  } catch {
    return out.trim() || "It did not succeed; the log says why."; // Not JSON: it ended early.
  }
}
