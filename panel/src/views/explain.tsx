/** What would happen to a request, without sending it. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { bytes, dollars, words } from "../format";
import { post } from "../live";
import { Choice, Empty, Input, Mark, Section, Text, Where } from "../parts/blocks";
import { Button } from "../parts/button";
import { Table } from "../parts/table";
import type { Explained, Routing } from "../wire";

type Turn = Explained["turns"][number];

export function Explain({ of }: { of: Routing }): JSX.Element {
  const [task, setTask] = useState(
    of.task_names.includes("chat") ? "chat" : (of.task_names[0] ?? ""),
  );
  const [file, setFile] = useState("");
  const [chars, setChars] = useState("200");
  const [found, setFound] = useState<Explained | null>(null);
  const ask = async (): Promise<void> => {
    const fields = { task, file, chars: Number(chars) || 0, workspace: of.workspace };
    setFound(await post<Explained>("routing/explain", fields));
  };
  return (
    <Section
      title="What would happen to this request?"
      about="Nothing is sent. Choose a task, and if it is about one, a file."
    >
      <form class="form" onSubmit={(event) => event.preventDefault()}>
        <Choice
          label="Task"
          value={task}
          options={of.task_names.map((name) => [name, words(name)] as const)}
          onChoose={setTask}
        />
        <Input label="File" wide value={file} onInput={setFile} placeholder="/path/to/file.py" />
        <Input label="Length in characters" kind="number" value={chars} onInput={setChars} />
        <Button kind="main" submit onPress={ask}>
          Explain
        </Button>
      </form>
      <div aria-live="polite">{found && <Answer of={found} />}</div>
    </Section>
  );
}

function Answer({ of }: { of: Explained }): JSX.Element {
  return (
    <div class="inset">
      <p>
        Role <strong>{words(of.role)}</strong>
        {of.rule ? (
          <>
            {" "}
            by the rule <Text of={of.rule} />
          </>
        ) : null}
        {of.is_complex ? ", as a complex task" : ""}. <Text of={of.why} />
      </p>
      {of.turns.length === 0 ? (
        <Empty>No provider would be asked.</Empty>
      ) : (
        <Table
          caption="Providers in the order in which they would be asked"
          rows={of.turns.map((turn, index) => ({ ...turn, index }))}
          rowKey={(turn) => turn.index}
          columns={[
            {
              title: "Provider",
              head: true,
              cell: (turn: Turn) => <Text of={turn.provider} />,
            },
            {
              title: "Model",
              cell: (turn) => (
                <>
                  <Text of={turn.model || "its own choice"} /> <Where local={turn.is_local} />
                </>
              ),
            },
            { title: "Then", cell: (turn) => <Text of={turn.use} /> },
            {
              title: "Sent",
              number: true,
              cell: (turn) => (turn.is_local ? "stays here" : bytes(turn.bytes)),
            },
            { title: "Replaced", cell: (turn) => replaced(turn.redactions) },
            {
              title: "Price at most",
              number: true,
              cell: (turn) => (turn.is_local ? "free" : dollars(turn.price)),
            },
          ]}
        />
      )}
      {of.left_out.length > 0 && (
        <ul>
          {of.left_out.map(([name, why]) => (
            <li key={name}>
              <Mark tone="quiet">left out</Mark> <Text of={name} />:{" "}
              <span class="hint">
                <Text of={why} />
              </span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** What secrets were replaced: "2 aws key", or a bare number. */
export function replaced(redactions: Record<string, number> | number | null): string {
  if (redactions === null) return "–";
  if (typeof redactions === "number") return redactions === 0 ? "nothing" : String(redactions);
  const kinds = Object.entries(redactions);
  if (kinds.length === 0) return "nothing";
  return kinds.map(([kind, times]) => `${times} × ${words(kind)}`).join(", ");
}
