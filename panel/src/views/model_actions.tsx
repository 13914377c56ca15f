/** What can be done with a model: fetch it, verify it, use it for a role, remove it. */

import type { JSX } from "preact";
import { ago, bytes, words } from "../format";
import { changed, job, jobs, noteJob, post, stopJob } from "../live";
import { Choice, Mark, Progress, Text } from "../parts/blocks";
import { Button } from "../parts/button";
import { confirm } from "../parts/dialog";
import { say } from "../parts/notices";
import type { Job, Model } from "../wire";

export function Actions({ of }: { of: Model }): JSX.Element {
  const running = running_(of);
  if (running?.kind === "pull") return <Fetching of={running} name={of.name} />;
  if (running)
    return (
      <Progress
        label={running.title}
        done={running.done}
        total={running.total}
        words={running.step}
      />
    );
  const last = jobs.value.find((one) => one.about === of.name && one.kind !== "benchmark");
  // The keys give each state its own buttons: one that changes under the pointer is not pressed.
  if (!of.installed)
    return (
      <div class="stack" key="missing">
        {of.partial && (
          <Progress
            label={`Fetched of ${of.name}`}
            done={of.partial.done}
            total={of.partial.total}
            words={`${bytes(of.partial.done)} of ${bytes(of.partial.total)}`}
          />
        )}
        <Failed of={last} />
        <div class="actions">
          <Button
            kind="main"
            label={`${of.partial ? "Resume" : "Fetch"} ${of.name}`}
            onPress={() => pull(of)}
          >
            {of.partial ? "Resume" : "Fetch"}
          </Button>
          {(of.partial !== null || of.origin === "user") && <Remove of={of} />}
        </div>
      </div>
    );
  return (
    <div class="stack" key="installed">
      <Choice
        bare
        label={`Use ${of.name} for a role`}
        value=""
        options={[["", "Use for…"], ...USABLE.map((role) => [role, words(role)] as const)]}
        onChoose={(role) => (role ? use(role, of.name) : undefined)}
      />
      <div class="actions">
        <Button label={`Verify ${of.name}`} onPress={() => verify(of.name)}>
          Verify
        </Button>
        <Remove of={of} />
      </div>
      <Failed of={last} />
      {last?.kind === "verify" && last.state === "done" && (
        <span>
          <Mark tone="good">verified</Mark> {ago(last.ended)}
        </span>
      )}
    </div>
  );
}

function Failed({ of }: { of: Job | undefined }): JSX.Element | null {
  if (of?.state !== "failed" || !of.error) return null;
  return (
    <span>
      <Mark tone="bad">failed</Mark> <Text of={`${of.error.message} ${of.error.hint}`} />
    </span>
  );
}

/** The roles for which a model can be set by name. */
const USABLE = ["complete", "edit", "chat", "code", "fast", "review", "large"];

function running_(of: Model): Job | undefined {
  const told = job(of.job);
  if (told?.state === "running") return told;
  return jobs.value.find(
    (one) => one.about === of.name && one.state === "running" && one.kind !== "benchmark",
  );
}

function Fetching({ of, name }: { of: Job; name: string }): JSX.Element {
  return (
    <div class="stack" key="fetching">
      <Progress
        label={of.title}
        done={of.done}
        total={of.total}
        words={of.total ? `${bytes(of.done)} of ${bytes(of.total)}` : words(of.step)}
      />
      <span class="hint">{words(of.step)}</span>
      <Button label={`Pause fetching ${name}`} onPress={() => stopJob(of)}>
        Pause
      </Button>
    </div>
  );
}

async function pull(of: Model): Promise<void> {
  const fits = of.here?.fits ?? true;
  if (
    !fits &&
    !(await confirm(
      "It does not fit",
      `${of.title || of.name} needs more memory than your settings give to models here. It can be fetched, but not loaded.`,
      "Fetch it nevertheless",
      false,
    ))
  )
    return;
  const { job: told } = await post<{ job: Job }>("models/pull", { name: of.name });
  noteJob(told);
  changed(["models"]);
}

async function verify(name: string): Promise<void> {
  const { job: told } = await post<{ job: Job }>("models/verify", { name });
  noteJob(told);
  say(`${name} is read again and compared with its SHA-256.`);
}

function Remove({ of }: { of: Model }): JSX.Element {
  const remove = async (): Promise<void> => {
    const sure = await confirm(
      `Remove ${of.title || of.name}?`,
      `Its file (${bytes(of.installed ? of.bytes : (of.partial?.done ?? 0))}) is deleted from this machine. It can be fetched again.`,
      "Remove",
    );
    if (!sure) return;
    const { freed_bytes } = await post<{ freed_bytes: number }>("models/remove", {
      name: of.name,
    });
    say(`${of.name} is removed; ${bytes(freed_bytes)} are free again.`);
    changed(["models"]);
  };
  return (
    <Button kind="danger" label={`Remove ${of.name}`} onPress={remove}>
      Remove
    </Button>
  );
}

async function use(role: string, name: string): Promise<void> {
  const { config } = await post<{ config: string }>("models/use", { role, name });
  say(`${name} is now for ${role}; ${config} says so.`);
  changed(["models", "routing"]);
}
