import { RunRequest, type RunView } from "@subtaxa/contracts";
import { Command, CommanderError } from "commander";
import { Effect, Fiber, Stream } from "effect";
import { expect } from "expect";
import { z } from "zod";
import { TestClock } from "effect/testing";
import { describeProblem, serverEvents, untilOver } from "./api.ts";
import { describeClusterers } from "./clusterers.ts";
import { describeDataset, describeRejected, nameFrom } from "./datasets.ts";
import { CliError } from "./error.ts";
import { flagsOf, requestOf } from "./flags.ts";
import { narrator } from "./narrate.ts";
import { makePlainScreen } from "./screen.ts";
import { datasetView, runView as run } from "./testing.ts";
import { describeTop } from "./top.ts";
import { describeRun, gaugeOf, gaugeOfRun } from "./watch.ts";
import { duration, table } from "./words.ts";

const parse = (...args: string[]): Record<string, unknown> => {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
  for (const flag of flagsOf(RunRequest)) command.addOption(flag);
  return command.parse(args, { from: "user" }).opts();
};

Deno.test("every field of a run request is a flag with its range and default", () => {
  const flags = flagsOf(RunRequest);
  expect(flags.map((flag) => flag.attributeName())).toEqual(Object.keys(RunRequest.shape));
  const text = (name: string) => flags.find((flag) => flag.attributeName() === name)!;
  expect(text("imageSize").flags).toBe("--image-size <integer>");
  expect(text("imageSize").description).toContain("(16 to 512; a multiple of 8)");
  expect(text("epochs").description).toContain("(1 to 10000; default: 100)");
  expect(text("criterion").description).toContain("bic | aic");
  expect(text("dataset").description).toContain("required");
  expect(flagsOf(RunRequest, ["dataset"]).length).toBe(flags.length - 1);
});

Deno.test("flags become the fields of a request; what is not given stays out of it", async () => {
  const values = parse(
    "--dataset",
    "x",
    "--image-size",
    "32",
    "--learning-rate",
    "1e-4",
    "--method",
    "triplet",
    "--parameters",
    '{"restarts": 8}',
  );
  const request = {
    dataset: "x",
    imageSize: 32,
    learningRate: 1e-4,
    method: "triplet",
    parameters: { restarts: 8 },
  };
  expect(await Effect.runPromise(requestOf(RunRequest, { ...values, watch: true }))).toEqual(request);
});

Deno.test("values that can't be are refused with the flag's name", async () => {
  expect(() => parse("--epochs", "two")).toThrow(CommanderError);
  expect(() => parse("--epochs", "1.5")).toThrow(/whole number/);
  expect(() => parse("--margin", "")).toThrow(/no number/);
  expect(() => parse("--parameters", "[1]")).toThrow(/no JSON object/);
  expect(() => parse("--method", "magic")).toThrow(/Allowed choices/);
  const fail = (values: Record<string, unknown>) =>
    Effect.runPromise(Effect.flip(requestOf(RunRequest, values))).then(({ message }) => message);
  expect(await fail({ dataset: "x", imageSize: 17 })).toMatch(/^--image-size: .*multiple of 8/);
  expect(await fail({ dataset: "x", clusterer: "train" })).toMatch(/^--clusterer: is reserved/);
  expect(await fail({})).toBe("--dataset is required");
});

Deno.test("a problem is told once", () => {
  const problem = { type: "t", status: 422, title: "The request doesn't fit" };
  const errors = [{ field: "epochs", message: "must be at least 1" }];
  expect(describeProblem({ ...problem, detail: "epochs: must be at least 1", errors }))
    .toBe("The request doesn't fit: epochs: must be at least 1");
  expect(describeProblem({ ...problem, detail: "see below", errors }))
    .toBe("The request doesn't fit: see below\n  epochs: must be at least 1");
});

