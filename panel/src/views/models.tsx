/** Models: what there is, what fits, what was measured; fetching, checking, removing, choosing. */

import { useState } from "preact/hooks";
import type { JSX } from "preact";
import { bytes, count, counted, milliseconds, rate, share, words } from "../format";
import { changed, job, jobs, noteJob, post } from "../live";
import { Choice, Empty, Figures, Input, Mark, Progress, Section, Text } from "../parts/blocks";
import { Button } from "../parts/button";
import { confirm } from "../parts/dialog";
import { Show, useLoaded } from "../parts/loaded";
import { say } from "../parts/notices";
import { Table } from "../parts/table";
import type { Job, Measured, Model, Models } from "../wire";
import { HubSearch } from "./hub";

const MIB = 1024 * 1024;

export function ModelsView(): JSX.Element {
  const models = useLoaded<Models>("models", "models");
  return (
    <Show of={models}>
      {(found) => (
        <>
          <Machine of={found} />
          <Catalogue of={found} />
          <Benchmark of={found} />
          <HubSearch hub={found.hub} />
        </>
      )}
    </Show>
  );
}

function Machine({ of }: { of: Models }): JSX.Element {
  return (
    <Section title="This machine" about={<Text of={of.machine.words} />}>
      <Figures
        of={[
          {
            title: "For models",
            value: bytes(of.machine.budget),
            note: "of memory, by your settings",
          },
          { title: "Free on disk", value: bytes(of.machine.free_disk) },
          {
            title: "Installed",
            value: counted(of.models.filter((model) => model.installed).length, "model"),
            note: bytes(
              of.models.reduce(
                (size, model) => size + (model.installed ? (model.bytes ?? 0) : 0),
                0,
              ),
            ),
          },
        ]}
      />
      {of.problems.map((problem) => (
        <p key={problem}>
          <Mark tone="warn">problem</Mark> <Text of={problem} />
        </p>
      ))}
      {of.advice.length > 0 && (
        <details open={!of.models.some((model) => model.installed)}>
          <summary>What is recommended here, and why</summary>
          <Table
            caption="Recommended models"
            rows={of.advice}
            rowKey={(advice) => advice.role}
            columns={[
              { title: "Role", head: true, cell: (advice) => words(advice.role) },
              {
                title: "Model",
                cell: (advice) => (
                  <>
                    <Text of={advice.model} />{" "}
                    {advice.installed ? <Mark tone="good">installed</Mark> : null}
                  </>
                ),
              },
              {
                title: "Why",
                cell: (advice) => (
                  <>
                    <Text of={advice.reason} />
                    {advice.otherwise && (
                      <span class="sub">
                        Otherwise <Text of={advice.otherwise} />
                      </span>
                    )}
                  </>
                ),
              },
            ]}
          />
        </details>
      )}
    </Section>
  );
}

type Filter = "all" | "installed" | "fits";

function Catalogue({ of }: { of: Models }): JSX.Element {
  const [filter, setFilter] = useState<Filter>("all");
  const [text, setText] = useState("");
  const wanted = text.trim().toLowerCase();
  const shown = of.models.filter(
    (model) =>
      (filter === "all" ||
        (filter === "installed" ? model.installed || model.partial : model.here?.fits)) &&
      `${model.name} ${model.title} ${model.licence}`.toLowerCase().includes(wanted),
  );
  return (
    <Section
      title="Catalogue and own files"
      aside={
        <div class="form">
          <Input label="Find" kind="search" value={text} onInput={setText} />
          <Choice
            label="Show"
            value={filter}
            options={[
              ["all", "all"],
              ["installed", "installed"],
              ["fits", "those that fit"],
            ]}
            onChoose={(value) => setFilter(value as Filter)}
          />
        </div>
      }
    >
      {shown.length === 0 ? (
        <Empty>No model matches. The search of the hub below finds others.</Empty>
      ) : (
        <Table
          caption="Models"
          rows={shown}
          rowKey={(model) => model.name}
          columns={[
            { title: "Model", head: true, cell: (model: Model) => <Name of={model} /> },
            {
              title: "Size",
              number: true,
              cell: (model) => (
                <>
                  {bytes(model.bytes)}
                  <span class="sub">
                    {model.memory_mb === null ? "–" : bytes(model.memory_mb * MIB)} in memory
                  </span>
                </>
              ),
            },
            { title: "Here", cell: (model) => <Here of={model} /> },
            { title: "Measured here", cell: (model) => <MeasuredHere of={model} /> },
            { title: "Suggestions", cell: (model) => <Taken of={model} /> },
            { title: "Do", cell: (model) => <Actions of={model} /> },
          ]}
        />
      )}
    </Section>
  );
}

