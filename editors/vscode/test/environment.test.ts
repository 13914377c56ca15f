import assert from "node:assert/strict";
import { test } from "node:test";

import { pipStep } from "../src/server/environment";

for (const [line, step] of [
  ["Collecting pygls<2.2,>=2.1 (from nearfield==0.1.0)", "fetching pygls"],
  ["  Downloading https://x.example/a/onnxruntime-1.2-cp311.whl (1.0 MB)", "fetching onnxruntime-1.2-cp311.whl (1.0 MB)"],
  ["Installing collected packages: a, b", "installing, this takes a minute"],
  ["Requirement already satisfied: pip", undefined],
] as const) {
  test(`pip says ${line}`, () => {
    assert.equal(pipStep(line), step);
  });
}
