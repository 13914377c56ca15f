/** Every setting with its meaning, its value's source and its default. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { query } from "../api";
import { visible } from "../format";
import { changed, post } from "../live";
import { Choice, Empty, Entry, Input, Mark, Section, Text } from "../parts/blocks";
import { Button } from "../parts/button";
import { Show, useLoaded } from "../parts/loaded";
import { say } from "../parts/notices";
import { typed, understood } from "../values";
import type { Setting, Settings } from "../wire";

export function SettingsSection({ workspace }: { workspace: string }): JSX.Element {
  const settings = useLoaded<Settings>(query("settings", { workspace }), "routing");
  const [section, setSection] = useState("routing");
  const [text, setText] = useState("");
  const names = [...new Set((settings.value?.settings ?? []).map((one) => one.section))];
  const wanted = text.trim().toLowerCase();
  const matches = (one: Setting): boolean =>
    wanted === ""
      ? one.section === section
      : `${one.key} ${one.doc}`.toLowerCase().includes(wanted);
  return (
    <Section
      title="Settings and limits"
      aside={
        <div class="form">
          <Choice
            label="Section"
            value={section}
            options={names.map((name) => [name, name] as const)}
            onChoose={(name) => {
              setSection(name);
              setText("");
            }}
          />
          <Input label="Find in all" kind="search" value={text} onInput={setText} />
        </div>
      }
    >
      <Show of={settings}>
        {(found) => {
          const shown = found.settings.filter(matches);
          return (
            <>
              <p class="hint">
                Changes are written to <Text of={found.config} />.
              </p>
              {shown.length === 0 ? (
                <Empty>No setting matches.</Empty>
              ) : (
                <ul class="settings">
                  {shown.map((one) => (
                    <li key={one.key}>
                      <OneSetting of={one} />
                    </li>
                  ))}
                </ul>
              )}
            </>
          );
        }}
      </Show>
    </Section>
  );
}

function OneSetting({ of }: { of: Setting }): JSX.Element {
  const kind = of.form.kind;
  const [text, setText] = useState<string | null>(null);
  const [wrong, setWrong] = useState("");
  const shown = text ?? typed(of.value, kind);
  // A key that stands for names of the user's choice is set under a name.
  const open = of.named && of.key.includes("NAME");
  const [name, setName] = useState("");
  const key = open ? of.key.replace("NAME", name) : of.key;
  const save = async (value: string): Promise<void> => {
    setWrong("");
    try {
      const { note } = await post<{ note: string }>("settings/set", {
        key,
        value: understood(value, kind),
      });
      say(visible(`${key} is saved.${note ? ` ${note}` : ""}`));
      setText(null);
      changed(["routing", "suggestions", "privacy", "index", "models"]);
    } catch (error) {
      setWrong(error instanceof SyntaxError ? "This is not JSON." : (error as Error).message);
    }
  };
  const unset = async (): Promise<void> => {
    await post("settings/unset", { key: of.key });
    say(`${of.key} has its default again.`);
    setText(null);
    changed(["routing", "suggestions", "privacy", "index", "models"]);
  };
  return (
    <div class="setting">
      <div>
        <strong>
          <code>{visible(of.key)}</code>
        </strong>{" "}
        {of.set && <Mark tone="accent">set</Mark>}
        <p>{visible(of.doc)}</p>
        <p class="hint">
          From <Text of={of.source} />
          {of.default !== null && (
            <>
              ; default <code>{visible(JSON.stringify(of.default))}</code>
            </>
          )}
        </p>
        {wrong && (
          <p role="alert">
            <Mark tone="bad">refused</Mark> {visible(wrong)}
          </p>
        )}
      </div>
      <form class="form" onSubmit={(event) => event.preventDefault()}>
        {open && <Input label={`Name in ${of.key}`} value={name} onInput={setName} />}
        <Editor of={of} value={shown} onInput={setText} onChoose={save} />
        {text !== null && kind !== "bool" && kind !== "choice" && (
          <Button kind="main" submit disabled={open && name === ""} onPress={() => save(text)}>
            Save
          </Button>
        )}
        {of.set && (
          <Button label={`Default for ${of.key}`} onPress={unset}>
            Default
          </Button>
        )}
      </form>
    </div>
  );
}

interface EditorProps {
  of: Setting;
  value: string;
  onInput: (text: string) => void;
  onChoose: (text: string) => unknown;
}

function Editor({ of, value, onInput, onChoose }: EditorProps): JSX.Element {
  const { kind, choices } = of.form;
  if (kind === "bool" || (kind === "choice" && choices)) {
    const names = kind === "bool" ? ["true", "false"] : (choices ?? []);
    const shown = (one: string): string =>
      kind === "bool" ? (one === "true" ? "on" : "off") : one || "(none)";
    return (
      <Choice
        bare
        label={of.key}
        value={value}
        options={names.map((one) => [one, shown(one)] as const)}
        onChoose={onChoose}
      />
    );
  }
  if (kind === "list" || kind === "json")
    return (
      <textarea
        aria-label={of.key}
        rows={Math.min(6, value.split("\n").length + 1)}
        spellcheck={false}
        value={value}
        placeholder={kind === "list" ? "one a line" : "JSON"}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    );
  return (
    <Entry
      label={of.key}
      kind={kind === "int" || kind === "float" ? "number" : "text"}
      min={of.form.min}
      max={of.form.max}
      value={value}
      onInput={onInput}
    />
  );
}
