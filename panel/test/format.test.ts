import assert from "node:assert/strict";
import { test } from "node:test";
import * as format from "../src/format";

const CASES: readonly (readonly [string, string])[] = [
  [format.count(12345.4), "12,345"],
  [format.count(null), "–"],
  [format.counted(1, "file"), "1 file"],
  [format.counted(2, "entry", "entries"), "2 entries"],
  [format.bytes(999), "999\u00a0B"],
  [format.bytes(1500), "1.5\u00a0kB"],
  [format.bytes(398_000_000), "398\u00a0MB"],
  [format.bytes(999_999_999), "1.0\u00a0GB"],
  [format.milliseconds(3.04), "3 ms"],
  [format.milliseconds(372.4), "372 ms"],
  [format.milliseconds(1400), "1.4 s"],
  [format.seconds(200), "3 min 20 s"],
  [format.seconds(7500), "2 h 5 min"],
  [format.seconds(180_000), "2 d 2 h"],
  [format.seconds(Number.NaN), "–"],
  [format.share(0.381), "38\u00a0%"],
  [format.share(0.0123), "1.2\u00a0%"],
  [format.share(0), "0\u00a0%"],
  [format.rate(24.51), "24.5 tokens/s"],
  [format.rate(1310), "1,310 tokens/s"],
  [format.dollars("0.0064"), "$0.0064"],
  [format.dollars(1.2), "$1.20"],
  [format.dollars("0"), "$0.00"],
  [format.dollars(null), "–"],
  [format.ago(100, 102), "just now"],
  [format.ago(100, 130), "30 s ago"],
  [format.ago(0, 200), "3 min ago"],
  [format.words("next_edit"), "next edit"],
  [format.visible("a\u202eb\u0007c\nd"), "a\\u202eb\\u0007c\nd"],
];

for (const [got, expected] of CASES) test(expected, () => assert.equal(got, expected));

test("a moment of today has seconds, an earlier one its day", () => {
  const now = new Date(2026, 10, 30, 15, 0, 0);
  const at = (day: number): number => new Date(2026, 10, day, 14, 3, 9).getTime() / 1000;
  assert.equal(format.moment(at(30), now), "14:03:09");
  assert.equal(format.moment(at(29), now), "2026-11-29 14:03");
});
