import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface Question {
  title: string;
  /** What will be lost or sent. */
  text: string;
  /** The verb of the button that does it. */
  verb: string;
  danger: boolean;
  answer: (yes: boolean) => void;
}

const asked = signal<Question | null>(null);

/** Ask before something that cannot be undone. */
export function confirm(
  title: string,
  text: string,
  verb: string,
  danger = true,
): Promise<boolean> {
  return new Promise((resolve) => {
    asked.peek()?.answer(false);
    asked.value = { title, text, verb, danger, answer: resolve };
  });
}

export function Dialog(): JSX.Element | null {
  const box = useRef<HTMLDialogElement>(null);
  const question = asked.value;
  useEffect(() => {
    if (question && box.current && !box.current.open) box.current.showModal();
  }, [question]);
  if (!question) return null;
  const close = (yes: boolean): void => {
    asked.value = null;
    question.answer(yes);
  };
  return (
    <dialog
      ref={box}
      aria-labelledby="question"
      aria-describedby="about"
      onClose={() => close(false)}
    >
      <h2 id="question">{question.title}</h2>
      <p id="about">{question.text}</p>
      <div class="actions end">
        <button type="button" onClick={() => close(false)}>
          Cancel
        </button>
        <button
          type="button"
          class={question.danger ? "danger" : "main"}
          onClick={() => close(true)}
        >
          {question.verb}
        </button>
      </div>
    </dialog>
  );
}
