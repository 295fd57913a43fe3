import { Bus } from "@subtaxa/bus";
import { KMeansParameters } from "@subtaxa/clustering";
import { ClustererView, isFoldEvent, RunView, subjects } from "@subtaxa/contracts";
import { Effect, Stream } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import { z } from "zod";
import { root, runArguments } from "../scripts/stack/mod.ts";
import { ended, json, startRun, startWithOrganisms, until } from "./support.ts";

const epochs = 3;

/** A clusterer as a process of its own, as somebody else would start it; it serves runs that ask for `rolling`. */
const startClusterer = (folder: string, natsUrl: string, data: string) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      new Deno.Command(Deno.execPath(), {
        args: runArguments(join(root, "services", folder, "main.ts")),
        env: {
          NATS_URL: natsUrl,
          SUBTAXA_DATA: data,
          SUBTAXA_CLUSTERER_NAME: "rolling",
          SUBTAXA_PROBE_PORT: "0",
        },
        ...{ stdin: "null", stdout: "null", stderr: "inherit" },
      }).spawn()
    ),
    (process) =>
      Effect.promise(async () => {
        try {
          process.kill("SIGKILL");
        } catch {
          return; // it has ended
        }
        await process.status;
      }),
  );

const scenario = (folder: string) =>
  Effect.gen(function* () {
    const { stack, url, bus } = yield* startWithOrganisms(folder, {
      seed: 5,
      imagesPerClass: 24,
      env: { SUBTAXA_ACK_WAIT: "3 seconds" },
    });
    const data = join(folder, "elsewhere");
    const alive = (instances: number) =>
      until(
        `${instances} instances of the clusterer`,
        async () => z.array(ClustererView).parse(await json(`${url}/clusterers`)),
        (all) => all.find(({ name }) => name === "rolling")?.instances === instances,
      );
    const first = yield* startClusterer("clusterer", stack.natsUrl, data);
    const listed = yield* alive(1);
    const served = listed.find(({ name }) => name === "rolling")!;
    expect(served.versions).toEqual([{ version: served.version, instances: 1 }]);
    expect(listed.map(({ name, instances }) => [name, instances])).toEqual([
      ["kmeans", 1],
      ["rolling", 1],
      ["xmeans", 1],
    ]);

    const request = {
      ...{ dataset: "organisms", imageSize: 32, epochs, batchSize: 16, seed: 1 },
      ...{ confusionThreshold: 0.01, minClusterSize: 4 },
    };
    const started = (clusterer: string) =>
      startRun(url, { ...request, clusterer, parameters: { restarts: 3 } });
    const viewOf = (id: string) => async () => RunView.parse(await json(`${url}/runs/${id}`));

    return yield* Effect.gen(function* () {
      const bus = yield* Bus;
      const ids = [yield* started("rolling"), yield* started("xmeans")];
      const rolling = ids[0]!;

      // the first version goes as soon as it is needed for the first time
      yield* bus.facts({ filter: subjects.run(rolling) }).pipe(
        Stream.filter(({ event }) => event.type === "epoch.validated"),
        Stream.take(1),
        Stream.runDrain,
      );
      first.kill("SIGTERM");
      expect((yield* Effect.promise(() => first.status)).code).toBe(0);
      const waiting = yield* until(
        "a run that waits for its clusterer",
        viewOf(rolling),
        ({ step }) => step === "waiting for the clusterer 'rolling': no instance is alive",
      );
      expect([waiting.secondsLeft, typeof waiting.waitsUntil]).toEqual([undefined, "string"]);
      const gone = (yield* alive(0)).find(({ name }) => name === "rolling");
      expect(gone).toMatchObject({ version: served.version, parameters: { type: "object" }, versions: [] });

      // another implementation comes in its place
      yield* startClusterer("clusterer-kmeans", stack.natsUrl, data);
      const views = yield* Effect.forEach(ids, (id) => ended(url, id));
      const facts = yield* Effect.forEach(ids, (id) => bus.history(subjects.run(id)));
      return { views, facts, version: served.version };
    }).pipe(Effect.provide(bus));
  });

Deno.test("two clusterers serve runs side by side; one is replaced by another version in the middle, and nothing is lost", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-clusterers-" });
  try {
    const { views, facts, version } = await Effect.runPromise(Effect.scoped(scenario(folder)));
    const chain = [
      "epoch.trained",
      "epoch.validated",
      "adaptation.planned",
      "features.extracted",
      "dataset.relabelled",
    ];
    const expected = Array.from(
      { length: epochs },
      (_, i) => (i + 1 < epochs ? chain : chain.slice(0, 2)).map((type) => `${type} ${i + 1}`),
    ).flat();
    for (const [index, log] of facts.entries()) {
      const name = index === 0 ? "rolling" : "xmeans";
      const parameters = { restarts: 3, maxIterations: KMeansParameters.parse({}).maxIterations };
      const clusterer = { name, parameters, versions: [version] };
      expect(views[index]).toMatchObject({ state: "completed", epoch: epochs, clusterer });
      expect(log.map(({ event }) => isFoldEvent(event) ? `${event.type} ${event.epoch}` : event.type))
        .toEqual([
          "run.requested 0",
          ...expected,
          `fold.completed ${epochs}`,
          "run.completed",
        ]);
    }
    // the second version is K-Means: it lets every class have `fixedClusters`
    const planned = facts[0]!.flatMap(({ event }) => event.type === "adaptation.planned" ? [event] : []).at(
      -1,
    )!;
    expect(planned.state.classes.every(({ allowedClusters }) => allowedClusters === 3)).toBe(true);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
