/** Suggestions: how they fared, how long they took, why nothing was shown. */

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { query } from "../api";
import { count, counted, milliseconds, share, words } from "../format";
import { Choice, Empty, Figures, Section, Text } from "../parts/blocks";
import { Chart } from "../parts/chart";
import { Show, useLoaded } from "../parts/loaded";
import { type Column, Table } from "../parts/table";
import type { Fared, Reason, Suggestions } from "../wire";
import { Threshold } from "./threshold";

export function SuggestionsView(): JSX.Element {
  const [days, setDays] = useState("30");
  const found = useLoaded<Suggestions>(query("suggestions", { days }), "suggestions");
  return (
    <Show of={found}>
      {(value) => (
        <>
          <Totals of={value}>
            <Choice
              label="Of the last"
              value={days}
              options={[
                ["1", "day"],
                ["7", "7 days"],
                ["30", "30 days"],
                ["90", "90 days"],
              ]}
              onChoose={setDays}
            />
          </Totals>
          {value.records > 0 && (
            <>
              <ByDay of={value.by_day} />
              <div class="pair">
                <Group title="By language" of={value.by_language} />
                <Group title="By situation" of={value.by_situation} />
                <Group title="By model" of={value.by_model} />
                <Latency of={value} />
              </div>
              <Silence title="Why nothing was suggested" of={value.silent} />
            </>
          )}
          <Threshold of={value.curve} />
          <NextEdits of={value.next_edits} />
        </>
      )}
    </Show>
  );
}

function Totals({ of, children }: { of: Suggestions; children: JSX.Element }): JSX.Element {
  const { totals } = of;
  const read = totals.evaluated + totals.reused;
  return (
    <Section title="All" aside={children}>
      {!of.recording && (
        <p>
          Recording is off (<code>completion.record</code>): nothing new is counted.
        </p>
      )}
      {of.behind > 0 && (
        <p role="status">{counted(of.behind, "record")} are still being added up.</p>
      )}
      {of.records === 0 ? (
        <Empty>
          Nothing is recorded for this time. After the first suggestions in an editor, this page
          shows how many were shown and taken, how long they took, and why others were not shown.
        </Empty>
      ) : (
        <Figures
          of={[
            {
              title: "Shown",
              value: count(totals.offered),
              note: `of ${counted(totals.questions, "question")}`,
            },
            {
              title: "Taken",
              value: count(totals.accepted),
              note: `${share(totals.acceptance)} of those shown`,
            },
            { title: "Taken in part", value: count(totals.partly) },
            { title: "Characters saved", value: count(totals.saved) },
            {
              title: "Kept after 30 s",
              value: share(totals.survived),
              note: "of the saved characters",
            },
            {
              title: "Prompt reused",
              value: share(read > 0 ? totals.reused / read : null),
              note: `${count(totals.evaluated)} tokens evaluated`,
            },
          ]}
        />
      )}
    </Section>
  );
}

function ByDay({ of }: { of: readonly Fared[] }): JSX.Element {
  const drawn = useMemo(() => {
    const days = [...of].sort((a, b) => a.key.localeCompare(b.key));
    return {
      x: days.map((day) => Date.parse(`${day.key}T12:00:00`) / 1000),
      series: [
        { label: "shown", colour: 4, bars: true, values: days.map((day) => day.offered) },
        { label: "taken", colour: 1, bars: true, values: days.map((day) => day.accepted) },
        {
          label: "characters saved",
          colour: 2,
          right: true,
          values: days.map((day) => day.saved),
        },
      ],
    } as const;
  }, [of]);
  const props = useMemo(
    () => ({
      title: "Suggestions by day, and characters saved (scale on the right)",
      time: true,
      xLabel: "day",
      show: count,
      showRight: count,
      showX: day,
      ...drawn,
    }),
    [drawn],
  );
  return (
    <Section title="By day">
      <Chart of={props} />
    </Section>
  );
}

function day(at: number): string {
  return new Date(at * 1000).toLocaleDateString("en-CA");
}

