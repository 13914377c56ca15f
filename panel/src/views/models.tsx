/** Models: what there is, what fits, what was measured; fetching, checking, removing, choosing. */

import type { JSX } from "preact";
import { bytes, counted, words } from "../format";
import { Figures, Mark, Section, Text } from "../parts/blocks";
import { Show, useLoaded } from "../parts/loaded";
import { Table } from "../parts/table";
import type { Models } from "../wire";
import { AddAdapter } from "./adapter";
import { Benchmark } from "./benchmark";
import { Catalogue } from "./catalogue";
import { HubSearch } from "./hub";
import { Pick } from "./pick";

export function ModelsView(): JSX.Element {
  const models = useLoaded<Models>("models", "models");
  return (
    <Show of={models}>
      {(found) => (
        <>
          <Machine of={found} />
          <Pick />
          <Catalogue of={found} />
          <Benchmark of={found} />
          <AddAdapter of={found} />
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
