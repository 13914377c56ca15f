/** Search of the hub: repositories, their files, which fit, and taking one into the catalogue. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { bytes, count } from "../format";
import { changed, noteJob, post } from "../live";
import { nameFor } from "../names";
import { Empty, Input, Mark, Section, Text } from "../parts/blocks";
import { Button } from "../parts/button";
import { say } from "../parts/notices";
import { Table } from "../parts/table";
import type { HubFile, Job, Repository } from "../wire";

const MIB = 1024 * 1024;

export function HubSearch({ hub }: { hub: string }): JSX.Element {
  const [text, setText] = useState("");
  const [found, setFound] = useState<Repository[] | null>(null);
  const [opened, setOpened] = useState<{ repo: string; files: HubFile[] } | null>(null);
  const search = async (): Promise<void> => {
    setOpened(null);
    const { repositories } = await post<{ repositories: Repository[] }>("models/search", {
      text,
    });
    setFound(repositories);
  };
  const open = async (repo: string): Promise<void> => {
    setOpened(await post<{ repo: string; files: HubFile[] }>("models/files", { repo }));
  };
  return (
    <Section
      title="Search the hub"
      about={
        <>
          What you type here is sent to <Text of={hub} />, and nothing else. Nothing is fetched
          before you ask for it.
        </>
      }
    >
      <form
        class="form"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
        }}
      >
        <Input label="Name of a model" kind="search" wide value={text} onInput={setText} />
        <Button kind="main" submit disabled={text.trim() === ""} onPress={search}>
          Search
        </Button>
      </form>
      {found?.length === 0 && (
        <Empty>The hub has no repository of that name with GGUF files.</Empty>
      )}
      {found && found.length > 0 && (
        <Table
          caption="Repositories"
          rows={found}
          rowKey={(one) => one.repo}
          columns={[
            {
              title: "Repository",
              head: true,
              cell: (one: Repository) => <Text of={one.repo} />,
            },
            {
              title: "Licence",
              cell: (one) => <Text of={one.licence || "not said"} />,
            },
            { title: "Downloads", number: true, cell: (one) => count(one.downloads) },
            { title: "Updated", cell: (one) => <Text of={one.updated.slice(0, 10)} /> },
            {
              title: "Do",
              cell: (one) =>
                one.gated ? (
                  <Mark tone="warn">needs an account</Mark>
                ) : (
                  <Button label={`Files of ${one.repo}`} onPress={() => open(one.repo)}>
                    Files
                  </Button>
                ),
            },
          ]}
        />
      )}
      {opened && <Files {...opened} />}
    </Section>
  );
}

function Files({ repo, files }: { repo: string; files: HubFile[] }): JSX.Element {
  if (files.length === 0) return <Empty>{repo} has no GGUF file.</Empty>;
  return (
    <>
      <h3>
        <Text of={repo} />
      </h3>
      <Table
        caption={`Files of ${repo}`}
        rows={files}
        rowKey={(file) => file.file}
        columns={[
          { title: "File", head: true, cell: (file: HubFile) => <Text of={file.file} /> },
          { title: "Size", number: true, cell: (file) => bytes(file.bytes) },
          {
            title: "In memory",
            number: true,
            cell: (file) => (file.memory_mb === null ? "–" : bytes(file.memory_mb * MIB)),
          },
          {
            title: "Here",
            cell: (file) =>
              file.fits === null ? (
                "–"
              ) : file.fits ? (
                <Mark tone="good">fits</Mark>
              ) : (
                <Mark tone="bad">too large</Mark>
              ),
          },
          {
            title: "Do",
            cell: (file) => (
              <Button label={`Fetch ${file.file}`} onPress={() => take(repo, file.file)}>
                Fetch
              </Button>
            ),
          },
        ]}
      />
    </>
  );
}

async function take(repo: string, file: string): Promise<void> {
  const { name } = await post<{ name: string }>("models/add", {
    name: nameFor(file),
    source: `${repo}/${file}`,
  });
  const { job } = await post<{ job: Job }>("models/pull", { name });
  noteJob(job);
  say(`${name} is in your catalogue, and is being fetched.`);
  changed(["models"]);
}
