/** Routing: which model answers what, in which order, and what would happen to a request. */

import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { words } from "../format";
import { changed, now, post } from "../live";
import { Choice, Empty, Mark, Section, Text, Where } from "../parts/blocks";
import { Button } from "../parts/button";
import { query } from "../api";
import { Show, useLoaded } from "../parts/loaded";
import { attempt, say } from "../parts/notices";
import { Table } from "../parts/table";
import type { RoleRoute, Routing } from "../wire";
import { Endpoints } from "./endpoints";
import { Explain } from "./explain";
import { SettingsSection } from "./settings";

export const STRATEGIES: readonly (readonly [string, string])[] = [
  ["local_only", "Local only: nothing is sent to a cloud"],
  ["local_first", "Local first: the cloud where local models fail, with your consent"],
  ["hybrid", "Hybrid: by task and difficulty, with your consent"],
  ["cloud_only", "Cloud only: with your consent"],
];

export function RoutingView(): JSX.Element {
  const [workspace, setWorkspace] = useState("");
  const routing = useLoaded<Routing>(query("routing", { workspace }), "routing");
  const folders = [...new Set((now.value?.servers ?? []).flatMap((server) => server.folders))];
  return (
    <Show of={routing}>
      {(found) => (
        <>
          <Strategy of={found}>
            {folders.length > 0 && (
              <Choice
                label="As it is for"
                value={workspace}
                options={[
                  ["", "your settings alone"],
                  ...folders.map((one) => [one, one] as const),
                ]}
                onChoose={setWorkspace}
              />
            )}
          </Strategy>
          <Roles of={found} />
          <Explain of={found} />
          <Endpoints of={found} />
          <SettingsSection workspace={workspace} />
        </>
      )}
    </Show>
  );
}

async function set(key: string, value: unknown): Promise<void> {
  const { note } = await post<{ note: string }>("settings/set", { key, value });
  say(note || "Saved.");
  changed(["routing"]);
}

async function unset(key: string): Promise<void> {
  await post("settings/unset", { key });
  say("The usual order counts again.");
  changed(["routing"]);
}

function Strategy({ of, children }: { of: Routing; children: ComponentChildren }): JSX.Element {
  return (
    <Section title="Strategy" aside={children}>
      <Choice
        label="Which models may answer"
        value={of.strategy}
        options={STRATEGIES}
        onChoose={(value) => attemptSet("routing.strategy", value)}
      />
      {of.problems.map((problem) => (
        <p key={problem.key + problem.source}>
          <Mark tone="warn">setting not used</Mark> <Text of={`${problem.key}: ${problem.wrong}`} />
          <span class="hint">
            {" "}
            <Text of={`${problem.source}; used instead: ${problem.used}`} />
          </span>
        </p>
      ))}
    </Section>
  );
}

function attemptSet(key: string, value: unknown): Promise<boolean> {
  return attempt(() => set(key, value));
}

function Roles({ of }: { of: Routing }): JSX.Element {
  const [edited, setEdited] = useState("");
  const role = of.roles.find((one) => one.role === edited);
  return (
    <Section
      title="Roles"
      about="The first candidate that serves answers; the next one when it fails."
    >
      <Table
        caption="Roles and their candidates"
        rows={of.roles}
        rowKey={(one) => one.role}
        columns={[
          { title: "Role", head: true, cell: (one: RoleRoute) => words(one.role) },
          {
            title: "Answered by",
            cell: (one) =>
              one.provider ? (
                <>
                  <Text of={one.model || one.provider} /> <Where local={one.local} />
                  <span class="sub">
                    <Text of={one.provider} />
                  </span>
                </>
              ) : (
                <Mark tone="quiet">none</Mark>
              ),
          },
          { title: "Candidates in order", cell: (one) => <Candidates of={one} /> },
          {
            title: "Do",
            cell: (one) => (
              <Button
                label={`${one.role === edited ? "Close" : "Change"} the candidates for ${words(one.role)}`}
                onPress={() => setEdited(one.role === edited ? "" : one.role)}
              >
                {one.role === edited ? "Close" : "Change"}
              </Button>
            ),
          },
        ]}
      />
      {role && <Order key={role.role} role={role} all={of.endpoints.map((one) => one.name)} />}
    </Section>
  );
}

function Candidates({ of }: { of: RoleRoute }): JSX.Element {
  return (
    <>
      {of.listed === null && <span class="hint">usual order</span>}
      <ol>
        {of.candidates.map((candidate) => (
          <li key={candidate.provider}>
            <Text of={candidate.provider} />{" "}
            {candidate.serves ? (
              <Mark tone="good">serves</Mark>
            ) : (
              <span class="hint">
                <Text of={candidate.why} />
              </span>
            )}
          </li>
        ))}
      </ol>
    </>
  );
}

/** The order of one role's candidates, moved with buttons so that the keyboard can. */
function Order({ role, all }: { role: RoleRoute; all: readonly string[] }): JSX.Element {
  const [order, setOrder] = useState<readonly string[]>(
    role.listed ?? role.candidates.map((candidate) => candidate.provider),
  );
  const others = all.filter((name) => !order.includes(name));
  const move = (from: number, to: number): void => {
    const next = [...order];
    next.splice(to, 0, ...next.splice(from, 1));
    setOrder(next);
  };
  return (
    <div class="inset">
      <h3>Candidates for {words(role.role)}</h3>
      {order.length === 0 ? (
        <Empty>No candidate: nothing answers for this role.</Empty>
      ) : (
        <ol class="order">
          {order.map((name, index) => (
            <li key={name}>
              <Text of={name} />
              <Button
                label={`Move ${name} up`}
                disabled={index === 0}
                onPress={() => move(index, index - 1)}
              >
                ↑
              </Button>
              <Button
                label={`Move ${name} down`}
                disabled={index === order.length - 1}
                onPress={() => move(index, index + 1)}
              >
                ↓
              </Button>
              <Button
                label={`Take out ${name}`}
                onPress={() => setOrder(order.filter((one) => one !== name))}
              >
                Take out
              </Button>
            </li>
          ))}
        </ol>
      )}
      <div class="form">
        {others.length > 0 && (
          <Choice
            label="Add"
            value=""
            options={[["", "a provider…"], ...others.map((name) => [name, name] as const)]}
            onChoose={(name) => name && setOrder([...order, name])}
          />
        )}
        <Button kind="main" onPress={() => set(`routing.roles.${role.role}`, order)}>
          Save this order
        </Button>
        {role.listed !== null && (
          <Button onPress={() => unset(`routing.roles.${role.role}`)}>
            Back to the usual order
          </Button>
        )}
      </div>
    </div>
  );
}
