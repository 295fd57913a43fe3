import { Effect } from "effect";
import { join, resolve } from "node:path";
import { execute } from "./cli/mod.ts";
import { combinations, type DeployError, type Manifest, render, stage, validate } from "./deploy/mod.ts";
import { task } from "./task.ts";

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

const run = async (effect: Effect.Effect<number, DeployError>): Promise<never> =>
  Deno.exit(await execute({ effect, interrupted: 130 }));

const program = task("deploy", "Checks and renders deploy/, and puts together what its images hold.");
program.command("check")
  .description("Render every combination of the chart's values, and hold it to strict schemas")
  .action(() => run(check));
program.command("render <folder>")
  .description("Write each combination to a file, for `kubectl apply -f`")
  .action((folder: string) => run(write(resolve(folder))));
program.command("stage <folder>")
  .description("Put the files of an image together; its Dockerfile runs this")
  .option("--gpu", "for NVIDIA GPUs")
  .action((folder: string, { gpu }: { gpu?: true }) =>
    run(
      Effect.as(stage({ target: resolve(folder), native: gpu ? "gpu" : "cpu", log: console.error }), 0),
    )
  );
await program.parseAsync(Deno.args, { from: "user" });
