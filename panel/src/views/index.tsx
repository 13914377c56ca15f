/** The index of each workspace folder: what it holds, what is left out, a search to try. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { ago, bytes, count, counted, words } from "../format";
import { changed, jobs, noteJob, post, stopJob } from "../live";
import {
  Choice,
  Empty,
  Figures,
  Input,
  Mark,
  Path,
  Progress,
  Section,
  Text,
  type Tone,
} from "../parts/blocks";
import { Button } from "../parts/button";
import { confirm } from "../parts/dialog";
import { Show, useLoaded } from "../parts/loaded";
import { say } from "../parts/notices";
import { Table } from "../parts/table";
import type { Hit, IndexFolder, Job } from "../wire";

interface Found {
  folders: IndexFolder[];
  exclude: string[];
}

export function IndexView(): JSX.Element {
  const found = useLoaded<Found>("index", "index");
  return (
    <Show of={found}>
      {({ folders, exclude }) => (
        <>
          {folders.length === 0 && (
            <Empty>
              No folder is indexed. Open one in an editor, or run{" "}
              <code>nearfield index FOLDER</code>; what it holds appears here while it is read.
            </Empty>
          )}
          {folders.some((folder) => folder.exists) && (
            <Try folders={folders.filter((folder) => folder.exists)} />
          )}
          {folders.map((folder) => (
            <Folder key={folder.root} of={folder} />
          ))}
          <Exclude of={exclude} />
        </>
      )}
    </Show>
  );
}

const STATES: Record<string, Tone> = { ready: "good", none: "quiet", error: "bad" };

function Folder({ of }: { of: IndexFolder }): JSX.Element {
  const running = jobs.value.find(
    (job) => job.kind === "index" && job.about === of.root && job.state === "running",
  );
  return (
    <section aria-label={of.root}>
      <header>
        <h2>
          <Path of={of.root} />{" "}
          <Mark tone={of.paused ? "warn" : (STATES[of.state] ?? "accent")}>
            {of.paused ? "paused" : of.enabled ? words(of.state) : "off by a setting"}
          </Mark>
        </h2>
        <div class="actions">
          {of.servers.length > 0 && (
            <Button
              label={`${of.paused ? "Resume" : "Pause"} the index of ${of.root}`}
              onPress={() => pause(of)}
            >
              {of.paused ? "Resume" : "Pause"}
            </Button>
          )}
          <Button
            disabled={running !== undefined}
            label={`Update the index of ${of.root}`}
            onPress={() => rebuild(of.root, false)}
          >
            Update
          </Button>
          <Button
            kind="danger"
            disabled={running !== undefined}
            label={`Rebuild the index of ${of.root}`}
            onPress={() => rebuild(of.root, true)}
          >
            Rebuild
          </Button>
        </div>
      </header>
      {running && (
        <div class="actions">
          <Progress
            label={running.title}
            done={running.done}
            total={running.total}
            words={`${words(running.step)} ${count(running.done)} of ${count(running.total)} ${running.unit}`}
          />
          <Button onPress={() => stopJob(running)}>Stop</Button>
        </div>
      )}
      {of.problem && (
        <p>
          <Mark tone="bad">problem</Mark> <Text of={of.problem} />
        </p>
      )}
      {of.detail && (
        <p class="about">
          <Text of={of.detail} />
        </p>
      )}
      <Figures
        of={[
          {
            title: "Files",
            value: count(of.files),
            note: `${bytes(of.source_bytes)} of source`,
          },
          { title: "Pieces", value: count(of.chunks) },
          { title: "Definitions", value: count(of.definitions) },
          { title: "Vectors", value: count(of.vectors) },
          { title: "On disk", value: bytes(of.index_bytes) },
          { title: "Last change", value: ago(of.changed) },
          ...(of.shared ? [{ title: "Shared index", value: <Text of={of.shared} /> }] : []),
        ]}
      />
      <div class="pair">
        <Counts
          title="Languages"
          rows={of.languages.map((one) => [one.language || "other", one.files])}
          unit="Files"
        />
        <Counts
          title="Left out"
          rows={of.skipped.map((one) => [one.reason, one.count])}
          unit="Files"
        />
      </div>
      <Why root={of.root} />
    </section>
  );
}

interface CountsProps {
  title: string;
  unit: string;
  rows: readonly (readonly [string, number])[];
}

function Counts({ title, rows, unit }: CountsProps): JSX.Element | null {
  if (rows.length === 0) return null;
  return (
    <details>
      <summary>
        {title} ({count(rows.length)})
      </summary>
      <Table
        caption={title}
        rows={rows}
        rowKey={(row) => row[0]}
        columns={[
          {
            title,
            head: true,
            cell: (row: readonly [string, number]) => <Text of={words(row[0])} />,
          },
          { title: unit, number: true, cell: (row) => count(row[1]) },
        ]}
      />
    </details>
  );
}

async function pause(of: IndexFolder): Promise<void> {
  await post("index/pause", { root: of.root, on: !of.paused });
  say(of.paused ? "The index is read again." : "The index is paused in the running servers.");
  changed(["index"]);
}

async function rebuild(root: string, fresh: boolean): Promise<void> {
  if (
    fresh &&
    !(await confirm(
      "Rebuild this index?",
      `What is indexed of ${root} is deleted and read from nothing, which takes minutes for a large folder.`,
      "Rebuild",
    ))
  )
    return;
  const { job } = await post<{ job: Job }>("index/rebuild", { root, fresh });
  noteJob(job);
}

function Why({ root }: { root: string }): JSX.Element {
  const [file, setFile] = useState("");
  const [answer, setAnswer] = useState<{
    path: string;
    indexed: boolean;
    reason: string;
    note: string;
  } | null>(null);
  const ask = async (): Promise<void> => {
    setAnswer(await post("index/explain", { root, file }));
  };
  return (
    <details>
      <summary>Why is a file in it, or not?</summary>
      <form class="form" onSubmit={(event) => event.preventDefault()}>
        <Input
          label="File in this folder"
          wide
          value={file}
          onInput={setFile}
          placeholder="src/main.py"
        />
        <Button submit disabled={file === ""} onPress={ask}>
          Ask
        </Button>
      </form>
      <div aria-live="polite">
        {answer && (
          <p>
            {answer.indexed ? (
              <Mark tone="good">indexed</Mark>
            ) : (
              <Mark tone="quiet">not indexed</Mark>
            )}{" "}
            <Path of={answer.path} />{" "}
            <Text of={[answer.reason, answer.note].filter(Boolean).join(" ")} />
          </p>
        )}
      </div>
    </details>
  );
}

const KINDS: readonly (readonly [string, string])[] = [
  ["", "as it reads"],
  ["symbol", "a symbol's name"],
  ["words", "a question in words"],
  ["code", "similar code"],
];

function Try({ folders }: { folders: readonly IndexFolder[] }): JSX.Element {
  const [root, setRoot] = useState(folders[0]?.root ?? "");
  const [text, setText] = useState("");
  const [kind, setKind] = useState("");
  const [found, setFound] = useState<{ kind: string; hits: Hit[] } | null>(null);
  const search = async (): Promise<void> => {
    setFound(await post("index/search", { root, query: text, kind, count: 10 }));
  };
  return (
    <Section
      title="Try a search"
      about="As chats and explanations search; nothing leaves this machine."
    >
      <form class="form" role="search" onSubmit={(event) => event.preventDefault()}>
        {folders.length > 1 && (
          <Choice
            label="Folder"
            value={root}
            options={folders.map((folder) => [folder.root, folder.root] as const)}
            onChoose={setRoot}
          />
        )}
        <Input label="Search for" kind="search" wide value={text} onInput={setText} />
        <Choice label="Kind" value={kind} options={KINDS} onChoose={setKind} />
        <Button kind="main" submit disabled={text.trim() === ""} onPress={search}>
          Search
        </Button>
      </form>
      <div aria-live="polite">
        {found?.hits.length === 0 && <Empty>Nothing is found.</Empty>}
        {found && found.hits.length > 0 && (
          <>
            <p class="hint">Searched as {words(found.kind)}.</p>
            <ol class="hits">
              {found.hits.map((hit, index) => (
                <OneHit key={index} of={hit} />
              ))}
            </ol>
          </>
        )}
      </div>
    </Section>
  );
}

function OneHit({ of }: { of: Hit }): JSX.Element {
  return (
    <li>
      <div>
        <Path of={`${of.path}:${of.line}`} />{" "}
        <strong>{of.symbol && <Text of={of.symbol} />}</strong>{" "}
        <span class="hint">
          {words(of.kind)} · score {of.score.toFixed(3)}
        </span>
      </div>
      <ul class="hint">
        {of.why.map((one, index) => (
          <li key={index}>
            {one.score.toFixed(3)} for {words(one.part)}: <Text of={one.words} />
          </li>
        ))}
      </ul>
      <details>
        <summary>The piece ({counted(of.end_line - of.line + 1, "line")})</summary>
        <pre tabIndex={0}>
          <Text of={of.text} />
        </pre>
      </details>
    </li>
  );
}

function Exclude({ of }: { of: readonly string[] }): JSX.Element {
  const [pattern, setPattern] = useState("");
  const add = async (): Promise<void> => {
    await post("index/exclude", { pattern });
    say(`${pattern} is left out from now on.`);
    setPattern("");
    changed(["index", "routing"]);
  };
  const include = async (one: string): Promise<void> => {
    await post("index/include", { pattern: one });
    say(`${one} counts again.`);
    changed(["index", "routing"]);
  };
  return (
    <Section
      title="Left out by your settings"
      about="Patterns as in .gitignore, for every folder, besides the ignore files of each."
    >
      {of.length === 0 ? (
        <Empty>No pattern. What you add here is not indexed in any folder.</Empty>
      ) : (
        <ul class="stack">
          {of.map((one) => (
            <li key={one} class="row">
              <code>
                <Text of={one} />
              </code>
              <Button label={`Remove ${one}`} onPress={() => include(one)}>
                Remove
              </Button>
            </li>
          ))}
        </ul>
      )}
      <form class="form" onSubmit={(event) => event.preventDefault()}>
        <Input label="Pattern" value={pattern} onInput={setPattern} placeholder="generated/" />
        <Button submit disabled={pattern.trim() === ""} onPress={add}>
          Leave out
        </Button>
      </form>
    </Section>
  );
}