Deno.test("following goes on over any number of breaks, each of less than a minute, and ends with one of more", async () => {
  const url = "http://gateway";
  const failing = (_tag: "Unreachable" | "Broken") => new CliError({ reason: { _tag, url }, message: _tag });
  /** What becomes of each connection in turn; the state is asked for where one has been there. */
  const follow = (connections: ("refused" | "breaks" | "ends")[], states: (boolean | "refused")[]) =>
    Effect.runPromise(
      Effect.gen(function* () {
        const events = Effect.gen(function* () {
          const next = connections.shift();
          if (next === "refused" || next === undefined) return yield* failing("Unreachable");
          yield* Effect.sleep("2 hours");
          if (next === "breaks") return yield* failing("Broken");
        });
        const state = Effect.suspend(() => {
          const next = states.shift()!;
          return next === "refused" ? Effect.fail(failing("Unreachable")) : Effect.succeed(next);
        });
        const following = yield* Effect.forkChild(Effect.result(untilOver(state, (over) => over, events)));
        yield* TestClock.adjust("1 day");
        return yield* Fiber.join(following);
      }).pipe(Effect.provide(TestClock.layer())),
    );
  expect(
    await follow(
      ["refused", "breaks", "refused", "breaks", "ends", "refused", "refused", "ends"],
      [false, "refused", false, "refused", false, true],
    ),
  ).toMatchObject({ _tag: "Success", success: true });
  expect(await follow(["breaks"], [false])).toMatchObject({
    _tag: "Failure",
    failure: { reason: { _tag: "Unreachable" } },
  });
});

Deno.test("a stream of events that breaks off is told from a gateway that isn't there", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const target = { url: `http://127.0.0.1:${listener.addr.port}` };
  const events = () => Effect.runPromise(Effect.flip(Stream.runDrain(serverEvents(target, "/events"))));
  const answered = (async () => {
    using connection = await listener.accept();
    await connection.read(new Uint8Array(1024));
    const head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 1000\r\n\r\n";
    await connection.write(new TextEncoder().encode(`${head}data: {}\n\n`));
  })();
  expect((await events()).reason._tag).toBe("Broken");
  await answered;
  listener.close();
  expect((await events()).reason._tag).toBe("Unreachable");
});

Deno.test("rejected files are grouped by reason, most frequent first, the first few named", () => {
  const rejected = [
    { file: "a/1.png", reason: "empty" },
    ...[2, 3, 4].map((i) => ({ file: `a/${i}.png`, reason: "unreadable" })),
  ];
  expect(describeRejected(rejected, 2)).toBe(
    "  3 files: unreadable\n    a/2.png\n    a/3.png\n    … and 1 more\n  1 file: empty\n    a/1.png",
  );
  const twins = ["a", "b"].map((name) => ({
    file: `${name}/2.png`,
    reason: `duplicate: ${name}/1.png is kept`,
  }));
  const cut = { file: "c.png", reason: "truncated: no end" };
  expect(describeRejected([cut, ...twins], 2)).toBe(
    "  2 files: duplicate\n    a/2.png: a/1.png is kept\n    b/2.png: b/1.png is kept\n" +
      "  1 file: truncated: no end\n    c.png",
  );
});

Deno.test("a dataset's name comes from its folder's", () => {
  expect(nameFrom("/data/plankton groups (2019)/")).toBe("plankton-groups-2019");
  expect(nameFrom("/data/Kieselalgen Köln")).toBe("Kieselalgen-Koln");
  expect(nameFrom("/数据")).toBe("");
});

const scores = { accuracy: 0.9, fScore: 0.875 };
const trained = (fold: number, epoch: number) =>
  ({ type: "epoch.trained", fold, epoch, training: { loss: 0.5, seconds: 62 } }) as const;
const validated = (fold: number, epoch: number, converged: "patience" | null = null) =>
  ({ type: "epoch.validated", fold, epoch, loss: 1, metrics: scores, converged }) as const;

