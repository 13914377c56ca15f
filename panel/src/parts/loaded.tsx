import { useSignalEffect } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api";
import { visible } from "../format";
import { get, revision } from "../live";
import { Button } from "./button";

export interface Loaded<T> {
  value: T | null;
  error: ApiError | null;
  reload: () => void;
}

/** What `path` answers, asked again when `view` has changed. While it is asked again, the last
 * answer stays. */
export function useLoaded<T>(path: string, view: string): Loaded<T> {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const asked = useRef(0);
  const reload = useCallback(() => {
    // Answers may overtake each other: the last question has the last word.
    const number = (asked.current += 1);
    void get<T>(path).then(
      (answer) => {
        if (number !== asked.current) return;
        setValue(answer);
        setError(null);
      },
      (failure: unknown) => {
        if (number !== asked.current || !(failure instanceof ApiError)) return;
        setError(failure);
      },
    );
  }, [path]);
  useEffect(reload, [reload]);
  const seen = useRef(revision(view).peek());
  useSignalEffect(() => {
    const times = revision(view).value;
    if (times === seen.current) return;
    seen.current = times;
    latest.current();
  });
  const latest = useRef(reload);
  latest.current = reload;
  return { value, error, reload };
}

interface Props<T> {
  of: Loaded<T>;
  children: (value: T) => ComponentChildren;
}

/** The answer, or why there is none. An answer that could not be renewed stays, below the reason. */
export function Show<T>({ of, children }: Props<T>): JSX.Element {
  const { value, error, reload } = of;
  if (value === null && error === null)
    return (
      <p class="empty" aria-busy="true">
        Asking…
      </p>
    );
  return (
    <>
      {error && (
        <div class="failure" role="alert">
          <div>
            <strong>{visible(error.message)}</strong> {visible(error.hint)}
          </div>
          <Button onPress={reload}>Try again</Button>
        </div>
      )}
      {value !== null && children(value)}
    </>
  );
}
