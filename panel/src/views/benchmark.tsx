/** Measuring installed models side by side: their speed, and what they complete exactly. */

import { useState } from "preact/hooks";
import type { JSX } from "preact";
import { count, milliseconds, rate, share, words } from "../format";
import { jobs, noteJob, post, stopJob } from "../live";
import { Empty, Mark, Progress, Section, Text } from "../parts/blocks";
import { Button } from "../parts/button";
import { Table } from "../parts/table";
import type { Job, Measured, Models } from "../wire";

export function exact(measured: Pick<Measured, "exact" | "cases">): string {
  if (measured.exact === null || !measured.cases) return "–";
  return `${measured.exact} of ${measured.cases} exact (${share(measured.exact / measured.cases)})`;
}

interface Row extends Pick<Measured, "read" | "write" | "load_ms" | "exact" | "cases"> {
  name: string;
  error: string | { message: string } | null;
}

export function Benchmark({ of }: { of: Models }): JSX.Element {
  const installed = of.models.filter((model) => model.installed);
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const last = jobs.value.find((one) => one.kind === "benchmark");
  const results = (last?.state === "done" ? last.result : null) as Row[] | null;
  const rows =
    results ??
    installed.flatMap((model): Row[] =>
      model.measured ? [{ name: model.name, error: null, ...model.measured }] : [],
    );
  const turn = (name: string): void =>
    setChosen(chosen.includes(name) ? chosen.filter((one) => one !== name) : [...chosen, name]);
  const start = async (): Promise<void> => {
    const { job: told } = await post<{ job: Job }>("models/benchmark", { names: chosen });
    noteJob(told);
  };
  return (
    <Section
      title="Benchmark"
      about="How fast installed models read and write here, and how many of a fixed set of completions they give exactly. Minutes for each model; the models in use are unloaded meanwhile where memory is short."
    >
      {installed.length === 0 ? (
        <Empty>Fetch a model first: installed models can be compared here, side by side.</Empty>
      ) : (
        <fieldset>
          <legend>Models to measure</legend>
          {installed.map((model) => (
            <label key={model.name} class="tick">
              <input
                type="checkbox"
                checked={chosen.includes(model.name)}
                onChange={() => turn(model.name)}
              />
              <Text of={model.name} />
            </label>
          ))}
        </fieldset>
      )}
      {last?.state === "running" ? (
        <div class="actions">
          <Progress
            label={last.title}
            done={last.done}
            total={last.total}
            words={`${words(last.step)} ${count(last.done)} of ${count(last.total)} ${last.unit}`}
          />
          <Button onPress={() => stopJob(last)}>Stop</Button>
        </div>
      ) : (
        installed.length > 0 && (
          <Button kind="main" disabled={chosen.length === 0} onPress={start}>
            Measure {chosen.length > 1 ? `${chosen.length} models` : "it"}
          </Button>
        )
      )}
      {last?.state === "failed" && last.error && (
        <p>
          <Mark tone="bad">failed</Mark> <Text of={`${last.error.message} ${last.error.hint}`} />
        </p>
      )}
      {rows.length > 0 && (
        <Table
          caption="Measured on this machine"
          rows={rows}
          rowKey={(row) => row.name}
          columns={[
            { title: "Model", head: true, cell: (row: Row) => <Text of={row.name} /> },
            {
              title: "Exact",
              number: true,
              cell: (row) => (row.error ? wrong(row) : exact(row)),
            },
            { title: "Reads", number: true, cell: (row) => rate(row.read) },
            { title: "Writes", number: true, cell: (row) => rate(row.write) },
            {
              title: "Loads in",
              number: true,
              cell: (row) => milliseconds(row.load_ms),
            },
          ]}
        />
      )}
    </Section>
  );
}

function wrong(row: Row): string {
  return typeof row.error === "string" ? row.error : (row.error?.message ?? "");
}
