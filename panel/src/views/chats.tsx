/** Kept chats: reading, going on with, exporting and deleting them. */

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { query } from "../api";
import { bytes, count, counted, moment, visible, words } from "../format";
import { changed, get, post, stream } from "../live";
import { fileName } from "../names";
import { Empty, Field, Mark, Path, Section, Text } from "../parts/blocks";
import { Button } from "../parts/button";
import { confirm } from "../parts/dialog";
import { Show, useLoaded } from "../parts/loaded";
import { complain, say } from "../parts/notices";
import { Table } from "../parts/table";
import type { Chat, ChatHead } from "../wire";

export function Chats(): JSX.Element {
  const [opened, setOpened] = useState("");
  const found = useLoaded<{ chats: ChatHead[] }>("chats", "chats");
  return (
    <Show of={found}>
      {({ chats }) => (
        <>
          <Section title="Kept chats">
            {chats.length === 0 ? (
              <Empty>
                No chat is kept. Ask something in an editor's chat, or by{" "}
                <code>nearfield ask "…"</code>: it is listed here and can be gone on with.
              </Empty>
            ) : (
              <Table
                caption="Kept chats, the last one first"
                rows={chats}
                rowKey={(chat) => chat.id}
                columns={[
                  {
                    title: "Chat",
                    head: true,
                    cell: (chat: ChatHead) => <Text of={chat.title || "Untitled"} />,
                  },
                  {
                    title: "Folder",
                    cell: (chat) => <Path of={chat.workspace || "none"} />,
                  },
                  {
                    title: "Questions",
                    number: true,
                    cell: (chat) => count(chat.count),
                  },
                  { title: "Last", cell: (chat) => moment(chat.changed) },
                  {
                    title: "Do",
                    cell: (chat) => (
                      <div class="actions">
                        <Button
                          label={`Open ${chat.title}`}
                          pressed={opened === chat.id}
                          onPress={() => setOpened(opened === chat.id ? "" : chat.id)}
                        >
                          Open
                        </Button>
                        <Button label={`Export ${chat.title}`} onPress={() => save(chat)}>
                          Export
                        </Button>
                        <Button
                          kind="danger"
                          label={`Delete ${chat.title}`}
                          onPress={async () => {
                            if (await remove(chat)) setOpened("");
                          }}
                        >
                          Delete
                        </Button>
                      </div>
                    ),
                  },
                ]}
              />
            )}
          </Section>
          {chats.some((chat) => chat.id === opened) && <OneChat key={opened} id={opened} />}
        </>
      )}
    </Show>
  );
}

async function save(chat: ChatHead): Promise<void> {
  const { text } = await get<{ text: string }>(query("chats/markdown", { id: chat.id }));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/markdown" }));
  link.download = `${fileName(chat.title)}.md`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function remove(chat: ChatHead): Promise<boolean> {
  const sure = await confirm(
    "Delete this chat?",
    `“${visible(chat.title)}” with ${counted(chat.count, "question")} is deleted from this machine for good.`,
    "Delete",
  );
  if (!sure) return false;
  await post("chats/delete", { id: chat.id });
  say("The chat is deleted.");
  changed(["chats"]);
  return true;
}

function OneChat({ id }: { id: string }): JSX.Element {
  const found = useLoaded<Chat>(query("chats/chat", { id }), "chats");
  return (
    <Show of={found}>
      {(chat) => (
        <Section title="Opened chat" about={<Text of={chat.title} />}>
          {chat.exchanges.map((one, index) => (
            <article key={index} class="exchange">
              <p class="question">
                <Text of={one.question} />
              </p>
              {one.calls.length > 0 && (
                <p class="marks">
                  {one.calls.map(([name, state], call) => (
                    <Mark key={call} tone={state === "done" ? "quiet" : "warn"}>
                      {visible(name)}: {words(state)}
                    </Mark>
                  ))}
                </p>
              )}
              <p class="answer">
                <Text of={one.answer} />
              </p>
              <span class="hint">
                <Text of={one.model} />
              </span>
            </article>
          ))}
          <Calls of={chat.calls} />
          <Say id={id} reload={found.reload} />
        </Section>
      )}
    </Show>
  );
}

function Calls({ of }: { of: Chat["calls"] }): JSX.Element | null {
  if (of.length === 0) return null;
  return (
    <details>
      <summary>{counted(of.length, "call")} of functions</summary>
      <Table
        caption="Calls of functions"
        rows={of.map((call, index) => ({ ...call, index }))}
        rowKey={(call) => call.index}
        columns={[
          { title: "Function", head: true, cell: (call) => <Text of={call.function} /> },
          {
            title: "Arguments",
            cell: (call) => (
              <code>
                <Text
                  of={
                    typeof call.arguments === "string"
                      ? call.arguments
                      : JSON.stringify(call.arguments)
                  }
                />
              </code>
            ),
          },
          { title: "Allowed", cell: (call) => <Text of={words(String(call.allowed))} /> },
          { title: "Outcome", cell: (call) => <Text of={words(call.outcome)} /> },
          { title: "Answer", number: true, cell: (call) => bytes(call.bytes) },
          { title: "When", cell: (call) => moment(call.at) },
        ]}
      />
    </details>
  );
}

/** Going on with the chat: the answer is shown as it comes, and can be stopped. */
function Say({ id, reload }: { id: string; reload: () => void }): JSX.Element {
  const [message, setMessage] = useState("");
  const [answer, setAnswer] = useState<string | null>(null);
  const [notes, setNotes] = useState<readonly string[]>([]);
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);
  const ask = async (): Promise<void> => {
    const stop = new AbortController();
    running.current = stop;
    setAnswer("");
    setNotes([]);
    let done = false as boolean;
    try {
      await stream("chats/say", { id, message }, stop.signal, ({ name, data }) => {
        const told = JSON.parse(data) as {
          text?: string;
          message?: string;
          hint?: string;
          notes?: string[];
        };
        if (name === "text") setAnswer((before) => (before ?? "") + (told.text ?? ""));
        else if (name === "restart") setAnswer("");
        else if (name === "error")
          throw new Error([told.message, told.hint].filter(Boolean).join(" "));
        else if (name === "done") {
          done = true;
          setNotes(told.notes ?? []);
        }
      });
      if (!done) throw new Error("The answer ended before it was complete.");
      setMessage("");
    } catch (error) {
      complain(error);
    }
    running.current = null;
    setAnswer(null);
    reload();
    changed(["chats"]);
  };
  return (
    <div class="stack">
      {answer !== null && (
        <article class="exchange" aria-live="polite" aria-busy="true">
          <p class="question">
            <Text of={message} />
          </p>
          <p class="answer">
            {answer === "" ? <span class="quiet">Thinking…</span> : <Text of={answer} />}
          </p>
        </article>
      )}
      {notes.map((note) => (
        <p key={note} class="hint">
          <Text of={note} />
        </p>
      ))}
      <form class="form" onSubmit={(event) => event.preventDefault()}>
        <Field label="Go on with it" hint="No functions are called from here.">
          {(field) => (
            <textarea
              id={field}
              rows={3}
              value={message}
              disabled={answer !== null}
              onInput={(event) => setMessage(event.currentTarget.value)}
            />
          )}
        </Field>
        {answer === null ? (
          <Button key="ask" kind="main" disabled={message.trim() === ""} onPress={() => void ask()}>
            Ask
          </Button>
        ) : (
          <Button key="stop" kind="danger" onPress={() => running.current?.abort()}>
            Stop
          </Button>
        )}
      </form>
    </div>
  );
}
