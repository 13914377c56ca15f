/** What a threshold of confidence would show. */

import type { Bin } from "./wire";

export interface Sum {
  offered: number;
  taken: number;
  saved: number;
  /** Answers above the threshold that another one kept back: their fate is unknown. */
  hidden: number;
}

/** What is above a threshold; a bin that it cuts counts by the part that is above. */
export function above(bins: readonly Bin[], threshold: number): Sum {
  const sum: Sum = { offered: 0, taken: 0, saved: 0, hidden: 0 };
  for (const bin of bins) {
    const width = bin.to - bin.from;
    const part = width > 0 ? Math.min(1, Math.max(0, (bin.to - threshold) / width)) : 1;
    sum.offered += bin.offered * part;
    sum.taken += bin.taken * part;
    sum.saved += bin.saved * part;
    sum.hidden += bin.hidden * part;
  }
  return sum;
}