function Group({ title, of }: { title: string; of: readonly Fared[] }): JSX.Element {
  const rows = [...of].sort((a, b) => b.offered - a.offered);
  return (
    <Section title={title}>
      <Table
        caption={title}
        rows={rows.slice(0, 20)}
        rowKey={(row) => row.key}
        columns={[
          {
            title: "Name",
            head: true,
            cell: (row: Fared) => <Text of={words(row.key) || "unknown"} />,
          },
          { title: "Shown", number: true, cell: (row) => count(row.offered) },
          { title: "Taken", cell: (row) => <Share of={row.acceptance} /> },
          { title: "Kept", number: true, cell: (row) => share(row.survived) },
          { title: "Characters", number: true, cell: (row) => count(row.saved) },
        ]}
      />
      {rows.length > 20 && (
        <p class="hint">{counted(rows.length - 20, "more", "more")} not shown.</p>
      )}
    </Section>
  );
}

function Share({ of }: { of: number | null }): JSX.Element {
  return (
    <>
      <span class="share" aria-hidden="true">
        <span style={{ width: `${(of ?? 0) * 100}%` }} />
      </span>
      {share(of)}
    </>
  );
}

interface Times {
  p50: number;
  p90: number;
  p99: number;
}

const PERCENTILES: readonly Column<Times>[] = [
  { title: "Half within", number: true, cell: (row) => milliseconds(row.p50) },
  { title: "90 % within", number: true, cell: (row) => milliseconds(row.p90) },
  { title: "99 % within", number: true, cell: (row) => milliseconds(row.p99) },
];

function Latency({ of }: { of: Suggestions }): JSX.Element {
  return (
    <Section title="Time until the suggestion">
      {of.latency.length === 0 ? (
        <Empty>No answer is recorded for this time.</Empty>
      ) : (
        <Table
          caption="Latency by situation"
          rows={of.latency}
          rowKey={(row) => row.situation}
          columns={[
            { title: "Situation", head: true, cell: (row) => words(row.situation) },
            { title: "Answers", number: true, cell: (row) => count(row.answers) },
            ...PERCENTILES,
          ]}
        />
      )}
    </Section>
  );
}

function Silence({ title, of }: { title: string; of: readonly Reason[] }): JSX.Element | null {
  if (of.length === 0) return null;
  const all = of.reduce((sum, one) => sum + one.count, 0);
  return (
    <Section title={title}>
      <Table
        caption={title}
        rows={of}
        rowKey={(row) => row.reason}
        columns={[
          {
            title: "Reason",
            head: true,
            cell: (row: Reason) => (
              <>
                <Text of={row.sentence || words(row.reason)} />
                {row.advice && (
                  <span class="sub">
                    <Text of={row.advice} />
                  </span>
                )}
              </>
            ),
          },
          { title: "Times", number: true, cell: (row) => count(row.count) },
          {
            title: "Share",
            cell: (row) => <Share of={all > 0 ? row.count / all : null} />,
          },
        ]}
      />
    </Section>
  );
}

function NextEdits({ of }: { of: Suggestions["next_edits"] }): JSX.Element {
  return (
    <Section title="Next edits">
      {of.questions === 0 ? (
        <Empty>
          No model was asked for a next edit in this time. That happens after a change, where rules
          alone do not find what follows from it.
        </Empty>
      ) : (
        <>
          <Figures
            of={[
              { title: "A model was asked", value: counted(of.questions, "time") },
              { title: "Answered", value: count(of.answered) },
              { title: "Offered", value: count(of.offered) },
            ]}
          />
          {of.stages.length > 0 && (
            <Table
              caption="Latency of next edits by stage"
              rows={of.stages}
              rowKey={(row) => row.stage}
              columns={[
                { title: "Stage", head: true, cell: (row) => words(row.stage) },
                ...PERCENTILES,
              ]}
            />
          )}
          <Reasons of={of.silent} />
        </>
      )}
    </Section>
  );
}

function Reasons({ of }: { of: readonly Reason[] }): JSX.Element | null {
  if (of.length === 0) return null;
  return (
    <ul>
      {of.map((one) => (
        <li key={one.reason}>
          {count(one.count)} × <Text of={one.sentence || words(one.reason)} />
        </li>
      ))}
    </ul>
  );
}
