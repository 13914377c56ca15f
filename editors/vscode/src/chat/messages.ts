/** A conversation of VS Code's own chat as one message to the server. */

export interface Said {
  readonly role: "user" | "assistant";
  readonly text: string;
}

/** The last message, below those before it. */
export function asMessage(conversation: readonly Said[]): string {
  const last = conversation.at(-1)?.text ?? "";
  const before = conversation.slice(0, -1).filter((one) => one.text.trim() !== "");
  if (before.length === 0) return last;
  const told = before.map(({ role, text }) => `${role === "user" ? "User" : "Assistant"}: ${text}`);
  return `This was said before:\n\n${told.join("\n\n")}\n\nThe user says now:\n\n${last}`;
}

/** An estimate: about four characters are a token. */
export function tokensIn(text: string): number {
  return Math.ceil(text.length / 4);
}
