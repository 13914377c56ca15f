import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { attempt } from "./notices";

interface Props {
  children: ComponentChildren;
  onPress: () => unknown;
  kind?: "main" | "danger" | "plain";
  disabled?: boolean;
  /** Says more than the text for those who do not see what is beside it. */
  label?: string;
  pressed?: boolean;
  /** Return in a field of its form presses it. */
  submit?: boolean;
}

/** A button whose action may take time; it cannot be pressed twice meanwhile, and says what goes
 * wrong. */
export function Button({
  children,
  onPress,
  kind,
  disabled,
  label,
  pressed,
  submit,
}: Props): JSX.Element {
  const [busy, setBusy] = useState(false);
  const press = async (): Promise<void> => {
    if (busy) return;
    setBusy(true);
    await attempt(() => Promise.resolve(onPress()));
    setBusy(false);
  };
  return (
    <button
      type={submit ? "submit" : "button"}
      class={kind ?? ""}
      disabled={disabled ?? false}
      aria-busy={busy}
      aria-label={label}
      aria-pressed={pressed}
      onClick={press}
    >
      {children}
    </button>
  );
}
