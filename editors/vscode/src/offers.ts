/** Puts to the user what a provider outside this machine could do, and what may be sent where. */

import * as vscode from "vscode";
import { ExecuteCommandRequest, type LanguageClient } from "vscode-languageclient/node";

import { say } from "./actions/ask";
import type { Server } from "./server/server";
import { Offered, type Consent, type Offer } from "./wire";

const DECISIONS: Readonly<Record<string, string>> = {
  "Just Once": "once",
  "In This Workspace": "workspace",
  Never: "never",
};
const DETAILS = "Details…";

/** Answer offers, and show and revoke what was allowed. */
export function registerOffers(server: Server): vscode.Disposable[] {
  return [
    server.onWillStart((client) => {
      client.onNotification(Offered, (offer) => {
        put(client, offer).catch(say);
      });
    }),
    vscode.commands.registerCommand("nearfield.showConsent", async () => {
      if (server.client) await consent(server.client).catch(say);
    }),
  ];
}

async function put(client: LanguageClient, offer: Offer): Promise<void> {
  // The first one is drawn as what one should press.
  const choices = [DETAILS, ...Object.keys(DECISIONS)];
  let chosen = await vscode.window.showInformationMessage(`Nearfield: ${offer.message}`, ...choices);
  if (chosen === DETAILS) {
    const detail = details(offer);
    const title = `Send this to ${offer.provider}?`;
    chosen = await vscode.window.showInformationMessage(
      title,
      { modal: true, detail },
      ...Object.keys(DECISIONS),
    );
  }
  const decision = chosen && DECISIONS[chosen];
  // Closed without an answer: the local answer stands, and nothing is sent.
  if (decision) await command(client, "nearfield.answer", offer.id, decision);
}

/** All that leaves, to whom, and what it costs. */
export function details(offer: Offer): string {
  const price = offer.price === null ? "not known" : `about $${offer.price.toPrecision(2)}`;
  const replaced = offer.redactions.map(({ kind, count }) => `${count} × ${kind}`).join(", ");
  return [
    `Why: ${offer.reason}`,
    `To: ${offer.provider}, ${offer.model}`,
    `What: ${offer.bytes} bytes from ${offer.files.join(", ") || "no file"}`,
    `Replaced before sending: ${replaced || "nothing was found"}`,
    `Price: ${price}`,
    offer.warning,
  ]
    .filter(Boolean)
    .join("\n");
}

async function consent(client: LanguageClient): Promise<void> {
  const rows = (await command(client, "nearfield.consent", "show")) as readonly Consent[];
  if (rows.length === 0) {
    void vscode.window.showInformationMessage(
      "Nearfield: you have allowed nothing to leave this machine, and refused nothing.",
    );
    return;
  }
  const chosen = await vscode.window.showQuickPick(
    rows.map((one) => ({
      label: `${one.consent === "never" ? "$(circle-slash)" : "$(cloud)"} ${one.provider}`,
      description: one.consent,
      detail: `${one.workspace || "every workspace"} → ${one.destination}`,
      one,
    })),
    { title: "Nearfield: what may be sent where", placeHolder: "Choose one to revoke it" },
  );
  if (!chosen) return;
  const { provider, workspace } = chosen.one;
  await command(client, "nearfield.consent", "revoke", provider, workspace);
  void vscode.window.showInformationMessage(`Nearfield: what you said about ${provider} is revoked.`);
}

function command(client: LanguageClient, name: string, ...given: readonly unknown[]): Promise<unknown> {
  return client.sendRequest(ExecuteCommandRequest.type, { command: name, arguments: [...given] });
}