function Name({ of }: { of: Model }): JSX.Element {
  const facts = [
    of.parameters_m ? `${count(of.parameters_m)} M parameters` : "",
    of.quantisation,
    of.licence,
    of.origin === "user" ? "your own" : "",
  ].filter(Boolean);
  return (
    <>
      <Text of={of.title || of.name} />
      <span class="sub">
        <Text of={of.name} />
      </span>
      <span class="sub">
        <Text of={facts.join(" · ")} />
      </span>
      <span class="marks sub">
        {of.installed && <Mark tone="good">installed</Mark>}
        {of.used_for.map((role) => (
          <Mark key={role} tone="accent">
            for {words(role)}
          </Mark>
        ))}
        {of.problem && <Mark tone="bad">{of.problem}</Mark>}
      </span>
      {of.note && (
        <span class="sub">
          <Text of={of.note} />
        </span>
      )}
    </>
  );
}

function Here({ of }: { of: Model }): JSX.Element {
  if (!of.here) return <>–</>;
  return (
    <>
      {of.here.fits ? <Mark tone="good">fits</Mark> : <Mark tone="bad">too large</Mark>}
      <span class="sub">
        {of.here.tokens_per_second === null
          ? "speed not known yet"
          : `writes about ${rate(of.here.tokens_per_second)}`}
      </span>
      {of.here.in_time_for.length > 0 && (
        <span class="sub">in time for {of.here.in_time_for.map(words).join(", ")}</span>
      )}
    </>
  );
}

function MeasuredHere({ of }: { of: Model }): JSX.Element {
  if (!of.measured) return <span class="quiet">{of.installed ? "not yet" : "–"}</span>;
  return (
    <>
      {exact(of.measured)}
      <span class="sub">writes {rate(of.measured.write)}</span>
    </>
  );
}

function exact(measured: Pick<Measured, "exact" | "cases">): string {
  if (measured.exact === null || !measured.cases) return "–";
  return `${measured.exact} of ${measured.cases} exact (${share(measured.exact / measured.cases)})`;
}

function Taken({ of }: { of: Model }): JSX.Element {
  if (!of.suggestions?.offered) return <span class="quiet">–</span>;
  const { offered, taken } = of.suggestions;
  return (
    <>
      {share(taken / offered)} taken
      <span class="sub">
        {count(taken)} of {count(offered)}
      </span>
    </>
  );
}

function Actions({ of }: { of: Model }): JSX.Element {
  const running = running_(of);
  if (running?.kind === "pull") return <Fetching of={running} name={of.name} />;
  if (running)
    return (
      <Progress
        label={running.title}
        done={running.done}
        total={running.total}
        words={running.step}
      />
    );
  const failed = of.installed ? undefined : lastFailed(of.name);
  if (!of.installed)
    return (
      <div class="stack">
        {of.partial && (
          <Progress
            label={`Fetched of ${of.name}`}
            done={of.partial.done}
            total={of.partial.total}
            words={`${bytes(of.partial.done)} of ${bytes(of.partial.total)}`}
          />
        )}
        {failed?.error && (
          <span>
            <Mark tone="bad">failed</Mark>{" "}
            <Text of={`${failed.error.message} ${failed.error.hint}`} />
          </span>
        )}
        <div class="actions">
          <Button
            kind="main"
            label={`${of.partial ? "Resume" : "Fetch"} ${of.name}`}
            onPress={() => pull(of)}
          >
            {of.partial ? "Resume" : "Fetch"}
          </Button>
          {(of.partial !== null || of.origin === "user") && <Remove of={of} />}
        </div>
      </div>
    );
  return (
    <div class="stack">
      <Choice
        bare
        label={`Use ${of.name} for a role`}
        value=""
        options={[["", "Use for…"], ...USABLE.map((role) => [role, words(role)] as const)]}
        onChoose={(role) => (role ? use(role, of.name) : undefined)}
      />
      <div class="actions">
        <Button label={`Verify ${of.name}`} onPress={() => verify(of.name)}>
          Verify
        </Button>
        <Remove of={of} />
      </div>
    </div>
  );
}

