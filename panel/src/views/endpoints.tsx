/** Endpoints: the sources of models, their state, their keys; adding and removing them. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { counted, words } from "../format";
import { changed, post } from "../live";
import { Choice, Empty, Input, Mark, Section, Text, type Tone, Where } from "../parts/blocks";
import { Button } from "../parts/button";
import { confirm } from "../parts/dialog";
import { say } from "../parts/notices";
import { Table } from "../parts/table";
import type { Endpoint, Routing } from "../wire";

interface Probed {
  state: string;
  detail: string;
}

/** A preset is named as one: a kind of its own may have the same name. */
function title({ kind, preset }: { kind: string; preset: string }): string {
  return preset ? `${preset} (server, ${words(kind)})` : kind;
}

const HEALTH: Record<string, Tone> = {
  ready: "good",
  idle: "good",
  starting: "warn",
  unavailable: "bad",
};

export function Endpoints({ of }: { of: Routing }): JSX.Element {
  const [probed, setProbed] = useState<Record<string, Probed>>({});
  const [opened, setOpened] = useState<{ name: string; form: "key" | "models" } | null>(null);
  const probe = async (name: string): Promise<void> => {
    const fields = { name, workspace: of.workspace };
    const found = await post<Probed>("routing/probe", fields);
    setProbed((before) => ({ ...before, [name]: found }));
  };
  const turn = (name: string, form: "key" | "models"): void =>
    setOpened(opened?.name === name && opened.form === form ? null : { name, form });
  return (
    <Section
      title="Endpoints"
      about="Sources of models. Checking one outside this machine asks its server; nothing else here does."
    >
      {of.endpoints.length === 0 ? (
        <Empty>
          None. The engine on this machine appears here once it is installed; add others below.
        </Empty>
      ) : (
        <Table
          caption="Endpoints"
          rows={of.endpoints}
          rowKey={(one) => one.name}
          columns={[
            {
              title: "Name",
              head: true,
              cell: (one: Endpoint) => (
                <>
                  <Text of={one.name} /> <Where local={one.local} />
                  <span class="sub">{words(one.kind)}</span>
                </>
              ),
            },
            {
              title: "Model and address",
              cell: (one) => (
                <>
                  <Text of={one.model || "its own choice"} />
                  <span class="sub">
                    <Text of={one.base_url} />
                  </span>
                  {one.error && (
                    <span class="sub">
                      <Mark tone="bad">cannot be used</Mark> <Text of={one.error} />
                    </span>
                  )}
                </>
              ),
            },
            { title: "Key", cell: (one) => KEYS[one.key] ?? one.key },
            {
              title: "State",
              cell: (one) => <State of={one} probed={probed[one.name]} />,
            },
            {
              title: "Do",
              cell: (one) => (
                <div class="actions">
                  <Button label={`Check ${one.name}`} onPress={() => probe(one.name)}>
                    Check
                  </Button>
                  <Button label={`Models of ${one.name}`} onPress={() => turn(one.name, "models")}>
                    Models
                  </Button>
                  {one.in_settings && (
                    <>
                      <Button label={`Key for ${one.name}`} onPress={() => turn(one.name, "key")}>
                        Key
                      </Button>
                      <Button
                        kind="danger"
                        label={`Remove ${one.name}`}
                        onPress={() => remove(one.name)}
                      >
                        Remove
                      </Button>
                    </>
                  )}
                </div>
              ),
            },
          ]}
        />
      )}
      {opened?.form === "key" && (
        <Key key={opened.name} name={opened.name} done={() => setOpened(null)} />
      )}
      {opened?.form === "models" && <Served key={opened.name} name={opened.name} />}
      <Add of={of} />
      <Detect />
    </Section>
  );
}

const KEYS: Record<string, string> = {
  keyring: "in the keyring",
  environment: "in the environment",
  none: "none",
  unknown: "unknown",
};

function State({ of, probed }: { of: Endpoint; probed: Probed | undefined }): JSX.Element {
  const open = of.breakers.filter((breaker) => breaker.state !== "closed");
  return (
    <>
      {probed ? (
        <>
          <Mark tone={HEALTH[probed.state] ?? "quiet"}>{words(probed.state)}</Mark>
          <span class="sub">
            <Text of={probed.detail} />
          </span>
        </>
      ) : (
        <span class="quiet">not checked</span>
      )}
      {open.map((breaker) => (
        <span class="sub" key={breaker.server}>
          <Mark tone="warn">left out for now</Mark> <Text of={breaker.why} />
        </span>
      ))}
    </>
  );
}

async function remove(name: string): Promise<void> {
  const sure = await confirm(
    `Remove ${name}?`,
    "It is taken out of your settings. Its key stays in the keyring until you remove it.",
    "Remove",
  );
  if (!sure) return;
  await post("routing/endpoint/remove", { name });
  say(`${name} is removed.`);
  changed(["routing"]);
}

