/** Health: the doctor's lines with their remedies, the log without code, a report to copy. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { ago, count, moment, words } from "../format";
import { changed, get, job, jobs, noteJob, post } from "../live";
import { Choice, Empty, Mark, Progress, Section, Text, type Tone } from "../parts/blocks";
import { Button } from "../parts/button";
import { Show, useLoaded } from "../parts/loaded";
import { say } from "../parts/notices";
import { Table } from "../parts/table";
import type { Check, Health, Job, LogOfServer } from "../wire";

export function HealthView(): JSX.Element {
  return (
    <>
      <Checks />
      <Log />
      <Report />
    </>
  );
}

const STATES: Record<Check["state"], readonly [Tone, string]> = {
  ok: ["good", "ok"],
  note: ["warn", "note"],
  problem: ["bad", "problem"],
};

function Checks(): JSX.Element {
  const health = useLoaded<Health>("health", "health");
  const check = async (measured: boolean): Promise<void> => {
    const { job: told } = await post<{ job: Job }>("health/check", { workspace: "", measured });
    noteJob(told);
  };
  const running =
    job(health.value?.job) ??
    jobs.value.find((one) => one.kind === "doctor" && one.state === "running");
  const busy = running?.state === "running";
  return (
    <Section
      title="Checks"
      about="What completions need, and what to do where something is missing."
      aside={
        <>
          <Button kind="main" disabled={busy} onPress={() => check(false)}>
            Check
          </Button>
          <Button disabled={busy} onPress={() => check(true)}>
            Check and measure
          </Button>
        </>
      }
    >
      {busy && (
        <Progress
          label={running.title}
          done={running.done}
          total={running.total}
          words={`${words(running.step)} ${count(running.done)} checks`}
        />
      )}
      <Show of={health}>
        {(found) => {
          const told =
            busy && Array.isArray(running.result) ? (running.result as Check[]) : found.checks;
          if (told.length === 0)
            return busy ? null : (
              <Empty>
                Nothing was checked yet. “Check” looks at the installation, the models and the
                settings in some seconds; “Check and measure” also measures a model's speed.
              </Empty>
            );
          return (
            <>
              <Table
                caption="Checks"
                rows={told}
                rowKey={(one) => one.name}
                columns={[
                  {
                    title: "Check",
                    head: true,
                    cell: (one: Check) => <Text of={words(one.name)} />,
                  },
                  {
                    title: "State",
                    cell: (one) => <Mark tone={STATES[one.state][0]}>{STATES[one.state][1]}</Mark>,
                  },
                  {
                    title: "Found",
                    cell: (one) => (
                      <>
                        <Text of={one.found} />
                        {one.todo && (
                          <span class="sub">
                            <Text of={one.todo} />
                          </span>
                        )}
                      </>
                    ),
                  },
                  {
                    title: "Remedy",
                    cell: (one) =>
                      one.remedy ? <Remedy of={one.remedy} /> : <span class="quiet">–</span>,
                  },
                ]}
              />
              {found.at !== null && !busy && <p class="hint">Checked {ago(found.at)}.</p>}
            </>
          );
        }}
      </Show>
    </Section>
  );
}

/** A remedy is one of the page's own actions; the server names which. */
function Remedy({ of }: { of: NonNullable<Check["remedy"]> }): JSX.Element {
  const run = async (): Promise<void> => {
    const answer = await post<{ job?: Job }>(of.post, of.body);
    if (answer.job) noteJob(answer.job);
    say(`${of.title}: ${answer.job ? "begun" : "done"}.`);
    changed(["health", "models", "routing"]);
  };
  return (
    <Button onPress={run}>
      <Text of={of.title} />
    </Button>
  );
}

const LEVELS = ["debug", "info", "warning", "error"];

function Log(): JSX.Element {
  const log = useLoaded<{ servers: LogOfServer[] }>("health/log", "log");
  const [level, setLevel] = useState("info");
  const from = LEVELS.indexOf(level);
  return (
    <Section
      title="Log"
      about="The last lines of each running server; they hold no code."
      aside={
        <div class="form">
          <Choice
            label="From"
            value={level}
            options={LEVELS.map((one) => [one, one] as const)}
            onChoose={setLevel}
          />
          <Button onPress={log.reload}>Refresh</Button>
        </div>
      }
    >
      <Show of={log}>
        {({ servers }) =>
          servers.length === 0 ? (
            <Empty>No server is running. The log of each editor's server appears here.</Empty>
          ) : (
            <>
              {servers.map((server) => {
                const lines = server.lines.filter((line) => LEVELS.indexOf(line.level) >= from);
                return (
                  <div key={server.id}>
                    <h3>
                      <Text of={server.client || server.id} />
                    </h3>
                    {lines.length === 0 ? (
                      <Empty>No line of this level.</Empty>
                    ) : (
                      <pre class="lines" tabIndex={0} aria-label={`Log of ${server.client}`}>
                        {lines.map((line, index) => (
                          <div key={index} class={line.level}>
                            {moment(line.at)} {line.level}{" "}
                            <Text of={`${line.name}: ${line.text}`} />
                          </div>
                        ))}
                      </pre>
                    )}
                  </div>
                );
              })}
            </>
          )
        }
      </Show>
    </Section>
  );
}

function Report(): JSX.Element {
  const [text, setText] = useState("");
  const make = async (): Promise<void> => {
    setText((await get<{ text: string }>("health/report")).text);
  };
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  };
  return (
    <Section
      title="Report"
      about="For a question to the project: versions, checks and settings, without code, keys and the paths of your home folder. Read it before you pass it on."
      aside={
        <>
          <Button onPress={make}>Make the report</Button>
          {text && (
            <Button kind="main" onPress={copy}>
              Copy
            </Button>
          )}
        </>
      }
    >
      {text && (
        <pre tabIndex={0} aria-label="Report">
          <Text of={text} />
        </pre>
      )}
    </Section>
  );
}
