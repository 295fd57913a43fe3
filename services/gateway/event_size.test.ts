import { Blobs, Bus } from "@subtaxa/bus";
import { CONTRACT_VERSION, type Event } from "@subtaxa/contracts";
import { datasetAtRest } from "@subtaxa/dataset/testing";
import { syntheticRun } from "@subtaxa/runs/testing";
import { Effect } from "effect";
import { expect } from "expect";
import { largestMessage } from "./event_size.ts";
import { importSettings, problemIn, withGateway } from "./testing.ts";

const names = (count: number) => Array.from({ length: count }, (_, i) => `class ${i}, with an ümlaut`);
const bytesOf = (event: Event) => new TextEncoder().encode(JSON.stringify(event)).length;

Deno.test("no event of a run is larger than was said before, and that is not far off", () => {
  for (const [count, support] of [[2, 5], [103, 4000], [300, 30]] as const) {
    const events = syntheticRun({ classes: names(count), epochs: 3, support, seed: count });
    const [request] = events;
    if (request?.type !== "run.requested") throw new Error("a run begins with its request");
    const images = 2 * support * count;
    const largest = Math.max(...events.map(bytesOf));
    const bound = largestMessage(request.spec, images);
    expect(largest).toBeLessThan(bound);
    // 25 bytes for each figure of a class, and what headers and blobs may take
    expect(bound - largest).toBeLessThan(50 * count + images / 10 + 10_000);
  }
});

Deno.test(
  "a dataset with more classes than a message can tell of is refused when the run is asked for",
  withGateway(async (gateway) => {
    const imported = async (name: string, count: number) => {
      const classes = names(count);
      const images = Array.from({ length: 5 * count }, (_, i) => ({
        ...{ path: `${i}.png`, class: i % count, side: 1 },
      }));
      const { manifest: whole } = datasetAtRest({ name, classes, images });
      const manifest = await gateway.run(
        Effect.flatMap(Blobs, (blobs) => blobs.put(new TextEncoder().encode(JSON.stringify(whole)))),
      );
      const head = { v: CONTRACT_VERSION, at: new Date().toISOString(), dataset: name } as const;
      const [, seq] = await gateway.publish(
        { ...head, type: "dataset.requested", path: "/nowhere", ...importSettings },
        { ...head, type: "dataset.imported", manifest, images: images.length, classes: count, rejected: 0 },
      );
      await (await gateway.get(`/v1/datasets/${name}/events`)).text();
      expect(seq).toBeGreaterThan(0);
    };
    await imported("plankton", 103);
    await imported("everything", 1000);
    const accepted = await gateway.post("/v1/runs", { dataset: "plankton" });
    await accepted.body?.cancel();
    expect(accepted.status).toBe(202);
    const refused = await gateway.post("/v1/runs", { dataset: "everything" });
    const problem = await problemIn(refused, 422);
    expect(problem.type).toBe("urn:subtaxa:problem:too-many-classes");
    expect(problem.detail).toMatch(/its 1000 classes.* 2\.\d MB.*takes 1\.0 MB: raise its max_payload/);
    expect(problem.errors).toEqual([{ field: "dataset", message: expect.any(String) }]);

    // a run of that many classes would indeed fail
    const [validated] = syntheticRun({ classes: names(1000), epochs: 1, seed: 1 })
      .filter(({ type }) => type === "epoch.validated");
    const failure = await gateway.run(
      Effect.flatMap(Bus, (bus) => bus.publish(validated!)).pipe(Effect.flip),
    );
    expect(failure).toMatchObject({ reason: { _tag: "TooLarge" } });
  }, { importer: false }),
);
