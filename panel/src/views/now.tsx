/** Each running server: its roles and models, what runs, what was asked last. */

import type { JSX } from "preact";
import { ago, bytes, count, counted, rate, seconds, share, words } from "../format";
import { now, post } from "../live";
import {
  Empty,
  Figures,
  Mark,
  Path,
  Progress,
  Section,
  Text,
  type Tone,
  Where,
} from "../parts/blocks";
import { Button } from "../parts/button";
import { say } from "../parts/notices";
import { Table } from "../parts/table";
import type { ModelNow, Now, RoleNow, Running, Server } from "../wire";
import { Requests } from "./requests";

export function NowView(): JSX.Element {
  const state = now.value;
  if (state === null) return <Empty>Asking the running servers…</Empty>;
  if (state.servers.length === 0)
    return (
      <Empty>
        No server is running. As soon as an editor with Nearfield is open, its models, what it is
        doing and its last requests appear here by themselves. The other views work meanwhile.
      </Empty>
    );
  return (
    <>
      {state.servers.length > 1 && <Together state={state} />}
      {state.servers.map((server) => (
        <OneServer key={server.id} server={server} />
      ))}
    </>
  );
}

function Together({ state }: { state: Now }): JSX.Element {
  const { servers, loaded_bytes, running, evaluated, reused, generated } = state.together;
  const paused = state.servers.every((server) => server.paused);
  return (
    <Section
      title="All together"
      aside={
        <Button onPress={() => pause("", !paused)}>{paused ? "Resume all" : "Pause all"}</Button>
      }
    >
      <Figures
        of={[
          { title: "Servers", value: count(servers) },
          { title: "Models in memory", value: bytes(loaded_bytes) },
          { title: "Running now", value: counted(running, "request") },
          {
            title: "Tokens evaluated",
            value: count(evaluated),
            note: "since their start",
          },
          {
            title: "Tokens reused",
            value: count(reused),
            note: reusedShare(evaluated, reused),
          },
          { title: "Tokens generated", value: count(generated) },
        ]}
      />
    </Section>
  );
}

function reusedShare(evaluated: number, reused: number): string {
  const read = evaluated + reused;
  return read > 0 ? `${share(reused / read)} of what was read` : "";
}

async function pause(server: string, on: boolean): Promise<void> {
  await post(on ? "now/pause" : "now/resume", { server });
  say(on ? "Paused: nothing is suggested." : "Suggestions are on again.");
}

/** "neovim in shop", for people. */
export function serverName(server: { client: string; kind: string; workspace: string }): string {
  const folder = server.workspace.split(/[\\/]/).filter(Boolean).pop();
  const client = server.client || server.kind;
  return folder ? `${client} in ${folder}` : client;
}

const STATES: Record<string, Tone> = { ready: "good", off: "quiet", error: "bad", failed: "bad" };

function OneServer({ server }: { server: Server }): JSX.Element {
  const title = <Text of={serverName(server)} />;
  const about = (
    <>
      {words(server.kind)} · process {server.pid} · version <Text of={server.version} /> · started{" "}
      {ago(server.started)}
      {server.folders.length > 0 && " · "}
      {server.folders.map((folder, index) => (
        <span key={folder}>
          {index > 0 && ", "}
          <Path of={folder} />
        </span>
      ))}
    </>
  );
  if (server.error)
    return (
      <section aria-label={serverName(server)}>
        <header>
          <h2>{title}</h2>
          <Mark tone="bad">does not answer</Mark>
        </header>
        <p class="about">{about}</p>
        <p>
          <Text of={server.error} />
        </p>
      </section>
    );
  const paused = server.paused ?? false;
  const state = server.state ?? "unknown";
  return (
    <section aria-label={serverName(server)} class="server">
      <header>
        <h2>
          {title}{" "}
          <Mark tone={paused ? "warn" : (STATES[state] ?? "accent")}>
            {paused ? "paused" : words(state)}
          </Mark>
        </h2>
        <div class="actions">
          <Button onPress={() => pause(server.id, !paused)}>{paused ? "Resume" : "Pause"}</Button>
          <Button
            disabled={!server.models?.some((model) => model.loaded)}
            onPress={() => unload(server.id, "")}
          >
            Unload all
          </Button>
        </div>
      </header>
      <p class="about">{about}</p>
      {server.detail && (
        <p>
          <Text of={server.detail} />
        </p>
      )}
      <Speeds server={server} />
      <RunningNow server={server} />
      <Roles server={server} />
      <Stumbling server={server} />
      <LastOutcome server={server} />
      <Requests of={server.requests ?? []} />
    </section>
  );
}

function Speeds({ server }: { server: Server }): JSX.Element {
  let evaluated = 0;
  let reused = 0;
  let generated = 0;
  for (const one of Object.values(server.spent ?? {})) {
    evaluated += one.evaluated;
    reused += one.reused;
    generated += one.generated;
  }
  const loaded = (server.models ?? []).filter((model) => model.loaded);
  return (
    <Figures
      of={[
        { title: "Reads", value: rate(server.speed?.read) },
        { title: "Writes", value: rate(server.speed?.write) },
        {
          title: "In memory",
          value: loaded.length > 0 ? bytes(sum(loaded)) : "nothing",
          note: counted(loaded.length, "model"),
        },
        { title: "Tokens evaluated", value: count(evaluated) },
        {
          title: "Tokens reused",
          value: count(reused),
          note: reusedShare(evaluated, reused),
        },
        { title: "Tokens generated", value: count(generated) },
      ]}
    />
  );
}

function sum(models: readonly ModelNow[]): number {
  return models.reduce((bytes, model) => bytes + model.bytes, 0);
}

