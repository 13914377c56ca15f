import { signal, useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { connection, nextAttempt, now, trouble, tryNow, version } from "./live";
import { counted } from "./format";
import { Button } from "./parts/button";
import { Dialog } from "./parts/dialog";
import { Notices } from "./parts/notices";
import { choice, turn } from "./theme";
import { readFragment } from "./token";
import { VIEWS, type View } from "./views";

const current = signal<View>(viewOf(window.location.hash));

function viewOf(fragment: string): View {
  const { view } = readFragment(fragment);
  return VIEWS.find((one) => one.name === view) ?? VIEWS[0];
}

/** Everything that is seen: the bar with the views, the notice of the connection, the view. */
export function Page(): JSX.Element {
  useEffect(() => {
    const follow = (): void => {
      current.value = viewOf(window.location.hash);
      // A reader of the screen hears the new view's title, and the keyboard starts in it.
      document.getElementById("title")?.focus();
      window.scrollTo(0, 0);
    };
    window.addEventListener("hashchange", follow);
    return () => window.removeEventListener("hashchange", follow);
  }, []);
  useSignalEffect(() => {
    document.title = `${current.value.title} · Nearfield`;
  });
  const { title, name, shown: Shown } = current.value;
  return (
    <>
      <a class="skip" href="#content" onClick={skip}>
        Skip to the content
      </a>
      <Bar />
      <main id="content" aria-labelledby="title">
        <h1 id="title" tabIndex={-1}>
          {title}
        </h1>
        <Connection />
        {connection.value === "refused" ? <Refused /> : <Shown key={name} />}
      </main>
      <Notices />
      <Dialog />
    </>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("title")?.focus();
}

function Bar(): JSX.Element {
  return (
    <header class="bar">
      <div class="name">
        Nearfield <span class="quiet">{version.value}</span>
      </div>
      <nav aria-label="Views">
        <ul>
          {VIEWS.map((view) => (
            <li key={view.name}>
              <a href={`#${view.name}`} aria-current={view === current.value ? "page" : undefined}>
                {view.title}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <div class="state">
        <State />
        <button
          type="button"
          class="plain"
          onClick={turn}
          aria-label={`Colours: ${COLOURS[choice.value]}. Change`}
          title="Colours: as the system, light or dark"
        >
          {COLOURS[choice.value]}
        </button>
      </div>
    </header>
  );
}

const COLOURS = { system: "Auto", light: "Light", dark: "Dark" };

function State(): JSX.Element {
  const servers = now.value?.together.servers;
  if (connection.value === "live")
    return (
      <span class="dot good">
        {servers === undefined ? "connected" : counted(servers, "server")}
      </span>
    );
  return (
    <span class="dot bad">
      {connection.value === "connecting" ? "connecting" : "not connected"}
    </span>
  );
}

/** Says that the connection is lost, and when it is tried again. */
function Connection(): JSX.Element {
  const lost = connection.value === "lost";
  const [, setTick] = useState(0);
  useEffect(() => {
    if (!lost) return undefined;
    const timer = setInterval(() => setTick((tick) => tick + 1), 1000);
    return () => clearInterval(timer);
  }, [lost]);
  const left = Math.max(0, Math.ceil((nextAttempt.value - Date.now()) / 1000));
  return (
    <div role="status">
      {lost && (
        <div class="failure">
          <div>
            <strong>The server does not answer.</strong> What you see is from before.{" "}
            <span aria-hidden="true">{left > 0 ? `Next attempt in ${left} s.` : "Trying…"}</span>
          </div>
          <Button onPress={tryNow}>Try now</Button>
        </div>
      )}
      {trouble.value && <div class="failure">{trouble.value}</div>}
    </div>
  );
}

function Refused(): JSX.Element {
  return (
    <div class="empty">
      <p>This page has no access token, or one that the server does not take.</p>
      <p>
        Run <code>nearfield panel</code> in a terminal: it opens the page again with a new address.
      </p>
    </div>
  );
}
