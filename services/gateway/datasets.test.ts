import { CONTRACT_VERSION, type DatasetView, type Event } from "@subtaxa/contracts";
import { Bus } from "@subtaxa/bus";
import { Effect } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import { importSettings, messages, problemIn, take, withGateway, writeImages } from "./testing.ts";

const fact = { v: CONTRACT_VERSION, at: "2026-01-05T09:00:00.000Z" } as const;

Deno.test(
  "a folder is imported: progress, classes, counts, rejected files; then again, and replaced",
  withGateway(async (gateway) => {
    const folder = join(gateway.root, "algae");
    await writeImages(folder, { diatom: 7, ciliate: 5, rare: 2 });
    await Deno.writeTextFile(join(folder, "diatom", "broken.png"), "no image at all");
    const created = await gateway.post("/v1/datasets", { name: "algae", path: folder });
    expect(created.status).toBe(202);
    expect(created.headers.get("location")).toBe("/v1/datasets/algae");
    expect(await created.json()).toMatchObject({ name: "algae", state: "importing" });

    const told = await take(messages(gateway, "/v1/datasets/algae/events"));
    expect(told.filter(({ event }) => event !== "progress").map(({ event }) => event)).toEqual([
      "dataset.requested",
      "dataset.imported",
    ]);
    expect(JSON.parse(told.at(-1)!.data)).toMatchObject({ dataset: "algae", images: 12, classes: 2 });
    expect(JSON.parse(told.at(-1)!.data)).not.toHaveProperty("manifest");

    const view = await gateway.json<DatasetView>("/v1/datasets/algae");
    expect(view).toMatchObject({
      name: "algae",
      state: "ready",
      classes: [{ name: "ciliate", images: 5 }, { name: "diatom", images: 7 }],
    });
    expect(view.rejected.map(({ file }) => file)).toContain("diatom/broken.png");
    expect(await gateway.json("/v1/datasets")).toEqual([view]);
    expect(await Array.fromAsync(Deno.readDir(join(gateway.data, "cache/imports")))).toEqual([]);

    // the client that has seen the end comes back as an EventSource does, and is told to stop
    const again = await gateway.get("/v1/datasets/algae/events", { "last-event-id": told.at(-1)!.id! });
    expect(again.status).toBe(204);

    await writeImages(folder, { rare: 6 });
    expect((await gateway.import("algae")).classes.map(({ name }) => name)).toEqual([
      "ciliate",
      "diatom",
      "rare",
    ]);
  }),
);

Deno.test(
  "a folder that is no dataset is an outcome: failed, with the reason, and can be imported again",
  withGateway(async (gateway) => {
    await writeImages(join(gateway.root, "lonely"), { only: 6 });
    const view = await gateway.import("lonely");
    expect(view).toMatchObject({ state: "failed", error: { tag: "DatasetError/TooFewClasses" } });
    expect(view.error!.message).toContain("only");
    const dead = await gateway.run(Effect.flatMap(Bus, (bus) => bus.history("subtaxa.dataset.failed.*.*.*")));
    expect(dead.length).toBe(1);
    await writeImages(join(gateway.root, "lonely"), { other: 6 });
    expect((await gateway.import("lonely")).state).toBe("ready");
  }),
);

Deno.test(
  "only folders below the allowed roots are imported, whatever the path looks like",
  withGateway(async (gateway) => {
    const outside = await Deno.makeTempDir({ prefix: "subtaxa-outside-" });
    try {
      await writeImages(outside, { a: 1 });
      await Deno.symlink(outside, join(gateway.root, "link"));
      await Deno.writeTextFile(join(gateway.root, "file"), "");
      const refused = async (path: string) => {
        const problem = await problemIn(await gateway.post("/v1/datasets", { name: "x", path }), 422);
        expect(problem.type).toBe("urn:subtaxa:problem:path-not-importable");
        expect(problem.errors).toHaveLength(1);
        expect(problem.errors![0]!.field).toBe("path");
        return problem.detail;
      };
      for (
        const path of [
          outside,
          `${gateway.root}/../..`,
          `${gateway.root}/../images-but-longer`,
          "/",
          "/etc/passwd",
          "../../../../../../etc",
          "/no/such/folder/anywhere",
          "\0",
        ]
      ) expect(await refused(path)).toContain("is not below an allowed folder");
      for (const path of [join(gateway.root, "link"), join(gateway.root, "link", "a")]) {
        expect(await refused(path)).toContain("leads out of the allowed folders");
      }
      expect(await refused(join(gateway.root, "absent"))).toContain("does not exist");
      expect(await refused(join(gateway.root, "file"))).toContain("is no folder");
      expect(await gateway.json("/v1/datasets")).toEqual([]);
    } finally {
      await Deno.remove(outside, { recursive: true });
    }
  }),
);