function RunningNow({ server }: { server: Server }): JSX.Element {
  const running = server.running ?? [];
  return (
    <>
      <h3>Running now</h3>
      {running.length === 0 ? (
        <Empty>Nothing. A request appears here while a model reads or writes for it.</Empty>
      ) : (
        <Table
          caption="Requests that run now"
          rows={running}
          rowKey={(one) => one.id}
          columns={[
            { title: "For", head: true, cell: (one: Running) => words(one.task) },
            {
              title: "Model",
              cell: (one) => (
                <>
                  <Text of={one.model || one.provider} /> <Where local={one.local} />
                </>
              ),
            },
            {
              title: "State",
              cell: (one) => (
                <Progress
                  label={`${words(one.task)}: ${one.phase}`}
                  done={one.share ?? 0}
                  total={one.share === null ? null : 1}
                  words={words(one.phase)}
                />
              ),
            },
            { title: "Tokens", number: true, cell: (one) => count(one.tokens) },
            { title: "Time", number: true, cell: (one) => seconds(one.seconds) },
            {
              title: "Do",
              cell: (one) => (
                <Button
                  kind="danger"
                  label={`Cancel: ${words(one.task)}`}
                  onPress={() => cancel(server.id, one.id)}
                >
                  Cancel
                </Button>
              ),
            },
          ]}
        />
      )}
    </>
  );
}

async function cancel(server: string, request: number): Promise<void> {
  const { cancelled } = await post<{ cancelled: boolean }>("now/cancel", { server, request });
  say(cancelled ? "Cancelled." : "It had ended already.");
}

async function unload(server: string, role: string): Promise<void> {
  const { providers } = await post<{ providers: string[] }>("now/unload", { server, role });
  say(
    providers.length > 0
      ? "Unloaded: the memory is free."
      : "Nothing was unloaded: it is answering, or was not in memory.",
  );
}

async function load(server: string, role: string): Promise<void> {
  await post("now/load", { server, role });
  say("Loading begins.");
}

function Roles({ server }: { server: Server }): JSX.Element {
  const roles = server.roles ?? [];
  const models = server.models ?? [];
  const of = (role: RoleNow): ModelNow | undefined =>
    models.find((one) => one.provider === role.provider && one.model === role.model) ??
    models.find((one) => one.provider === role.provider && one.role === role.role);
  if (roles.length === 0)
    return <Empty>No role has a model yet; as soon as one is chosen, it is listed here.</Empty>;
  return (
    <>
      <h3>Roles</h3>
      <Table
        caption="Roles and their models"
        rows={roles}
        rowKey={(role) => role.role}
        columns={[
          { title: "Role", head: true, cell: (role: RoleNow) => words(role.role) },
          { title: "Model", cell: (role) => <RoleModel role={role} /> },
          { title: "Loaded", cell: (role) => <IsLoaded model={of(role)} role={role} /> },
          { title: "Memory", number: true, cell: (role) => memoryOf(of(role)) },
          { title: "Context used", number: true, cell: (role) => contextOf(of(role)) },
          {
            title: "Do",
            cell: (role) => {
              const model = of(role);
              if (!model) return null;
              return model.loaded ? (
                <Button
                  key="unload"
                  label={`Unload the model of ${words(role.role)}`}
                  onPress={() => unload(server.id, role.role)}
                >
                  Unload
                </Button>
              ) : (
                <Button
                  key="load"
                  label={`Load the model of ${words(role.role)}`}
                  onPress={() => load(server.id, role.role)}
                >
                  Load
                </Button>
              );
            },
          },
        ]}
      />
    </>
  );
}

function RoleModel({ role }: { role: RoleNow }): JSX.Element {
  if (!role.provider)
    return (
      <>
        <Mark tone="quiet">none</Mark>
        {role.others.map((other) => (
          <span class="sub" key={other.provider}>
            <Text of={`${other.provider}: ${other.why}`} />
          </span>
        ))}
      </>
    );
  return (
    <>
      <Text of={role.model || role.provider} /> <Where local={role.local} />
      <span class="sub">
        <Text of={role.provider} />
      </span>
    </>
  );
}

function IsLoaded({ model, role }: { model: ModelNow | undefined; role: RoleNow }): JSX.Element {
  if (!role.provider) return <>–</>;
  if (!model) return <>{role.local ? "by its server" : "elsewhere"}</>;
  return (
    <>
      {model.loaded ? <Mark tone="good">loaded</Mark> : <Mark tone="quiet">not loaded</Mark>}
      {model.why && (
        <span class="sub">
          <Text of={model.why} />
        </span>
      )}
    </>
  );
}

function memoryOf(model: ModelNow | undefined): string {
  return model ? bytes(model.bytes) : "–";
}

function contextOf(model: ModelNow | undefined): string {
  if (!model?.context_tokens) return "–";
  if (model.context_used === null) return `${count(model.context_tokens)} tokens`;
  return `${count(model.context_used)} of ${count(model.context_tokens)} tokens`;
}

function Stumbling({ server }: { server: Server }): JSX.Element | null {
  const open = (server.breakers ?? []).filter((breaker) => breaker.state !== "closed");
  if (open.length === 0) return null;
  return (
    <ul class="stack">
      {open.map((breaker) => (
        <li key={breaker.provider}>
          <Mark tone="warn">left out</Mark> <Text of={breaker.provider} />:{" "}
          <Text of={breaker.why} />
        </li>
      ))}
    </ul>
  );
}

function LastOutcome({ server }: { server: Server }): JSX.Element | null {
  if (!server.last?.sentence) return null;
  return (
    <p>
      <span class="quiet">Last: </span>
      <Text of={server.last.sentence} /> <span class="hint">{server.last.advice}</span>
    </p>
  );
}
