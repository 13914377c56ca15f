/** A trial: two models take turns at completions, until one is seen to be better. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { count, counted, milliseconds, moment, share } from "../format";
import { changed, post } from "../live";
import { Choice, Empty, Input, Mark, Section, Text } from "../parts/blocks";
import { Button } from "../parts/button";
import { confirm } from "../parts/dialog";
import { Show, useLoaded } from "../parts/loaded";
import { say } from "../parts/notices";
import { Table } from "../parts/table";
import type { Interval, Trial, TrialArm, Trials } from "../wire";

/** The scale of the interval, in points to both sides. */
const SCALE = 0.3;

export function TrialView(): JSX.Element {
  const found = useLoaded<Trials>("trial", "trial");
  return (
    <Show of={found}>
      {(value) => (
        <>
          {value.trial ? (
            <Result of={value.trial} />
          ) : (
            <Section title="Result">
              <Empty>
                There was no trial yet. Once one runs, this page shows what you take of each model,
                and the difference with its uncertainty.
              </Empty>
            </Section>
          )}
          {!value.trial?.running && <Start of={value} />}
        </>
      )}
    </Show>
  );
}

function Result({ of }: { of: Trial }): JSX.Element {
  const end = async (): Promise<void> => {
    await post("trial/end", {});
    say("The trial has ended.");
    changed(["trial"]);
  };
  return (
    <Section
      title="Result"
      aside={of.running && <Button onPress={end}>End the trial</Button>}
      about={<State of={of} />}
    >
      <p role="status">
        <Text of={of.words} />
      </p>
      {of.interval && <Uncertainty of={of.interval} />}
      <Arms of={of} />
    </Section>
  );
}

function State({ of }: { of: Trial }): JSX.Element {
  return of.running ? (
    <>
      <Mark tone="accent">running</Mark> since {moment(of.started)}, for up to{" "}
      {counted(of.days_left, "more day", "more days")}. It ends by itself once it is decided.
    </>
  ) : (
    <>
      <Mark tone="quiet">ended</Mark> {moment(of.ended)}. <Text of={of.why} />
    </>
  );
}

/** The interval on a scale, drawn; the sentence above says the same. */
function Uncertainty({ of }: { of: Interval }): JSX.Element {
  const at = (value: number): number => {
    const inside = Math.min(Math.max(value, -SCALE), SCALE);
    return ((inside + SCALE) / (2 * SCALE)) * 100;
  };
  return (
    <div class="interval" aria-hidden="true">
      <span class="nought" style={{ left: `${at(0)}%` }} />
      <span
        class="range"
        style={{ left: `${at(of.low)}%`, width: `${at(of.high) - at(of.low)}%` }}
      />
      <span class="middle" style={{ left: `${at(of.difference)}%` }} />
    </div>
  );
}

function Arms({ of }: { of: Trial }): JSX.Element {
  const adopt = async (arm: TrialArm): Promise<void> => {
    const text = of.running
      ? "It completes from now on, by your settings, and the trial ends."
      : "It completes from now on, by your settings.";
    if (!(await confirm(`Adopt ${arm.model}?`, text, "Adopt", false))) return;
    await post("trial/adopt", { model: arm.value });
    say(`Completions are served by ${arm.model}.`);
    changed(["trial", "models", "routing"]);
  };
  return (
    <Table
      caption="What each model did"
      rows={of.arms}
      rowKey={(arm) => arm.value}
      columns={[
        {
          title: "Model",
          head: true,
          cell: (arm: TrialArm) => (
            <>
              <Text of={arm.model} /> {of.better === arm.value && <Mark tone="good">better</Mark>}
            </>
          ),
        },
        { title: "Document-days", number: true, cell: (arm) => count(arm.document_days) },
        { title: "Shown", number: true, cell: (arm) => count(arm.shown) },
        {
          title: "Taken",
          number: true,
          cell: (arm) => `${count(arm.taken)} (${share(arm.acceptance)})`,
        },
        { title: "Kept", number: true, cell: (arm) => share(arm.kept) },
        { title: "Characters", number: true, cell: (arm) => count(arm.saved) },
        { title: "Half within", number: true, cell: (arm) => milliseconds(arm.p50_ms) },
        { title: "90 % within", number: true, cell: (arm) => milliseconds(arm.p90_ms) },
        { title: "By the other", number: true, cell: (arm) => count(arm.stand_ins) },
        {
          title: "Use",
          cell: (arm) => (
            <Button label={`Adopt ${arm.model}`} onPress={() => adopt(arm)}>
              Adopt
            </Button>
          ),
        },
      ]}
    />
  );
}

function Start({ of }: { of: Trials }): JSX.Element {
  const [model, setModel] = useState("");
  const [days, setDays] = useState("28");
  const chosen = model || (of.others[0] ?? "");
  const start = async (): Promise<void> => {
    await post("trial/start", { model: chosen, days: Number(days) });
    say("The trial has begun; running editors follow within half a minute.");
    changed(["trial"]);
  };
  return (
    <Section
      title="Start a trial"
      about="Two models take turns at your completions, by document and day. The second is only asked while it is loaded and in time, and all of it stays on this machine."
    >
      {!of.recording && (
        <p>
          Recording is off (<code>completion.record</code>): nothing would be counted.
        </p>
      )}
      {of.current === "" || of.others.length === 0 ? (
        <Empty>
          A trial needs two models of this machine that complete; fetch another one in Models.
        </Empty>
      ) : (
        <div class="form">
          <Choice
            label={`Against ${of.current}`}
            value={chosen}
            options={of.others.map((name) => [name, name] as const)}
            onChoose={setModel}
          />
          <Input label="Days at most" kind="number" value={days} onInput={setDays} />
          <Button kind="main" onPress={start}>
            Start
          </Button>
        </div>
      )}
    </Section>
  );
}
