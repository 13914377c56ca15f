import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { theme } from "../theme";
import { Table } from "./table";

export interface Series {
  label: string;
  /** One of the chart's colours, from 1. */
  colour: 1 | 2 | 3 | 4;
  values: readonly (number | null)[];
  bars?: boolean;
  /** Which scale it is drawn by: the left one, or a second one on the right. */
  right?: boolean;
}

export interface Drawing {
  /** What is drawn, for screen readers and above the table of its numbers. */
  title: string;
  x: readonly number[];
  xLabel: string;
  /** Whether `x` is seconds since 1970. */
  time?: boolean;
  series: readonly Series[];
  /** How a value reads, with its unit. */
  show: (value: number) => string;
  showRight?: (value: number) => string;
  showX: (value: number) => string;
}

const HEIGHT = 200;

/** A chart by uPlot, and the same numbers as a table, since a canvas says nothing to screen
 * readers. It is drawn again for another `of`. */
export function Chart({ of: props }: { of: Drawing }): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const colours = theme.value;
  useEffect(() => {
    const place = box.current;
    if (!place) return undefined;
    const plot = new uPlot(options(props, place), data(props), place);
    const follow = new ResizeObserver(() => {
      if (place.clientWidth !== plot.width)
        plot.setSize({ width: place.clientWidth, height: HEIGHT });
    });
    follow.observe(place);
    return () => {
      follow.disconnect();
      plot.destroy();
    };
  }, [props, colours]);
  const rows = props.x.map((_, index) => index);
  return (
    <figure class="chart">
      <figcaption>{props.title}</figcaption>
      <div ref={box} class="plot" aria-hidden="true" />
      <details>
        <summary>The same as a table</summary>
        <Table
          caption={props.title}
          rows={rows}
          rowKey={(row) => row}
          columns={[
            {
              title: props.xLabel,
              head: true,
              cell: (row: number) => props.showX(props.x[row] ?? 0),
            },
            ...props.series.map((series) => ({
              title: series.label,
              number: true,
              cell: (row: number) => shown(series.values[row], shower(props, series)),
            })),
          ]}
        />
      </details>
    </figure>
  );
}

function shower(props: Drawing, series: Series): (value: number) => string {
  return series.right && props.showRight ? props.showRight : props.show;
}

function shown(value: number | null | undefined, show: (value: number) => string): string {
  return value === null || value === undefined ? "–" : show(value);
}

function data(props: Drawing): uPlot.AlignedData {
  return [[...props.x], ...props.series.map((series) => [...series.values])] as uPlot.AlignedData;
}

function options(props: Drawing, place: HTMLElement): uPlot.Options {
  const styles = getComputedStyle(place);
  const colour = (name: string): string => styles.getPropertyValue(`--${name}`).trim();
  const font = `12px ${styles.fontFamily}`;
  const axis = {
    stroke: colour("quiet"),
    font,
    grid: { stroke: colour("line"), width: 1 },
    ticks: { stroke: colour("line"), width: 1 },
  };
  const axes: uPlot.Axis[] = [
    {
      ...axis,
      values: (_, ticks) => ticks.map(props.time ? dayOf : props.showX),
    },
    { ...axis, size: 64, values: (_, ticks) => ticks.map(props.show) },
  ];
  const showRight = props.showRight;
  if (showRight)
    axes.push({
      ...axis,
      scale: "right",
      // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- has no values at run time
      side: 1,
      size: 64,
      grid: { show: false },
      values: (_, ticks) => ticks.map(showRight),
    });
  return {
    width: place.clientWidth,
    height: HEIGHT,
    scales: {
      x: { time: props.time ?? false, range: around(props) },
      y: { range: fromZero },
      right: { range: fromZero },
    },
    legend: { live: true },
    cursor: { drag: { x: false, y: false } },
    axes,
    series: [
      { label: props.xLabel, value: (_, value: number | null) => shown(value, props.showX) },
      ...props.series.map((series) => drawn(series, colour, shower(props, series))),
    ],
  };
}

/** Bars stand around their place: half a step is left on both sides. */
function around(props: Drawing): uPlot.Range.Function {
  const bars = props.series.some((series) => series.bars);
  return (_, least, most) => {
    const steps = Math.max(props.x.length - 1, 1);
    const step = most > least ? (most - least) / steps : DAY_SECONDS;
    const room = bars || most === least ? step / 2 : 0;
    return [least - room, most + room];
  };
}

const DAY_SECONDS = 86_400;

function dayOf(at: number): string {
  return new Date(at * 1000).toLocaleDateString("en", { day: "numeric", month: "short" });
}

function fromZero(_: uPlot, least: number | null, most: number | null): [number, number] {
  const top = Math.max(most ?? 0, 0);
  return [Math.min(least ?? 0, 0), top > 0 ? top * 1.08 : 1];
}

function drawn(
  series: Series,
  colour: (name: string) => string,
  show: (value: number) => string,
): uPlot.Series {
  const stroke = colour(`chart-${series.colour}`);
  const bars = uPlot.paths.bars;
  return {
    label: series.label,
    scale: series.right ? "right" : "y",
    stroke,
    width: 2,
    spanGaps: true,
    points: { show: series.values.length < 40 && !series.bars },
    value: (_, value: number | null) => shown(value, show),
    ...(series.bars && bars
      ? { paths: bars({ size: [0.6, 48] }), fill: colour(`chart-${series.colour}-fill`) }
      : {}),
  };
}
