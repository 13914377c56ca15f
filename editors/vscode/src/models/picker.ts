/** Choose a model for a role, fetch it where it is not here, and remove those that are. */

import * as vscode from "vscode";

import { say } from "../actions/ask";
import type { Server } from "../server/server";
import { setForUser } from "../settings/sources";
import type { StatusItem } from "../status/item";
import { gigabytes, row, sorted, type Model, type Role } from "./rows";

const ROLES: readonly (vscode.QuickPickItem & { role: Role })[] = [
  { label: "$(sparkle) Completions", description: "what is suggested as you type", role: "complete" },
  { label: "$(comment-discussion) Chat and actions", description: "explain, fix, rewrite, review", role: "chat" },
];
const DOWNLOAD: vscode.QuickInputButton = {
  iconPath: new vscode.ThemeIcon("cloud-download"),
  tooltip: "Download",
};
const REMOVE: vscode.QuickInputButton = { iconPath: new vscode.ThemeIcon("trash"), tooltip: "Delete from this machine" };

interface Choice extends vscode.QuickPickItem {
  readonly model?: Model;
}

export class ModelPicker {
  constructor(
    private readonly server: Server,
    private readonly status: StatusItem,
  ) {}

  /** Ask for a role and a model, and let that model serve it. */
  async choose(): Promise<void> {
    const options = { title: "Nearfield: choose a model for …" };
    const role = (await vscode.window.showQuickPick(ROLES, options))?.role;
    if (!role) return;
    try {
      await this.pick(role);
    } catch (error) {
      say(error);
    }
  }

  private async pick(role: Role): Promise<void> {
    const picker = vscode.window.createQuickPick<Choice>();
    picker.title = role === "complete" ? "Nearfield: model for completions" : "Nearfield: model for chat and actions";
    picker.placeholder = "All of these run on this machine";
    picker.matchOnDetail = true;
    picker.busy = true;
    picker.show();
    const done = new Promise<Model | "auto" | undefined>((resolve) => {
      picker.onDidAccept(() => {
        const [chosen] = picker.selectedItems;
        resolve(chosen?.model ?? (chosen ? "auto" : undefined));
      });
      picker.onDidHide(() => {
        resolve(undefined);
      });
    });
    const fill = async (): Promise<void> => {
      picker.items = await this.choices(role);
      picker.busy = false;
    };
    picker.onDidTriggerItemButton(({ item, button }) => {
      const model = item.model;
      if (!model) return;
      const work = button === REMOVE ? this.remove(model) : this.download(model);
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

  private async choices(role: Role): Promise<Choice[]> {
    const [models, advice] = await Promise.all([
      this.json<Model[]>(["models", "list", "--json"]),
      this.json<{ roles: { role: string; model: string }[] }>(["models", "recommend", "--json"]),
    ]);
    const best = advice.roles.find((one) => one.role === role)?.model ?? "";
    const automatic: Choice = {
      label: "$(wand) Automatic",
      description: "the best one on this machine",
      alwaysShow: true,
    };
    return [
      automatic,
      ...sorted(models, role, best).map((model) => ({
        ...row(model, role, model.name === best),
        model,
        buttons: [model.installed ? REMOVE : DOWNLOAD],
      })),
    ];
  }

  private async use(role: Role, chosen: Model | "auto"): Promise<void> {
    if (chosen !== "auto" && !chosen.installed && !(await this.download(chosen))) return;
    // The editor's setting would go before the file that the server's command writes.
    await setForUser(`models.${role}`, undefined);
    const name = chosen === "auto" ? "auto" : chosen.name;
    await this.json(["models", "use", role, name, "--json"]);
    await this.server.reread();
    await this.status.refresh();
  }

  /** Fetch it, with progress; answers whether it is here. What has come is kept when cancelled. */
  private async download(model: Model): Promise<boolean> {
    const options = {
      location: vscode.ProgressLocation.Notification,
      title: `Nearfield: downloading ${model.name}`,
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
          this.status.downloading({ name: model.name, part });
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
        const args = ["models", "pull", model.name, "--json", "--steps"];
        const { code, out } = await this.server.cli(args, { signal: abort.signal, onLine });
        if (token.isCancellationRequested) return false;
        if (code !== 0) throw new Error(errorIn(out));
        return true;
      });
    } finally {
      this.status.downloading(undefined);
    }
  }

  private async remove(model: Model): Promise<void> {
    const size = model.bytes ? ` and free ${gigabytes(model.bytes)}` : "";
    const question = `Delete ${model.name} from this machine${size}?`;
    const answer = await vscode.window.showWarningMessage(question, { modal: true }, "Delete");
    if (answer !== "Delete") return;
    await this.json(["models", "remove", model.name, "--json"]);
    await this.server.reread();
  }

  private async json<T>(args: readonly string[]): Promise<T> {
    const { code, out } = await this.server.cli(args);
    if (code !== 0) throw new Error(errorIn(out));
    return JSON.parse(out) as T;
  }
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