Deno.test("an epoch's line waits for what was split, where the method splits", () => {
  const tell = narrator({ method: "clustering+triplet", folds: 1 });
  expect(tell(trained(0, 1))).toEqual([]);
  expect(tell(validated(0, 1))).toEqual([]);
  expect(tell({ type: "adaptation.planned", fold: 0, epoch: 1 })).toEqual([]);
  const changes = [{ class: "copepod", from: 1, to: 3 }, { class: "detritus", from: 2, to: 1 }];
  expect(tell({ type: "dataset.relabelled", fold: 0, epoch: 1, changes })).toEqual([
    "epoch   1  loss 0.5000  1 min 2 s  validation accuracy 90.0 %  F 87.5 %  copepod 1→3, detritus 2→1",
  ]);
  tell(trained(0, 2));
  expect(tell(validated(0, 2, "patience"))[0]).toMatch(/^epoch {3}2 .* done$/);
  expect(tell({ type: "fold.completed", fold: 0, epoch: 2, metrics: scores }))
    .toEqual(["held-out accuracy 90.0 %  F 87.5 %"]);
  // a run that ends meanwhile still tells the epoch
  tell(validated(0, 3));
  expect(tell({ type: "run.cancelled" })[0]).toMatch(/^epoch {3}3 /);
});

Deno.test("without clusters an epoch's line comes at once, folds are told apart", () => {
  const tell = narrator({ method: "triplet", folds: 2 });
  tell(trained(1, 4));
  expect(tell(validated(1, 4))[0]).toMatch(/^fold 1 {2}epoch {3}4 {2}loss 0\.5000 /);
});

Deno.test("progress shows loss, speed, time left and what is being split", () => {
  const progress = { runId: "r", fold: 1, epoch: 3, step: "train", done: 37, total: 310 } as const;
  const more = { loss: 0.25, imagesPerSecond: 812.4, secondsLeft: 75, splitting: ["copepod", "detritus"] };
  expect(gaugeOf({ ...progress, ...more }, 2)).toEqual({
    label: "fold 1 epoch 3 train",
    done: 37,
    total: 310,
    details: "loss 0.2500 · 812 images/s · 1 min 15 s left · split: copepod, detritus",
  });
  for (const step of ["extract", "cluster"] as const) {
    expect(gaugeOf({ ...progress, step, splitting: ["copepod"] }, 1).details).toBe("examining: copepod");
  }
  expect(gaugeOf(progress, 1).details).toBe("");
  const speeds = [0.26, 0.98, 2, 9.94, 9.96, 250.4].map((imagesPerSecond) =>
    gaugeOf({ ...progress, imagesPerSecond }, 1).details
  );
  expect(speeds).toEqual([
    ...["0.3 images/s", "1.0 image/s", "2.0 images/s", "9.9 images/s", "10 images/s", "250 images/s"],
  ]);
});

Deno.test("how a run stands is said once", () => {
  expect(describeRun(run)).toBe("run r1 is running (training)");
  expect(describeRun({ ...run, state: "cancelled", step: "cancelled" })).toBe("run r1 is cancelled");
});

Deno.test("time left is told while a run goes on; while it waits for a clusterer, when it fails", () => {
  const now = Date.parse(run.createdAt);
  const details = (more: Partial<RunView>) => gaugeOfRun({ ...run, ...more }, now).details;
  expect(details({})).toBe("training");
  expect(details({ secondsLeft: 18 })).toBe("training · at most 18 s left");
  const waitsUntil = new Date(now + 192_000).toISOString();
  expect(details({ step: "no instance is alive", waitsUntil })).toBe(
    "no instance is alive · the run fails in 3 min 12 s",
  );
});

