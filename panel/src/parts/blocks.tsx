/** The small parts that views are made of. */

import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";
import { visible } from "../format";

interface SectionProps {
  title: string;
  children: ComponentChildren;
  /** Buttons and fields beside the title. */
  aside?: ComponentChildren;
  /** A sentence below the title. */
  about?: ComponentChildren;
}

export function Section({ title, children, aside, about }: SectionProps): JSX.Element {
  const id = useId();
  return (
    <section aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {aside && <div class="actions">{aside}</div>}
      </header>
      {about && <p class="about">{about}</p>}
      {children}
    </section>
  );
}

/** Says what will appear here, and when. */
export function Empty({ children }: { children: ComponentChildren }): JSX.Element {
  return <p class="empty">{children}</p>;
}

/** What another program has named or written, as text. */
export function Text({ of }: { of: string }): JSX.Element {
  return <bdi>{visible(of)}</bdi>;
}

/** A path, whose end is what counts where there is no room. */
export function Path({ of, name }: { of: string; name?: string }): JSX.Element {
  return (
    <bdi class="path" title={visible(of)}>
      {visible(name ?? of)}
    </bdi>
  );
}

export type Tone = "good" | "warn" | "bad" | "quiet" | "accent";

/** A word or two about a state; the colour only repeats what the words say. */
export function Mark({ tone, children }: { tone: Tone; children: ComponentChildren }): JSX.Element {
  return <span class={`mark ${tone}`}>{children}</span>;
}

/** Whether something is answered here or elsewhere. */
export function Where({ local }: { local: boolean }): JSX.Element {
  return local ? <Mark tone="good">local</Mark> : <Mark tone="warn">cloud</Mark>;
}

interface FigureProps {
  title: string;
  value: ComponentChildren;
  /** What it is made of, or its limit. */
  note?: ComponentChildren;
}

/** Figures side by side: a list of names and values. */
export function Figures({ of }: { of: readonly FigureProps[] }): JSX.Element {
  return (
    <dl class="figures">
      {of.map((figure) => (
        <div key={figure.title}>
          <dt>{figure.title}</dt>
          <dd>
            {figure.value}
            {figure.note && <span class="note">{figure.note}</span>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

interface ProgressProps {
  label: string;
  done: number;
  total: number | null;
  /** The same in words. */
  words: string;
}

export function Progress({ label, done, total, words }: ProgressProps): JSX.Element {
  const known = total !== null && total > 0;
  return (
    <div class="progress">
      <progress
        aria-label={label}
        {...(known ? { value: Math.min(done, total), max: total } : {})}
      />
      <span>{words}</span>
    </div>
  );
}

interface FieldProps {
  label: string;
  children: (id: string) => ComponentChildren;
  hint?: ComponentChildren;
}

export function Field({ label, children, hint }: FieldProps): JSX.Element {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(id)}
      {hint && <span class="hint">{hint}</span>}
    </div>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  options: readonly (readonly [value: string, shown: string])[];
  onChoose: (value: string) => unknown;
  /** The label is for screen readers alone. */
  bare?: boolean;
}

export function Choice({ label, value, options, onChoose, bare }: ChoiceProps): JSX.Element {
  const id = useId();
  return (
    <span class={bare ? "" : "field"}>
      <label for={id} class={bare ? "unseen" : ""}>
        {label}
      </label>
      <select id={id} value={value} onChange={(event) => void onChoose(event.currentTarget.value)}>
        {options.map(([key, shown]) => (
          <option key={key} value={key}>
            {visible(shown)}
          </option>
        ))}
      </select>
    </span>
  );
}

export type EntryKind = "text" | "number" | "password" | "search";

interface EntryProps {
  kind: EntryKind;
  value: string;
  onInput: (value: string) => void;
  id?: string;
  /** Where no label with the entry's id says what it is. */
  label?: string;
  placeholder?: string;
  class?: string;
  min?: number | undefined;
  max?: number | undefined;
}

/** A line to type in. Browsers do not fill it in, nor mark its spelling. */
export function Entry({ kind, label, onInput, min, max, ...rest }: EntryProps): JSX.Element {
  const shared = {
    ...rest,
    "aria-label": label,
    autocomplete: "off",
    spellcheck: false,
    onInput: (event: { currentTarget: HTMLInputElement }) => onInput(event.currentTarget.value),
  };
  switch (kind) {
    case "number":
      return <input {...shared} type="number" step="any" min={min} max={max} />;
    case "password":
      return <input {...shared} type="password" />;
    case "search":
      return <input {...shared} type="search" />;
    case "text":
      return <input {...shared} type="text" />;
  }
}

interface InputProps {
  label: string;
  value: string;
  onInput: (value: string) => void;
  kind?: EntryKind;
  placeholder?: string;
  hint?: ComponentChildren;
  wide?: boolean;
}

/** A line to type in, with its label. */
export function Input(props: InputProps): JSX.Element {
  const { label, hint, kind = "text", value, onInput, placeholder = "", wide } = props;
  return (
    <Field label={label} hint={hint}>
      {(id) => <Entry {...{ id, kind, value, onInput, placeholder }} class={wide ? "wide" : ""} />}
    </Field>
  );
}
