/** The models of the catalogue and the user's own, with what is known of each. */

import { useState } from "preact/hooks";
import type { JSX } from "preact";
import { bytes, count, rate, share, words } from "../format";
import { Choice, Empty, Input, Mark, Section, Text } from "../parts/blocks";
import { Table } from "../parts/table";
import type { Model, Models } from "../wire";
import { exact } from "./benchmark";
import { Actions } from "./model_actions";

const MIB = 1024 * 1024;

type Filter = "all" | "installed" | "fits";

export function Catalogue({ of }: { of: Models }): JSX.Element {
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