Deno.test(
  "a path that leads out of the roots by the time it is imported is refused then",
  withGateway(async (gateway) => {
    await gateway.publish({
      type: "dataset.requested",
      ...fact,
      dataset: "sneaky",
      path: "/etc",
      ...importSettings,
    });
    // published behind the gateway's back: it shows up a moment later
    const known = async (): Promise<void> => {
      const response = await gateway.get("/v1/datasets/sneaky/events");
      await response.text();
      if (response.status === 404) await known();
    };
    await known();
    expect(await gateway.json("/v1/datasets/sneaky")).toMatchObject({
      state: "failed",
      error: { tag: "ProblemError/path-not-importable" },
    });
  }),
);

Deno.test(
  "one import of a name at a time, also when two are asked for at once; its events go on after Last-Event-ID",
  withGateway(async (gateway) => {
    await Deno.mkdir(join(gateway.root, "d"));
    const both = await Promise.all(
      [1, 2].map(() => gateway.post("/v1/datasets", { name: "d", path: join(gateway.root, "d") })),
    );
    const [accepted, refused] = both.sort((a, b) => a.status - b.status);
    expect(accepted!.status).toBe(202);
    await accepted!.body!.cancel();
    expect((await problemIn(refused!, 409)).type).toBe("urn:subtaxa:problem:dataset-busy");

    const first = await take(messages(gateway, "/v1/datasets/d/events"), 1);
    const rest = take(messages(gateway, "/v1/datasets/d/events", { "last-event-id": first[0]!.id! }));
    const failed: Event = {
      type: "dataset.failed",
      ...fact,
      dataset: "d",
      error: { tag: "X/Y", message: "no good" },
      report: null,
    };
    const [seq] = await gateway.publish(failed);
    expect(await rest).toEqual([{
      id: String(seq),
      event: "dataset.failed",
      data: JSON.stringify({ type: "dataset.failed", at: fact.at, dataset: "d", error: failed.error }),
    }]);
    const problem = await problemIn(await gateway.post("/v1/runs", { dataset: "d" }), 409);
    expect(problem.detail).toContain("no good");
    await problemIn(await gateway.get("/v1/datasets/nobody"), 404);
    await problemIn(await gateway.get("/v1/datasets/nobody/events"), 404);
  }, { importer: false }),
);

Deno.test(
  "images that the import reduced are not enlarged again: the field, and what to do; small ones may be",
  withGateway(async (gateway) => {
    await writeImages(join(gateway.root, "large"), { a: 8, b: 8 }, 24);
    await writeImages(join(gateway.root, "small"), { a: 8, b: 8 }, 12);
    expect(await gateway.import("large", { maxSide: 16 })).toMatchObject({ state: "ready", maxSide: 16 });
    await gateway.import("small", { maxSide: 16 });
    const request = { method: "standard", imageSize: 32 };
    const problem = await problemIn(await gateway.post("/v1/runs", { ...request, dataset: "large" }), 422);
    expect(problem.errors!.map(({ field }) => field)).toEqual(["imageSize"]);
    expect(problem.detail).toContain("reduced to 16 pixels");
    expect(problem.detail).toContain("maxSide 32");
    for (
      const accepted of [
        { ...request, dataset: "small" },
        { ...request, dataset: "large", imageSize: 16 },
      ]
    ) {
      const response = await gateway.post("/v1/runs", accepted);
      expect([response.status, await response.json()]).toEqual([202, { id: expect.any(String) }]);
    }
    await gateway.import("large", { maxSide: 32 });
    const again = await gateway.post("/v1/runs", { ...request, dataset: "large" });
    expect([again.status, await again.json()]).toEqual([202, { id: expect.any(String) }]);
  }),
);
