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
  expect(verdicts.length).toBe(34);
  return verdicts.flatMap(({ check, passed, remark }) => {
    if (!passed) console.log(`${name}: ${check}: ${remark}`);
    return passed ? [] : [check.replace(/^(labels: (?:the )?\S+|[^:]*).*$/, "$1")];
  });
};

const fake = (file: string) =>
  [Deno.execPath(), ...runArguments(join(import.meta.dirname!, "testdata", file))]
    .map((word) => `'${word}'`).join(" ");

/** Those of these names that don't keep to the contract, with what they fail. */
const examined = async (names: readonly string[]) => {
  const verdicts = await Promise.all(
    names.map(async (name) => [name, await failing(name, await Effect.runPromise(startOf(name)!))] as const),
  );
  return verdicts.filter(([, failed]) => failed.length > 0);
};

Deno.test("the clusterers of this repository keep to the contract", async () => {
  expect(await examined(["xmeans", "kmeans"])).toEqual([]);
});

Deno.test({
  name: "the clusterer in Python keeps to the contract",
  ignore: !Deno.env.get("CI") && !(await hasPip()), // where CI is set, what is missing is an error
  fn: async () => expect(await examined(["gmm"])).toEqual([]),
});

Deno.test("clusterers that break rules fail the checks of these rules and no others", async () => {
  const [broken, rude, slow] = await Promise.all([
    failing("broken", fake("broken.ts")),
    failing("rude", fake("rude.ts"), 30),
    failing("slow", fake("slow.ts"), 180),
  ]);
  expect(slow).toEqual(["speed"]);
  expect(broken).toEqual([
    ...["discovery", "planning", "division", "ids", "odd classes", "normalisation", "redelivery", "progress"],
    ...["parameters", "trouble", "labels: every", "labels: never", "labels: the sub-classes"],
    ...["labels: the state", "labels: distances", "summary"],
  ]);
  expect(rude).toEqual([
    ...[
      "consumer",
      "fields",
      "parameters",
      "end",
      "overtaken",
      "trouble",
      "instances",
      "stop",
      "configuration",
      "long work",
    ],
    ...[
      "hand-over",
      "long hand-over",
      "crash",
      "server",
      "last delivery",
      "messages",
      "settling",
      "dead letters",
      "labels: columns",
    ],
  ]);
});
