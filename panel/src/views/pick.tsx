/** Pick the model of a role, among those of every provider and of this machine. */

import { useState } from "preact/hooks";
import type { JSX } from "preact";
import { query } from "../api";
import { words } from "../format";
import { changed, post } from "../live";
import { Choice, Empty, Mark, Section, Text, Where } from "../parts/blocks";
import { Button } from "../parts/button";
import { Show, useLoaded } from "../parts/loaded";
import { say } from "../parts/notices";
import { Table } from "../parts/table";
import type { ModelPick, PickGroup, Picks } from "../wire";

export function Pick(): JSX.Element {
  const [role, setRole] = useState("chat");
  const picks = useLoaded<Picks>(query("models/picks", { role }), "models");
  return (
    <Section
      title="Choose a model"
      about="The servers of this machine are asked which models they have; those outside are not."
    >
      <Show of={picks}>
        {(found) => (
          <>
            <Choice
              label="For"
              value={role}
              options={found.roles.map(
                (one) => [one.role, `${words(one.role)}: ${one.does}`] as const,
              )}
              onChoose={setRole}
            />
            {found.groups.map((group) => (
              <Group key={group.provider} of={group} role={found.role} />
            ))}
          </>
        )}
      </Show>
    </Section>
  );
}

function Group({ of, role }: { of: PickGroup; role: string }): JSX.Element {
  // What has to be fetched first is in the catalogue below.
  const models = of.models.filter((model) => !model.missing);
  return (
    <>
      <h3>
        <Text of={of.title} /> <Where local={of.local} />
      </h3>
      {of.problem && (
        <p>
          <Mark tone="warn">did not say</Mark> <Text of={of.problem} />
        </p>
      )}
      {models.length > 0 ? (
        <Table
          caption={`Models of ${of.provider}`}
          rows={models}
          rowKey={(model) => model.name}
          columns={[
            { title: "Model", head: true, cell: (model: ModelPick) => <Name of={model} /> },
            { title: "About", cell: (model) => <Text of={model.refused || model.about} /> },
            {
              title: "Do",
              cell: (model) => (
                <Button
                  label={`Use ${model.title} of ${of.provider} for ${words(role)}`}
                  disabled={model.current || model.refused !== ""}
                  onPress={() => use(role, model)}
                >
                  Use
                </Button>
              ),
            },
          ]}
        />
      ) : (
        !of.problem && <Empty>It has no model for this.</Empty>
      )}
    </>
  );
}

function Name({ of }: { of: ModelPick }): JSX.Element {
  return (
    <>
      <Text of={of.title} /> {of.current && <Mark tone="good">in use</Mark>}
      {of.recommended && <Mark tone="accent">recommended</Mark>}
      {of.refused && <Mark tone="quiet">not allowed</Mark>}
    </>
  );
}

async function use(role: string, model: ModelPick): Promise<void> {
  const { config } = await post<{ config: string }>("models/use", { role, name: model.name });
  say(`${model.title} is now for ${role}; ${config} says so.`);
  changed(["models", "routing"]);
}
