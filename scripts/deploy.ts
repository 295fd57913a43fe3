/**
 * `deno task deploy check`: every combination of the chart's values, rendered by Helm and held to strict schemas.
 * `deno task deploy render <folder>`: the same, as a file for each, for `kubectl apply -f`.
 * `deno task deploy stage <folder> [--gpu]`: the files of an image; its Dockerfile runs this.
 */
import { Effect } from "effect";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { combinations, type Manifest, render, stage, validate } from "./deploy/mod.ts";

const renderAll = Effect.gen(function* () {
  const sets = new Map<string, readonly Manifest[]>();
  const wrong: string[] = [];
  for (const [name, answer] of yield* render(combinations())) {
    if ("error" in answer) wrong.push(`${name}: ${answer.error}`);
    else sets.set(name, answer.manifests);
  }
  return { sets, wrong };
});

const write = (folder: string) =>
  Effect.gen(function* () {
    const { sets, wrong } = yield* renderAll;
    yield* Effect.promise(async () => {
      await Deno.mkdir(folder, { recursive: true });
      for (const [name, items] of sets) {
        const list = { apiVersion: "v1", kind: "List", items };
        await Deno.writeTextFile(
          join(folder, `${name.replaceAll(" ", "_")}.json`),
          JSON.stringify(list, null, 2),
        );
      }
    });
    for (const sentence of wrong) console.error(sentence);
    return wrong.length > 0 ? 1 : 0;
  });

const check = Effect.gen(function* () {
  const started = performance.now();
  const { sets, wrong } = yield* renderAll;
  const verdict = yield* validate(sets);
  wrong.push(...verdict.wrong);
  for (const sentence of wrong) console.error(sentence);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(
    `${sets.size} combinations of values, ${verdict.valid} objects valid, ${wrong.length} wrong (${seconds} s)`,
  );
  return wrong.length > 0 || verdict.valid === 0 ? 1 : 0;
});

const { values, positionals: [verb, folder] } = parseArgs({
  args: Deno.args,
  options: { gpu: { type: "boolean", default: false } },
  allowPositionals: true,
});

const program = () => {
  if (verb === "check") return check;
  if (verb === "render" && folder) return write(resolve(folder));
  if (verb === "stage" && folder) {
    const target = resolve(folder);
    return Effect.as(stage({ target, native: values.gpu ? "gpu" : "cpu", log: console.error }), 0);
  }
  console.error("deno task deploy check | render <folder> | stage <folder> [--gpu]");
  return Effect.succeed(2);
};
Deno.exit(
  await Effect.runPromise(
    program().pipe(
      Effect.catch((error) =>
        Effect.sync(() => {
          console.error(error.message);
          return 1;
        })
      ),
    ),
  ),
);
