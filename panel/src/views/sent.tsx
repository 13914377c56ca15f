/** The requests that left this machine, with what each held. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { query } from "../api";
import { bytes, count, counted, dollars, moment, words } from "../format";
import { get } from "../live";
import { Empty, Path, Section, Text } from "../parts/blocks";
import { Button } from "../parts/button";
import { Table } from "../parts/table";
import type { LedgerEntry, Privacy } from "../wire";
import { replaced } from "./explain";

interface SentProps {
  of: Privacy;
  path: string;
  children: JSX.Element[];
}

export function Sent({ of, path, children }: SentProps): JSX.Element {
  const [older, setOlder] = useState<{ entries: LedgerEntry[]; more: boolean } | null>(null);
  const rows = [...of.entries, ...(older?.entries ?? [])];
  const more = older ? older.more : of.more;
  const fetchMore = async (): Promise<void> => {
    const last = rows[rows.length - 1];
    const answer = await get<Privacy>(`${path}&before=${last?.id ?? 0}`);
    setOlder({ entries: [...(older?.entries ?? []), ...answer.entries], more: answer.more });
  };
  return (
    <Section
      title="What left this machine"
      about={`${counted(of.count, "request")}, each written here before it was sent.`}
      aside={<div class="form">{children}</div>}
    >
      {rows.length === 0 ? (
        <Empty>
          Nothing. As soon as a request goes to a cloud, with your consent, it is listed here: when,
          to whom, which lines of which files, what was replaced, and the price.
        </Empty>
      ) : (
        <Table
          caption="Requests that left this machine, newest first"
          rows={rows}
          rowKey={(entry) => entry.id}
          columns={[
            {
              title: "When",
              head: true,
              cell: (entry: LedgerEntry) => moment(entry.at),
            },
            {
              title: "To",
              cell: (entry) => (
                <>
                  <Text of={entry.destination} />
                  <span class="sub">
                    <Text of={`${entry.provider}, ${entry.model}`} />
                  </span>
                </>
              ),
            },
            { title: "For", cell: (entry) => words(entry.task) },
            { title: "What", cell: (entry) => <What of={entry} /> },
            { title: "Replaced", cell: (entry) => replaced(entry.redactions) },
            {
              title: "Tokens",
              number: true,
              cell: (entry) => `${count(entry.tokens_in)} read, ${count(entry.tokens_out)} written`,
            },
            { title: "Price", number: true, cell: (entry) => dollars(entry.price) },
            { title: "Outcome", cell: (entry) => words(entry.outcome) },
          ]}
        />
      )}
      {more && <Button onPress={fetchMore}>Older ones</Button>}
    </Section>
  );
}

function What({ of }: { of: LedgerEntry }): JSX.Element {
  const [content, setContent] = useState<string | null>(null);
  const open = async (): Promise<void> => {
    const entry = await get<{ content: string }>(query("privacy/entry", { id: of.id }));
    setContent(entry.content || "The text is not kept; privacy.keep_sent keeps it.");
  };
  return (
    <>
      <ul>
        {of.files.slice(0, 5).map((file, index) => (
          <li key={index}>
            <Path of={file.path} />
            {file.start !== null && file.end !== null && (
              <span class="hint">
                {" "}
                lines {file.start}–{file.end}
              </span>
            )}
          </li>
        ))}
        {of.files.length > 5 && (
          <li class="hint">and {counted(of.files.length - 5, "file")} more</li>
        )}
      </ul>
      <span class="sub">{bytes(of.bytes)}</span>
      {content === null ? (
        <Button kind="plain" label={`Show the text of ${moment(of.at)}`} onPress={open}>
          Show the text
        </Button>
      ) : (
        <pre tabIndex={0}>
          <Text of={content} />
        </pre>
      )}
    </>
  );
}
