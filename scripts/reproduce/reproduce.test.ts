import { Effect } from "effect";
import { expect } from "expect";
import { join, resolve } from "node:path";
import { z } from "zod";
import { drawDataset } from "../demo/images.ts";
import { readPidFile, startOwnStack } from "../stack/mod.ts";

const entry = resolve(import.meta.dirname!, "..", "reproduce.ts");

const spawn = (args: readonly string[], env: Record<string, string> = {}): Deno.Command =>
  new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", entry, ...args],
    env: { NO_COLOR: "1", NATS_URL: "", SUBTAXA_TOKEN: "", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });

const finished = async (command: Deno.Command) => {
  const { code, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
};

const inFolder = async (test: (folder: string) => Promise<void>): Promise<void> => {
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "subtaxa-reproduce-" }));
  await test(folder).finally(() => Deno.remove(folder, { recursive: true }));
};

const Ledger = z.object({
  runs: z.record(z.string(), z.looseObject({ id: z.string().optional() })),
});
const Results = z.object({
  verdict: z.array(z.string()),
  version: z.string(),
  settings: z.object({ imageSize: z.number(), learningRate: z.number(), clusterer: z.string().optional() }),
  dataset: z.object({ importedAt: z.iso.datetime(), classes: z.number() }),
  methods: z.array(z.object({
    id: z.string(),
    folds: z.array(z.unknown()),
    clusterer: z.object({ name: z.string(), versions: z.array(z.string()) }).optional(),
  })),
});
const Runs = z.array(z.object({ id: z.string(), state: z.string(), epoch: z.number() }));

const readJson = async <S extends z.ZodType>(schema: S, path: string): Promise<z.output<S>> =>
  schema.parse(JSON.parse(await Deno.readTextFile(path)));

const runsAt = async (url: string) => Runs.parse(await (await fetch(`${url}/v1/runs`)).json());

