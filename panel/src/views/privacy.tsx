/** Privacy: what left this machine, to whom, with whose consent, at what price. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { query } from "../api";
import { counted, moment, words } from "../format";
import { changed, post } from "../live";
import { Choice, Empty, Mark, Path, Section, Text } from "../parts/blocks";
import { Button } from "../parts/button";
import { confirm } from "../parts/dialog";
import { Show, useLoaded } from "../parts/loaded";
import { complain, say } from "../parts/notices";
import { Table } from "../parts/table";
import type { Consent, Privacy } from "../wire";
import { Money } from "./money";
import { Sent } from "./sent";

export function PrivacyView(): JSX.Element {
  const [provider, setProvider] = useState("");
  const [outcome, setOutcome] = useState("");
  const path = query("privacy", { limit: 50, provider, outcome });
  const found = useLoaded<Privacy>(path, "privacy");
  return (
    <Show of={found}>
      {(value) => (
        <>
          <Switch of={value} />
          <Money of={value} />
          <Sent key={path} path={path} of={value}>
            <Choice
              label="To"
              value={provider}
              options={[["", "all"], ...providers(value).map((name) => [name, name] as const)]}
              onChoose={setProvider}
            />
            <Choice
              label="Outcome"
              value={outcome}
              options={[["", "all"], ...OUTCOMES.map((name) => [name, words(name)] as const)]}
              onChoose={setOutcome}
            />
          </Sent>
          <Consents of={value.consent} />
        </>
      )}
    </Show>
  );
}

const OUTCOMES = ["answered", "cancelled", "sending"];

function providers(of: Privacy): string[] {
  const clouds = of.spend.models.filter((one) => !one.local).map((one) => one.provider);
  return [...new Set([...clouds, ...of.entries.map((entry) => entry.provider)])].sort();
}

function Switch({ of }: { of: Privacy }): JSX.Element {
  const turn = async (): Promise<void> => {
    const on = !of.local_only;
    if (!on) {
      const sure = await confirm(
        "Allow the cloud again?",
        "What counted before counts again. A cloud is still asked only with your consent for the folder.",
        "Allow",
        false,
      );
      if (!sure) return;
    }
    const { strategy } = await post<{ strategy: string }>("privacy/local_only", { on });
    say(
      on ? "From now on nothing is sent to a cloud." : `The strategy is ${words(strategy)} again.`,
    );
    changed(["privacy", "routing"]);
  };
  return (
    <Section
      title="Local only"
      aside={
        <button
          type="button"
          role="switch"
          aria-checked={of.local_only}
          aria-label="Local only"
          class="switch"
          onClick={() => void turn().catch(complain)}
        >
          <span aria-hidden="true" />
        </button>
      }
    >
      <p>
        {of.local_only ? (
          <>
            <Mark tone="good">on</Mark> Models on this machine alone answer. No request goes to a
            cloud.
          </>
        ) : (
          <>
            <Mark tone="warn">off</Mark> The strategy is {words(of.strategy)}: clouds that you
            consented to below may be asked.
          </>
        )}
      </p>
    </Section>
  );
}

function Consents({ of }: { of: readonly Consent[] }): JSX.Element {
  const revoke = async (workspace: string | null, provider: string | null): Promise<void> => {
    const sure = await confirm(
      provider === null ? "Revoke every consent?" : `Revoke the consent for ${provider}?`,
      "Before something is sent there again, you are asked.",
      "Revoke",
    );
    if (!sure) return;
    const { revoked } = await post<{ revoked: number }>("privacy/revoke", {
      workspace,
      provider,
    });
    say(`${counted(revoked, "answer")} revoked.`);
    changed(["privacy"]);
  };
  return (
    <Section
      title="Consents"
      aside={
        of.length > 1 && (
          <Button kind="danger" onPress={() => revoke(null, null)}>
            Revoke all
          </Button>
        )
      }
    >
      {of.length === 0 ? (
        <Empty>
          None was given. When you answer an offer for a folder, your answer is listed here.
        </Empty>
      ) : (
        <Table
          caption="Consents"
          rows={of}
          rowKey={(one) => `${one.workspace} ${one.provider} ${one.destination}`}
          columns={[
            {
              title: "Folder",
              head: true,
              cell: (one: Consent) => <Path of={one.workspace} />,
            },
            { title: "Provider", cell: (one) => <Text of={one.provider} /> },
            { title: "Goes to", cell: (one) => <Text of={one.destination} /> },
            {
              title: "Answer",
              cell: (one) =>
                one.consent === "never" ? (
                  <Mark tone="quiet">never</Mark>
                ) : (
                  <Mark tone="warn">allowed</Mark>
                ),
            },
            { title: "Given", cell: (one) => moment(one.at) },
            {
              title: "Do",
              cell: (one) => (
                <Button
                  kind="danger"
                  label={`Revoke ${one.provider} in ${one.workspace}`}
                  onPress={() => revoke(one.workspace, one.provider)}
                >
                  Revoke
                </Button>
              ),
            },
          ]}
        />
      )}
    </Section>
  );
}