Deno.test("clusterers: a line for every version that is alive; with none alive, the last that was", () => {
  const parameters = { properties: { depth: { default: 3, description: "of the tree" } } };
  const tree = { name: "tree", version: "2.0.0", description: "by cuts", parameters };
  const versions = [{ version: "2.0.0", instances: 1 }, { version: "1.0.0", instances: 2 }];
  const all = [
    { ...tree, instances: 3, versions },
    { ...tree, name: "gone", instances: 0, versions: [] },
    { name: "unseen", instances: 0, versions: [] },
  ];
  expect(describeClusterers(all).split("\n").map((line) => line.split(/ {2,}/))).toEqual([
    ["clusterer", "version", "alive", "how it divides a class"],
    ["tree", "2.0.0", "1", "by cuts"],
    ["tree", "1.0.0", "2", "by cuts"],
    ["gone", "2.0.0", "0", "by cuts (nobody serves it now)"],
    ["unseen", "0", "nobody serves it now"],
    [""],
    ["parameters (run --parameters '{…}'):"],
    ["", "tree: depth of the tree (default: 3)"],
    ["", "gone: depth of the tree (default: 3)"],
  ]);
  const trainer = {
    service: "trainer",
    pid: 7,
    port: 1,
    state: "ready",
    working: ["run.requested"],
  } as const;
  const services = [3.14, 250.4].map((imagesPerSecond) => ({ ...trainer, imagesPerSecond }));
  const top = describeTop({ at: run.createdAt, services, clusterers: all, runs: [run], consumers: [] });
  expect(top).toMatch(/^trainer .* 3\.1\ntrainer .* 250$/m);
  expect(top).toContain("clusterer  version  instances alive\ntree         2.0.0                1\n");
});

Deno.test("without a terminal a gauge is a line every ten seconds", () => {
  const lines: string[] = [];
  let now = 0;
  const screen = makePlainScreen((text) => lines.push(text), () => now);
  const at = (seconds: number, done: number) => {
    now = seconds * 1000;
    screen.gauge("fold 0", { label: "epoch 1 train", done, total: 9, details: "" });
  };
  at(0, 1);
  at(5, 2);
  screen.line("a fact");
  at(10, 3);
  expect(lines).toEqual(["epoch 1 train 1/9", "a fact", "epoch 1 train 3/9"]);
});

Deno.test("durations and tables", () => {
  expect([4.4, 59.6, 200, 7_500].map(duration)).toEqual(["4 s", "1 min 0 s", "3 min 20 s", "2 h 5 min"]);
  expect(table(["name", "n"], [["a", 12], ["longer", 3]])).toBe("name     n\na       12\nlonger   3");
});

Deno.test("a schema that no flag can be made from is noticed", () => {
  expect(() => flagsOf(z.object({ nested: z.object({ a: z.string() }) }))).toThrow();
});

Deno.test("what an import found is shown beside the images: depth, pixel size, warnings, contradicting labels", () => {
  const conflict = (number: number) => ({
    pixelHash: "0".repeat(64),
    files: [{ path: `a/${number}.png`, class: "a" }, { path: `b/${number}.png`, class: "b" }],
  });
  const view = {
    ...datasetView,
    depth: { bits: 12, offset: 32768 },
    pixelSize: 0.65,
    classes: [...datasetView.classes, { name: "line\n\u001b[2Jbreak", images: 6 }],
    warnings: [
      { kind: "small-class" as const, message: "class 'rare' has 5 images" },
      { kind: "names-differ-by-case" as const, message: "class 'line\nbreak' differs" },
    ],
    labelConflicts: [conflict(1), conflict(2)],
  };
  expect(describeDataset(view, 1).split("\n").slice(4)).toEqual([
    "  line\\u000a\\u001b[2Jbreak       6",
    "  16-bit images: 12 bits, black at 32768",
    "  a pixel is 0.65 µm wide",
    "  warning: class 'rare' has 5 images",
    "  warning: class 'line\\u000abreak' differs",
    "  2 pictures lie in several classes:",
    "    a/1.png = b/1.png",
    "    … and 1 more",
    "  1 file: can't be decoded",
    "    copepod/1.png",
  ]);
});