Deno.test("killed in the midst of a run, it goes on with that run, and nothing is started twice", () =>
  inFolder(async (folder) => {
    const images = join(folder, "organisms");
    await Effect.runPromise(drawDataset(images, { seed: 3, imagesPerClass: 20, side: 32 }));
    const out = join(folder, "out");
    const dataFolder = join(folder, "data");
    const stackFolder = join(dataFolder, "reproduce");
    const env = { SUBTAXA_ACK_WAIT: "3 seconds", SUBTAXA_DATA_ROOTS: folder };
    const args = [
      ...["--dataset", images, "--methods", "clustering+triplet,standard", "--folds", "2", "--epochs", "3"],
      ...["--image-size", "32", "--batch-size", "32", "--out", out],
      // so that nearly every class is split
      ...["--confusion-threshold", "0", "--min-cluster-size", "2", "--dimension", "nominal"],
    ];
    const ledger = () => readJson(Ledger, join(out, "runs.json"));

    const first = spawn(args, { ...env, SUBTAXA_DATA: dataFolder }).spawn();
    const said = Promise.all([new Response(first.stdout).text(), new Response(first.stderr).text()]);
    let ended = false;
    first.status.then(() => ended = true);
    const underWay = async (): Promise<boolean> => {
      const up = await Effect.runPromise(readPidFile(stackFolder)).catch(() => undefined);
      const runs = up && await runsAt(up.url).catch(() => undefined); // not there, or not listening yet
      return runs?.some(({ state, epoch }) => state === "running" && epoch >= 1) ?? false;
    };
    while (!(await underWay())) {
      if (ended) throw new Error((await said).join("\n"));
      await new Promise((next) => setTimeout(next, 100));
    }
    first.kill("SIGKILL");
    await Promise.all([first.status, said]);
    const begun = await ledger();
    expect(Object.keys(begun.runs)).toEqual(["standard"]);
    const standing = begun.runs.standard!.id ?? expect.any(String);

    // what the killed process had started ends with it; a new stack takes up its runs
    await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
      const stack = yield* startOwnStack({ dataFolder: stackFolder, env });
      yield* stack.ready;
      const again = async () => {
        const { code, stdout, stderr } = await finished(spawn([...args, "--url", stack.url]));
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
        return stdout;
      };
      const second = yield* Effect.promise(again);
      const { runs } = yield* Effect.promise(ledger);
      expect(Object.keys(runs)).toEqual(["standard", "clustering+triplet"]);
      expect(runs.standard!.id).toBe(standing);
      expect(second).toContain(`run ${standing} is completed`);
      const ids = Object.values(runs).map(({ id }) => id!);

      const results = yield* Effect.promise(() => readJson(Results, join(out, "results.json")));
      expect(results.methods.map(({ id, folds }) => [id, folds.length])).toEqual(ids.map((id) => [id, 2]));
      expect(results.settings).toEqual({ imageSize: 32, learningRate: 1e-3, clusterer: "xmeans" });
      expect(results.methods.map(({ clusterer }) => clusterer?.versions.length)).toEqual([undefined, 1]);
      const page = yield* Effect.promise(() => Deno.readTextFile(join(out, "report.html")));
      expect(page.includes("paper: diatoms, ResNet50 (Table 1)")).toBe(true);
      // the gallery of a real report
      expect(/<table class="gallery">.*<img src="data:image\/png;base64,/s.test(page)).toBe(true);

      // once more, as if killed before the gateway's answer was written down
      const { id: _, ...unanswered } = runs.standard!;
      yield* Effect.promise(async () => {
        const text = await Deno.readTextFile(join(out, "runs.json"));
        const file = { ...JSON.parse(text), runs: { ...runs, standard: unanswered } };
        await Deno.writeTextFile(join(out, "runs.json"), JSON.stringify(file));
      });
      yield* Effect.promise(again);
      expect((yield* Effect.promise(() => runsAt(stack.url))).map(({ id }) => id).sort()).toEqual(ids.sort());
      expect((yield* Effect.promise(ledger)).runs).toEqual(runs);
      const { verdict } = yield* Effect.promise(() => readJson(Results, join(out, "results.json")));
      expect(verdict).toEqual(results.verdict);

      // a call for fewer methods keeps what the others have completed
      const fewer = yield* Effect.promise(() =>
        finished(spawn([...args, "--url", stack.url, "--methods", "standard"]))
      );
      expect(fewer.code).toBe(0);
      const kept = yield* Effect.promise(() => readJson(Results, join(out, "results.json")));
      expect(kept.methods.map(({ id }) => id)).toEqual(ids);

      // with more images, results are not those of the old ones; and made anew when asked
      yield* Effect.promise(async () => {
        const before = await readJson(Results, join(out, "results.json"));
        const others = join(folder, "others");
        const { classes } = await Effect.runPromise(
          drawDataset(others, { seed: 9, imagesPerClass: 10, side: 32 }),
        );
        await Deno.rename(join(others, classes[0]!.name), join(images, "salp"));
        const changed = await finished(spawn([...args, "--url", stack.url]));
        expect(changed.code).toBe(1);
        expect(changed.stderr).toContain("there is a new class 'salp' with 10 image files");
        const again = [...args, "--url", stack.url, "--methods", "standard", "--import-again"];
        const first = await finished(spawn(again));
        expect(first.code).toBe(0);
        const second = await finished(spawn(again)); // as if the first had been killed
        expect({ code: second.code, stderr: second.stderr }).toEqual({ code: 0, stderr: "" });
        const after = await readJson(Results, join(out, "results.json"));
        expect(after.dataset.classes).toBe(before.dataset.classes + 1);
        expect(after.dataset.importedAt > before.dataset.importedAt).toBe(true);
        expect(ids).not.toContain(after.methods[0]!.id);
        expect((await runsAt(stack.url)).length).toBe(ids.length + 1);
      });
    })));
  }));

Deno.test("bad input is named before anything is started", () =>
  inFolder(async (folder) => {
    const images = join(folder, "images");
    await Deno.mkdir(join(images, "copepod"), { recursive: true });
    await Deno.writeTextFile(join(images, "copepod", "acartia-1.png"), "GIF89a"); // announces an image
    const data = { SUBTAXA_DATA: join(folder, "data") };
    const says = async (...args: string[]) => {
      const { code, stderr } = await finished(spawn(args, data));
      return [code, stderr] as const;
    };
    const cases: (readonly [args: string[], code: number, message: string])[] = [
      [[], 2, "required option '--dataset <name|folder>' not specified"],
      [["--dataset", images, "--methods", "magic"], 2, "Allowed are standard, triplet, clustering"],
      [["--dataset", images, "--folds", "21"], 2, "It is no whole number from 1 to 20."],
      [["--dataset", images, "--url", "here"], 2, "It is no address such as"],
      [["--dataset", images, "--epochs", "0"], 2, "--epochs: "],
      [["--dataset", join(folder, "missing")], 1, `there is no folder ${join(folder, "missing")}`],
      [["--dataset", images, "--groups", "__"], 1, `--groups: no file below ${images} has "__" in its name`],
      [["--dataset", images, "--groups", "-", "--weights", "no"], 1, "--weights: there is no file "],
      [["--dataset", images, "--weights", "b0.safetensors"], 1, "--weights: there is no file "],
    ];
    const answers = await Promise.all(cases.map(([args]) => says(...args)));
    answers.forEach(([code, stderr], i) => {
      expect([i, code]).toEqual([i, cases[i]![1]]);
      expect(stderr).toContain(cases[i]![2]);
    });
    expect([...Deno.readDirSync(folder)].map(({ name }) => name)).toEqual(["images"]);
  }));
