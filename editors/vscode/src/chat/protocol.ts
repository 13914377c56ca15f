/** What the chat view and the extension say to each other. */

import type { Allow, CallState } from "../wire";

/** From the extension to the view. */
export type ToView =
  | { readonly kind: "begin"; readonly id: number; readonly question: string; readonly reference: string }
  | { readonly kind: "text"; readonly id: number; readonly text: string }
  | { readonly kind: "restart"; readonly id: number }
  | {
      readonly kind: "call";
      readonly id: number;
      readonly call: string;
      readonly name: string;
      readonly arguments: string;
      readonly state: CallState;
      readonly result: string;
    }
  | { readonly kind: "ask"; readonly id: number; readonly call: string; readonly title: string; readonly eachTime: boolean }
  | { readonly kind: "end"; readonly id: number; readonly note: string; readonly failed: boolean }
  | { readonly kind: "reference"; readonly text: string }
  | { readonly kind: "clear" };

/** From the view to the extension. */
export type FromView =
  | { readonly kind: "ready" }
  /** The first character of a question was typed. */
  | { readonly kind: "typing" }
  | { readonly kind: "send"; readonly message: string; readonly withSelection: boolean }
  | { readonly kind: "stop" }
  | { readonly kind: "clear" }
  | { readonly kind: "allow"; readonly call: string; readonly allow: Allow }
  | { readonly kind: "open"; readonly reference: string }
  | { readonly kind: "code"; readonly how: "insert" | "apply" | "diff" | "copy"; readonly id: number; readonly code: string };
