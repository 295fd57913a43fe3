import { Effect } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import { hasPip } from "../python/mod.ts";
import { runArguments } from "../stack/mod.ts";
import { examine, startOf } from "./mod.ts";

/** The beginnings of the names of the checks that fail. */
const failing = async (name: string, start: string, patience = 90): Promise<string[]> => {
  const verdicts = await Effect.runPromise(
    examine({ name, url: null, start, patience, onVerdict: () => undefined, onNote: console.error }),
  );
  expect(verdicts.length).toBe(33);
  return verdicts.flatMap(({ check, passed, remark }) => {
    if (!passed) console.log(`${name}: ${check}: ${remark}`);
    return passed ? [] : [check.replace(/^(labels: \S+|[^:]*).*$/, "$1")];
  });
};

const fake = (file: string) =>
  [Deno.execPath(), ...runArguments(join(import.meta.dirname!, "testdata", file))]
    .map((word) => `'${word}'`).join(" ");

Deno.test("the clusterers of this repository keep to the contract", async () => {
  const names = ["xmeans", "kmeans", ...(await hasPip() ? ["gmm"] : [])];
  const verdicts = await Promise.all(
    names.map(async (name) => [name, await failing(name, await Effect.runPromise(startOf(name)!))]),
  );
  expect(Object.fromEntries(verdicts)).toEqual(Object.fromEntries(names.map((name) => [name, []])));
});

Deno.test("clusterers that break rules fail the checks of these rules and no others", async () => {
  const [broken, rude] = await Promise.all([
    failing("broken", fake("broken.ts")),
    failing("rude", fake("rude.ts"), 6),
  ]);
  expect(broken).toEqual([
    ...["division", "ids", "odd classes", "normalisation", "redelivery", "parameters", "trouble"],
    ...["labels: every", "labels: never", "labels: distances", "summary"],
  ]);
  expect(rude).toEqual([
    ...[
      "consumer",
      "fields",
      "end",
      "overtaken",
      "trouble",
      "instances",
      "stop",
      "configuration",
      "long work",
    ],
    ...["hand-over", "server", "last delivery", "messages", "settling", "dead letters", "labels: columns"],
  ]);
});