/** The roles for which a model can be set by name. */
const USABLE = ["complete", "edit", "chat"];

function running_(of: Model): Job | undefined {
  const told = job(of.job);
  if (told?.state === "running") return told;
  return jobs.value.find(
    (one) => one.about === of.name && one.state === "running" && one.kind !== "benchmark",
  );
}

function lastFailed(name: string): Job | undefined {
  const last = jobs.value.find((one) => one.about === name && one.kind === "pull");
  return last?.state === "failed" ? last : undefined;
}

function Fetching({ of, name }: { of: Job; name: string }): JSX.Element {
  return (
    <div class="stack">
      <Progress
        label={of.title}
        done={of.done}
        total={of.total}
        words={of.total ? `${bytes(of.done)} of ${bytes(of.total)}` : words(of.step)}
      />
      <span class="hint">{words(of.step)}</span>
      <Button label={`Pause fetching ${name}`} onPress={() => stop(of)}>
        Pause
      </Button>
    </div>
  );
}

async function stop(of: Job): Promise<void> {
  const { job: told } = await post<{ job: Job }>("jobs/stop", { id: of.id });
  noteJob(told);
  changed(["models"]);
}

async function pull(of: Model): Promise<void> {
  const fits = of.here?.fits ?? true;
  if (
    !fits &&
    !(await confirm(
      "It does not fit",
      `${of.title || of.name} needs more memory than your settings give to models here. It can be fetched, but not loaded.`,
      "Fetch it nevertheless",
      false,
    ))
  )
    return;
  const { job: told } = await post<{ job: Job }>("models/pull", { name: of.name });
  noteJob(told);
  changed(["models"]);
}

async function verify(name: string): Promise<void> {
  const { job: told } = await post<{ job: Job }>("models/verify", { name });
  noteJob(told);
  say(`${name} is read again and compared with its SHA-256.`);
}

function Remove({ of }: { of: Model }): JSX.Element {
  const remove = async (): Promise<void> => {
    const sure = await confirm(
      `Remove ${of.title || of.name}?`,
      `Its file (${bytes(of.installed ? of.bytes : (of.partial?.done ?? 0))}) is deleted from this machine. It can be fetched again.`,
      "Remove",
    );
    if (!sure) return;
    const { freed_bytes } = await post<{ freed_bytes: number }>("models/remove", {
      name: of.name,
    });
    say(`${of.name} is removed; ${bytes(freed_bytes)} are free again.`);
    changed(["models"]);
  };
  return (
    <Button kind="danger" label={`Remove ${of.name}`} onPress={remove}>
      Remove
    </Button>
  );
}

async function use(role: string, name: string): Promise<void> {
  const { config } = await post<{ config: string }>("models/use", { role, name });
  say(`${name} is now for ${role}; ${config} says so.`);
  changed(["models", "routing"]);
}

interface Row extends Pick<Measured, "read" | "write" | "load_ms" | "exact" | "cases"> {
  name: string;
  error: string | { message: string } | null;
}

function Benchmark({ of }: { of: Models }): JSX.Element {
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
          <Button onPress={() => stop(last)}>Stop</Button>
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
