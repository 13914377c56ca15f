/** What was spent and saved, and the limits. */

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { count, counted, dollars, share } from "../format";
import { changed, post } from "../live";
import { Figures, Input, Mark, Section, Text } from "../parts/blocks";
import { Button } from "../parts/button";
import { Chart, type Drawing } from "../parts/chart";
import { say } from "../parts/notices";
import { Table } from "../parts/table";
import type { Privacy } from "../wire";

export function Money({ of }: { of: Privacy }): JSX.Element {
  const { spend, budget } = of;
  const days = useMemo(() => drawing(spend.days), [spend.days]);
  const limit = (soft: number | undefined, hard: number | undefined, open: number): string =>
    [
      soft ? `soft limit ${dollars(soft)}` : "",
      hard ? `hard limit ${dollars(hard)}` : "",
      soft || hard ? "" : "no limit",
      open > 0 ? `without ${counted(open, "request")} of unknown price` : "",
    ]
      .filter(Boolean)
      .join(", ");
  return (
    <Section title="Money">
      <Figures
        of={[
          {
            title: "Today",
            value: dollars(spend.today),
            note: limit(budget.daily_soft, budget.daily_hard, spend.today_unknown),
          },
          {
            title: "This month",
            value: dollars(spend.month),
            note: limit(budget.monthly_soft, budget.monthly_hard, spend.month_unknown),
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
