/** The last requests of a server: what each cost, and what came of it. */

import type { JSX } from "preact";
import { counted, milliseconds, words } from "../format";
import { Empty, Mark, Path, Text } from "../parts/blocks";
import { Table } from "../parts/table";
import type { RequestNow } from "../wire";

export function Requests({ of }: { of: readonly RequestNow[] }): JSX.Element {
  return (
    <>
      <h3>Last requests</h3>
      {of.length === 0 ? (
        <Empty>
          None yet. With the first suggestion, action or answer its cost appears here: tokens, time
          by stage, and whether it was shown.
        </Empty>
      ) : (
        <Table
          caption="The last requests, newest first"
          rows={of}
          rowKey={(request) => request.id}
          columns={[
            {
              title: "What",
              head: true,
              cell: (request: RequestNow) => (
                <>
                  <Text of={request.what || request.method} />
                  <span class="sub">
                    <Path of={request.uri} name={fileName(request.uri)} />
                  </span>
                </>
              ),
            },
            {
              title: "Model",
              cell: (request) => (
                <>
                  <Text of={request.model || request.provider || "none"} />
                  <span class="sub">{words(request.situation)}</span>
                </>
              ),
            },
            {
              title: "Evaluated",
              number: true,
              cell: (request) => tokens(request.evaluated_tokens),
            },
            {
              title: "Reused",
              number: true,
              cell: (request) => tokens(request.reused_tokens),
            },
            {
              title: "Generated",
              number: true,
              cell: (request) => tokens(request.generated_tokens),
            },
            { title: "Time", cell: (request) => <Times of={request} /> },
            { title: "Outcome", cell: (request) => <Outcome of={request} /> },
          ]}
        />
      )}
    </>
  );
}

function tokens(value: number | null): string {
  return value === null ? "–" : counted(value, "token");
}

function fileName(uri: string): string {
  const last = uri.split("/").pop() ?? uri;
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}

function Times({ of }: { of: RequestNow }): JSX.Element {
  const stages = Object.entries(of.stages).filter(([, ms]) => ms >= 0.5);
  return (
    <>
      {milliseconds(of.total_ms)}
      {stages.length > 0 && (
        <span class="sub">
          {stages.map(([stage, ms]) => `${words(stage)} ${milliseconds(ms)}`).join(", ")}
        </span>
      )}
    </>
  );
}

function Outcome({ of }: { of: RequestNow }): JSX.Element {
  return (
    <>
      {of.shown ? <Mark tone="good">shown</Mark> : <Mark tone="quiet">not shown</Mark>}
      {!of.shown && (
        <span class="sub">
          <Text of={of.sentence || words(of.reason)} />
        </span>
      )}
      {of.included.length > 0 && (
        <details>
          <summary>{counted(of.included.length, "snippet")} of other files</summary>
          <ul>
            {of.included.map((snippet, index) => (
              <li key={index}>
                <Path of={snippet.path} /> {counted(snippet.tokens, "token")}
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}