function Key({ name, done }: { name: string; done: () => void }): JSX.Element {
  const [key, setKey] = useState("");
  const save = async (): Promise<void> => {
    await post("routing/key", { provider: name, key });
    setKey("");
    say(`The key for ${name} is in the keyring.`);
    changed(["routing"]);
    done();
  };
  const forget = async (): Promise<void> => {
    const sure = await confirm(
      `Remove the key for ${name}?`,
      "It is deleted from the keyring.",
      "Remove",
    );
    if (!sure) return;
    await post("routing/key/remove", { provider: name });
    say(`The key for ${name} is removed.`);
    changed(["routing"]);
    done();
  };
  return (
    <form class="form inset" onSubmit={(event) => event.preventDefault()}>
      <Input
        label={`Key for ${name}`}
        kind="password"
        wide
        value={key}
        onInput={setKey}
        hint="It goes into the system's keyring and is not shown again."
      />
      <Button kind="main" submit disabled={key === ""} onPress={save}>
        Save
      </Button>
      <Button kind="danger" onPress={forget}>
        Remove the key
      </Button>
    </form>
  );
}

function Served({ name }: { name: string }): JSX.Element {
  const [found, setFound] = useState<{ name: string; context_tokens: number | null }[] | null>(
    null,
  );
  const ask = async (): Promise<void> => {
    const answer = await post<{ models: { name: string; context_tokens: number | null }[] }>(
      "routing/served",
      { name },
    );
    setFound(answer.models);
  };
  return (
    <div class="inset">
      <h3>
        Models of <Text of={name} />
      </h3>
      <Button onPress={ask}>Ask its server</Button>
      {found?.length === 0 && <Empty>It has none.</Empty>}
      {found && found.length > 0 && (
        <ul>
          {found.map((model) => (
            <li key={model.name}>
              <Text of={model.name} />{" "}
              {model.context_tokens !== null && (
                <span class="hint">{counted(model.context_tokens, "token")} of context</span>
              )}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Add({ of }: { of: Routing }): JSX.Element {
  const [name, setName] = useState("");
  const [chosen, choose] = useState(0);
  const [model, setModel] = useState("");
  const [url, setUrl] = useState("");
  const { kind = "", preset = "", usual_url = "", words: about = "" } = of.kinds[chosen] ?? {};
  const add = async (): Promise<void> => {
    const options = preset ? { preset } : {};
    await post("routing/endpoint", { name, kind, model, base_url: url, options });
    say(`${name} is in your settings.`);
    setName("");
    setModel("");
    setUrl("");
    changed(["routing"]);
  };
  return (
    <details>
      <summary>Add an endpoint</summary>
      <form class="form" onSubmit={(event) => event.preventDefault()}>
        <Choice
          label="Kind"
          value={String(chosen)}
          options={of.kinds.map((one, at) => [String(at), title(one)] as const)}
          onChoose={(at) => choose(Number(at))}
        />
        <Input label="Name" value={name} onInput={setName} placeholder="team" />
        <Input label="Model" value={model} onInput={setModel} />
        <Input label="Address" wide value={url} onInput={setUrl} placeholder={usual_url} />
        <Button kind="main" submit disabled={name === ""} onPress={add}>
          Add
        </Button>
      </form>
      {about && <p class="hint">{about}</p>}
    </details>
  );
}

interface Detected {
  name: string;
  kind: string;
  options: Record<string, unknown>;
  base_url: string;
  models: string[];
  best: string;
  wants_key: boolean;
  in_settings: boolean;
}

function Detect(): JSX.Element {
  const [found, setFound] = useState<Detected[] | null>(null);
  const detect = async (): Promise<void> => {
    setFound((await post<{ servers: Detected[] }>("routing/detect")).servers);
  };
  const add = async (one: Detected): Promise<void> => {
    const { name, kind, options, base_url } = one;
    await post("routing/endpoint", { name, kind, model: one.best, base_url, options });
    say(`${one.name} is in your settings.`);
    changed(["routing"]);
    await detect();
  };
  return (
    <div class="stack">
      <div>
        <Button onPress={detect}>Look for servers on this machine</Button>
      </div>
      {found?.length === 0 && (
        <Empty>None answers on the usual ports of Ollama, LM Studio, llama.cpp and others.</Empty>
      )}
      {found && found.length > 0 && (
        <Table
          caption="Servers on this machine"
          rows={found}
          rowKey={(one) => one.base_url}
          columns={[
            {
              title: "Server",
              head: true,
              cell: (one: Detected) => <Text of={one.name} />,
            },
            { title: "Address", cell: (one) => <Text of={one.base_url} /> },
            {
              title: "Models",
              cell: (one) => (
                <>
                  {counted(one.models.length, "model")}
                  {one.best && (
                    <span class="sub">
                      best: <Text of={one.best} />
                    </span>
                  )}
                </>
              ),
            },
            {
              title: "Do",
              cell: (one) =>
                one.in_settings ? (
                  <Mark tone="good">in your settings</Mark>
                ) : (
                  <Button label={`Add ${one.name}`} onPress={() => add(one)}>
                    Add
                  </Button>
                ),
            },
          ]}
        />
      )}
    </div>
  );
}
