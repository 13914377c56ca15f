/** A LoRA adapter of the user's own: registered with its base, and given to a role. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { changed, post } from "../live";
import { nameFor } from "../names";
import { Choice, Empty, Input, Section } from "../parts/blocks";
import { Button } from "../parts/button";
import { say } from "../parts/notices";
import type { Models } from "../wire";

const ROLES = [
  ["", "no role yet"],
  ["complete", "complete"],
  ["edit", "edit"],
  ["chat", "chat"],
] as const;

export function AddAdapter({ of }: { of: Models }): JSX.Element {
  const bases = of.models.filter((model) => model.installed && !model.adapter);
  const [base, setBase] = useState("");
  const [file, setFile] = useState("");
  const [scale, setScale] = useState("1");
  const [role, setRole] = useState("");
  const chosen = base || (bases[0]?.name ?? "");
  const add = async (): Promise<void> => {
    const { name } = await post<{ name: string }>("models/add", {
      name: nameFor(file.replace(/.*[/\\]/, "")),
      lora: file,
      base: chosen,
      scale: Number(scale),
    });
    if (role) await post("models/use", { role, name });
    say(role ? `${name} serves ${role}.` : `${name} is in your catalogue.`);
    setFile("");
    changed(["models", "routing"]);
  };
  return (
    <Section
      title="Add a LoRA adapter"
      about="An adapter changes a model that is here. It is checked against that model, and both together are one more model of the catalogue, named after the adapter's file."
    >
      {bases.length === 0 ? (
        <Empty>Fetch the model first that the adapter was trained on.</Empty>
      ) : (
        <form class="form" onSubmit={(event) => event.preventDefault()}>
          <Input label="File of the adapter" value={file} onInput={setFile} wide />
          <Choice
            label="Base model"
            value={chosen}
            options={bases.map((model) => [model.name, model.name] as const)}
            onChoose={setBase}
          />
          <Input label="Scale" kind="number" value={scale} onInput={setScale} />
          <Choice label="For the role" value={role} options={ROLES} onChoose={setRole} />
          <Button kind="main" onPress={add} disabled={file === ""} submit>
            Add
          </Button>
        </form>
      )}
    </Section>
  );
}
