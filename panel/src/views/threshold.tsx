/** The threshold of confidence as a slider, with the curve of this machine's own data. */

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { above } from "../curve";
import { count, counted, share } from "../format";
import { changed, post } from "../live";
import { Empty, Field, Figures, Section } from "../parts/blocks";
import { Button } from "../parts/button";
import { Chart, type Drawing } from "../parts/chart";
import { say } from "../parts/notices";
import type { Bin, Suggestions } from "../wire";

export function Threshold({ of }: { of: Suggestions["curve"] }): JSX.Element {
  const [chosen, setChosen] = useState<number | null>(null);
  const { bins } = of;
  const props = useMemo(() => drawing(bins), [bins]);
  const value = chosen ?? of.min_confidence;
  const sum = above(bins, value);
  const all = above(bins, Number.NEGATIVE_INFINITY);
  const least = Math.min(bins[0]?.from ?? -2, of.min_confidence, of.default);
  const most = Math.max(bins[bins.length - 1]?.to ?? 0, of.min_confidence, of.default);
  const save = async (): Promise<void> => {
    const { note } = await post<{ note: string }>("settings/set", {
      key: "completion.min_confidence",
      value: rounded(value),
    });
    setChosen(null);
    say(note || "The threshold is saved; running servers follow it.");
    changed(["suggestions", "routing"]);
  };
  return (
    <Section
      title="Threshold of confidence"
      about="A suggestion is shown when the mean log-probability of its tokens is above the threshold. A high one shows less, and what it shows is taken more often."
    >
      {bins.length === 0 ? (
        <Empty>
          The curve of this machine's own data appears here after the first recorded suggestions.
        </Empty>
      ) : (
        <>
          <Chart of={props} />
          <Field
            label={`Threshold: ${rounded(value)} (now ${of.min_confidence}, default ${of.default})`}
          >
            {(id) => (
              <input
                id={id}
                class="slider"
                type="range"
                min={least}
                max={most}
                step={0.01}
                value={value}
                aria-valuetext={`${rounded(value)}: ${counted(Math.round(sum.offered), "suggestion")} shown`}
                onInput={(event) => setChosen(event.currentTarget.valueAsNumber)}
              />
            )}
          </Field>
          <Figures
            of={[
              {
                title: "Would be shown",
                value: count(sum.offered),
                note: `of ${count(all.offered)} that were`,
              },
              {
                title: "Would be taken",
                value: share(sum.offered > 0 ? sum.taken / sum.offered : null),
                note: `${count(sum.taken)} of ${count(all.taken)}`,
              },
              {
                title: "Characters saved",
                value: count(sum.saved),
                note: `of ${count(all.saved)}`,
              },
              {
                title: "Shown besides",
                value: count(sum.hidden),
                note: "kept back so far: whether they would be taken is not known",
              },
            ]}
          />
          <div class="actions">
            <Button kind="main" disabled={rounded(value) === of.min_confidence} onPress={save}>
              Save {rounded(value)}
            </Button>
            <Button onPress={() => setChosen(of.default)}>Default</Button>
            {chosen !== null && <Button onPress={() => setChosen(null)}>Undo</Button>}
          </div>
        </>
      )}
    </Section>
  );
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

function drawing(bins: readonly Bin[]): Drawing {
  const sums = bins.map((bin) => above(bins, bin.from));
  return {
    title: "If the threshold were here: suggestions shown, and the share that is taken (right)",
    x: bins.map((bin) => bin.from),
    xLabel: "threshold",
    show: count,
    showRight: share,
    showX: (at) => String(rounded(at)),
    series: [
      { label: "shown", colour: 4, values: sums.map((sum) => sum.offered) },
      {
        label: "taken of those",
        colour: 1,
        right: true,
        values: sums.map((sum) => (sum.offered > 0 ? sum.taken / sum.offered : null)),
      },
    ],
  };
}
