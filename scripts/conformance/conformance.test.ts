import { Effect } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import { hasPip } from "../python/mod.ts";
import { runArguments } from "../stack/mod.ts";
import { examine, startOf } from "./mod.ts";

/** The beginnings of the names of the checks that fail. */
const failing = async (name: string, start: string): Promise<string[]> => {
  const verdicts = await Effect.runPromise(
    examine({ name, url: null, start, patience: 90, onVerdict: () => undefined, onNote: console.error }),
  );
  expect(verdicts.length).toBe(18);
  return verdicts.flatMap(({ check, passed, remark }) => {
    if (!passed) console.log(`${check}: ${remark}`);
    return passed ? [] : [check.replace(/^(labels: \S+ \S+|[^:]*).*$/, "$1")];
  });
};

for (const name of ["xmeans", "kmeans"]) {
  Deno.test(`${name} keeps to the contract`, async () => {
    expect(await failing(name, await Effect.runPromise(startOf(name)!))).toEqual([]);
  });
}

Deno.test({
  name: "gmm, which is written in Python, keeps to the contract",
  ignore: !(await hasPip()),
  fn: async () => {
    expect(await failing("gmm", await Effect.runPromise(startOf("gmm")!))).toEqual([]);
  },
});

Deno.test("a clusterer that breaks rules fails the checks of these rules and no others", async () => {
  const module = join(import.meta.dirname!, "testdata", "broken.ts");
  const start = [Deno.execPath(), ...runArguments(module)].map((word) => `'${word}'`).join(" ");
  expect(await failing("broken", start)).toEqual([
    "division",
    "ids",
    "odd classes",
    "redelivery",
    "labels: every training",
    "labels: never more",
    "parameters",
    "trouble",
  ]);
});
