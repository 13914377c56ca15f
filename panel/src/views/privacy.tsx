/** Privacy: what left this machine, to whom, with whose consent, at what price. */

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { query } from "../api";
import { bytes, count, counted, dollars, moment, share, words } from "../format";
import { changed, get, post } from "../live";
import { Choice, Empty, Figures, Input, Mark, Path, Section, Text } from "../parts/blocks";
import { Button } from "../parts/button";
import { Chart, type Drawing } from "../parts/chart";
import { confirm } from "../parts/dialog";
import { Show, useLoaded } from "../parts/loaded";
import { complain, say } from "../parts/notices";
import { Table } from "../parts/table";
import type { Consent, LedgerEntry, Privacy } from "../wire";
import { replaced } from "./explain";

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
          <Spend of={value} />
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

function Spend({ of }: { of: Privacy }): JSX.Element {
  const { spend, budget } = of;
  const days = useMemo(() => drawing(spend.days), [spend.days]);
  const limit = (soft: number | undefined, hard: number | undefined): string =>
    [soft ? `soft limit ${dollars(soft)}` : "", hard ? `hard limit ${dollars(hard)}` : ""]
      .filter(Boolean)
      .join(", ") || "no limit";
  return (
    <Section title="Money">
      <Figures
        of={[
          {
            title: "Today",
            value: dollars(spend.today),
            note: limit(budget.daily_soft, budget.daily_hard) + unknown(spend.today_unknown),
          },
          {
            title: "This month",
            value: dollars(spend.month),
            note: limit(budget.monthly_soft, budget.monthly_hard) + unknown(spend.month_unknown),
          },
          {
            title: "Saved by local answers",
            value: dollars(spend.saved),
            note: `at the price of ${spend.compare_with}, last 30 days`,
          },
          {
            title: "Answered on this machine",
            value: share(spend.share_local),
            note: "last 30 days",
          },
        ]}
      />
      {spend.days.length > 0 && <Chart of={days} />}
      {spend.models.length > 0 && (
        <Table
          caption="Requests and money by model, last 30 days"
          rows={spend.models}
          rowKey={(one) => `${one.provider} ${one.model} ${one.local}`}
          columns={[
            {
              title: "Model",
              head: true,
              cell: (one) => (
                <>
                  <Text of={one.model || one.provider} />{" "}
                  {one.local ? <Mark tone="good">local</Mark> : <Mark tone="warn">cloud</Mark>}
                  <span class="sub">
                    <Text of={one.provider} />
                  </span>
                </>
              ),
            },
            { title: "Requests", number: true, cell: (one) => count(one.requests) },
            { title: "Tokens read", number: true, cell: (one) => count(one.tokens_in) },
            {
              title: "Tokens written",
              number: true,
              cell: (one) => count(one.tokens_out),
            },
            {
              title: "Spent",
              number: true,
              cell: (one) => (one.local ? "free" : dollars(one.price) + unknown(one.unknown)),
            },
            {
              title: "Saved",
              number: true,
              cell: (one) => (one.local ? dollars(one.price) : "–"),
            },
          ]}
        />
      )}
      <details>
        <summary>Set limits</summary>
        <div class="form">
          {LIMITS.map(([name, label]) => (
            <Limit key={name} name={name} label={label} value={budget[name] ?? 0} />
          ))}
        </div>
        <p class="hint">
          From a soft limit on, nothing that costs is asked without a question; a request that could
          pass a hard limit is not sent. 0 is no limit.
        </p>
      </details>
    </Section>
  );
}

function unknown(requests: number): string {
  return requests > 0 ? ` + ${counted(requests, "request")} of unknown price` : "";
}

const LIMITS: readonly (readonly [string, string])[] = [
  ["daily_soft", "Day, soft ($)"],
  ["daily_hard", "Day, hard ($)"],
  ["monthly_soft", "Month, soft ($)"],
  ["monthly_hard", "Month, hard ($)"],
];

function Limit({
  name,
  label,
  value,
}: {
  name: string;
  label: string;
  value: number;
}): JSX.Element {
  const [text, setText] = useState<string | null>(null);
  const save = async (): Promise<void> => {
    const { note } = await post<{ note: string }>("settings/set", {
      key: `budget.${name}`,
      value: Number(text),
    });
    setText(null);
    say(note || "The limit is saved.");
    changed(["privacy", "routing"]);
  };
  return (
    <form class="form" onSubmit={(event) => event.preventDefault()}>
      <Input label={label} kind="number" value={text ?? String(value)} onInput={setText} />
      {text !== null && (
        <Button submit kind="main" label={`Save ${label}`} onPress={save}>
          Save
        </Button>
      )}
    </form>
  );
}

function drawing(days: Privacy["spend"]["days"]): Drawing {
  const sums = new Map<string, { dollars: number; requests: number }>();
  for (const one of days) {
    const sum = sums.get(one.day) ?? { dollars: 0, requests: 0 };
    sum.dollars += Number(one.dollars);
    sum.requests += one.requests;
    sums.set(one.day, sum);
  }
  const sorted = [...sums].sort(([a], [b]) => a.localeCompare(b));
  return {
    title: "Money spent by day, and requests that left (scale on the right)",
    x: sorted.map(([day]) => Date.parse(`${day}T12:00:00`) / 1000),
    time: true,
    xLabel: "day",
    show: (value) => dollars(value),
    showRight: (value) => count(value),
    showX: (at) => new Date(at * 1000).toLocaleDateString("en-CA"),
    series: [
      { label: "spent", colour: 1, bars: true, values: sorted.map(([, sum]) => sum.dollars) },
      {
        label: "requests",
        colour: 2,
        right: true,
        values: sorted.map(([, sum]) => sum.requests),
      },
    ],
  };
}

interface SentProps {
  of: Privacy;
  path: string;
  children: JSX.Element[];
}

function Sent({ of, path, children }: SentProps): JSX.Element {
  const [older, setOlder] = useState<{ entries: LedgerEntry[]; more: boolean } | null>(null);
  const rows = [...of.entries, ...(older?.entries ?? [])];
  const more = older ? older.more : of.more;
  const fetchMore = async (): Promise<void> => {
    const last = rows[rows.length - 1];
    const answer = await get<Privacy>(`${path}&before=${last?.id ?? 0}`);
    setOlder({ entries: [...(older?.entries ?? []), ...answer.entries], more: answer.more });
  };
  return (
    <Section
      title="What left this machine"
      about={`${counted(of.count, "request")}, each written here before it was sent.`}
      aside={<div class="form">{children}</div>}
    >
      {rows.length === 0 ? (
        <Empty>
          Nothing. As soon as a request goes to a cloud, with your consent, it is listed here: when,
          to whom, which lines of which files, what was replaced, and the price.
        </Empty>
      ) : (
        <Table
          caption="Requests that left this machine, newest first"
          rows={rows}
          rowKey={(entry) => entry.id}
          columns={[
            {
              title: "When",
              head: true,
              cell: (entry: LedgerEntry) => moment(entry.at),
            },
            {
              title: "To",
              cell: (entry) => (
                <>
                  <Text of={entry.destination} />
                  <span class="sub">
                    <Text of={`${entry.provider}, ${entry.model}`} />
                  </span>
                </>
              ),
            },
            { title: "For", cell: (entry) => words(entry.task) },
            { title: "What", cell: (entry) => <What of={entry} /> },
            { title: "Replaced", cell: (entry) => replaced(entry.redactions) },
            {
              title: "Tokens",
              number: true,
              cell: (entry) => `${count(entry.tokens_in)} read, ${count(entry.tokens_out)} written`,
            },
            { title: "Price", number: true, cell: (entry) => dollars(entry.price) },
            { title: "Outcome", cell: (entry) => words(entry.outcome) },
          ]}
        />
      )}
      {more && <Button onPress={fetchMore}>Older ones</Button>}
    </Section>
  );
}

function What({ of }: { of: LedgerEntry }): JSX.Element {
  const [content, setContent] = useState<string | null>(null);
  const open = async (): Promise<void> => {
    const entry = await get<{ content: string }>(query("privacy/entry", { id: of.id }));
    setContent(entry.content || "The text is not kept; privacy.keep_sent keeps it.");
  };
  return (
    <>
      <ul>
        {of.files.slice(0, 5).map((file, index) => (
          <li key={index}>
            <Path of={file.path} />
            {file.start !== null && file.end !== null && (
              <span class="hint">
                {" "}
                lines {file.start}–{file.end}
              </span>
            )}
          </li>
        ))}
        {of.files.length > 5 && (
          <li class="hint">and {counted(of.files.length - 5, "file")} more</li>
        )}
      </ul>
      <span class="sub">{bytes(of.bytes)}</span>
      {content === null ? (
        <Button kind="plain" label={`Show the text of ${moment(of.at)}`} onPress={open}>
          Show the text
        </Button>
      ) : (
        <pre tabIndex={0}>
          <Text of={content} />
        </pre>
      )}
    </>
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
