import { Blobs, Bus, BusError } from "@subtaxa/bus";
import {
  CONTRACT_VERSION,
  DatasetProgress,
  type EventOf,
  progressSubject,
  subjects,
} from "@subtaxa/contracts";
import { readManifest } from "@subtaxa/dataset";
import { Effect, Fiber, Stream } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import { importDataset } from "./handlers.ts";
import { importSettings, withGateway, writeImages } from "./testing.ts";
import { importWorkspace, removeAbandonedWorkspaces } from "./workspace.ts";

const requested = (dataset: string, path: string): EventOf<"dataset.requested"> => ({
  type: "dataset.requested",
  v: CONTRACT_VERSION,
  at: new Date().toISOString(),
  dataset,
  path,
  ...importSettings,
});

const refused = new BusError({ reason: { _tag: "Refused" }, message: "the store is full" });

Deno.test(
  "shards of an import that fails are removed, but not those that an earlier import has too",
  withGateway(async (gateway) => {
    await writeImages(join(gateway.root, "kept"), { a: 5, b: 5 });
    await gateway.import("kept");
    await writeImages(join(gateway.root, "new"), { a: 5, b: 5 });
    const shardsInCache = async () => {
      const names: string[] = [];
      for await (const { name, isDirectory } of Deno.readDir(join(gateway.data, "cache"))) {
        if (!isDirectory || name === "imports" || name === "incoming") continue;
        for await (const file of Deno.readDir(join(gateway.data, "cache", name))) names.push(file.name);
      }
      return names.sort();
    };
    // one of an earlier version, whose manifest is no manifest of this one
    await gateway.run(Effect.gen(function* () {
      const blobs = yield* Blobs;
      const put = (value: unknown) => blobs.put(new TextEncoder().encode(JSON.stringify(value)));
      const manifest = yield* put({ v: 1, name: "old", images: [], shards: [yield* put("a shard")] });
      const head = { v: CONTRACT_VERSION, at: new Date().toISOString(), dataset: "old" } as const;
      const counts = { images: 0, classes: 2, rejected: 0 };
      yield* (yield* Bus).publish({ ...head, type: "dataset.imported", manifest, ...counts });
    }));
    const before = await shardsInCache();
    let uploaded = 0;
    for (const name of ["kept", "new"]) {
      const failure = await gateway.run(Effect.gen(function* () {
        const blobs = yield* Blobs;
        const full = Blobs.of({
          ...blobs,
          putFile: (path) => Effect.tap(blobs.putFile(path), () => Effect.sync(() => uploaded += 1)),
          put: () => Effect.fail(refused),
        });
        return yield* importDataset(requested(name, join(gateway.root, name))).pipe(
          Effect.provideService(Blobs, full),
          Effect.flip,
        );
      }));
      expect(failure).toBe(refused); // worth another try, so no dataset.failed
    }
    expect(uploaded).toBe(2);
    expect(await shardsInCache()).toEqual(before);
    const shards = await gateway.run(Effect.gen(function* () {
      const [fact] = yield* (yield* Bus).history(subjects.of("dataset.imported")); // of "kept"
      return (yield* readManifest((fact!.event as EventOf<"dataset.imported">).manifest)).shards;
    }));
    const blob = await gateway.run(Effect.flatMap(Blobs, (blobs) => blobs.get(shards[0]!)));
    expect(blob.length).toBe(shards[0]!.bytes);
  }),
);

Deno.test(
  "shards of an import that fails stay while another import is under way, which may count on them",
  withGateway(async (gateway) => {
    await writeImages(join(gateway.root, "d"), { a: 5, b: 5 });
    const attempt = (dataset: string, manifestFails: boolean) =>
      gateway.run(Effect.gen(function* () {
        const blobs = yield* Blobs;
        return yield* importDataset(requested(dataset, join(gateway.root, "d"))).pipe(
          Effect.provideService(
            Blobs,
            manifestFails ? Blobs.of({ ...blobs, put: () => Effect.fail(refused) }) : blobs,
          ),
          Effect.exit,
        );
      }));
    await gateway.publish(requested("other", join(gateway.root, "d")));
    const other = await attempt("other", false); // its fact is not published yet
    if (other._tag === "Failure") throw new Error("it should have been imported");
    const [imported] = other.value.events as [EventOf<"dataset.imported">];
    expect((await attempt("failing", true))._tag).toBe("Failure");
    const bytes = await gateway.run(Effect.gen(function* () {
      const { shards } = yield* readManifest(imported.manifest);
      const blobs = yield* Blobs;
      return yield* Effect.forEach(shards, blobs.get);
    }));
    expect(bytes.length).toBe(1);
  }, { importer: false }),
);

Deno.test(
  "an import tells how far it is, up to the last file",
  withGateway(async (gateway) => {
    await writeImages(join(gateway.root, "d"), { a: 6, b: 5 });
    await Deno.writeTextFile(join(gateway.root, "d/a/empty.png"), "");
    const { heard, outcome } = await gateway.run(Effect.gen(function* () {
      const bus = yield* Bus;
      const listening = yield* bus.listen(progressSubject.dataset("d"), DatasetProgress).pipe(
        Stream.takeUntil(({ done, total }) => done === total),
        Stream.runCollect,
        Effect.forkChild,
      );
      yield* Effect.sleep("100 millis");
      const outcome = yield* importDataset(requested("d", join(gateway.root, "d")));
      return { heard: yield* Fiber.join(listening), outcome };
    }));
    expect(heard.at(-1)).toEqual({ dataset: "d", done: 12, total: 12, rejected: 1 });
    expect(heard.map(({ done }) => done)).toEqual(heard.map(({ done }) => done).sort((a, b) => a - b));
    expect(outcome.events).toMatchObject([{ type: "dataset.imported", images: 11, classes: 2, rejected: 1 }]);
  }),
);

Deno.test(
  "what a dead process has left of an import is removed, what a living one is at work on is not",
  withGateway(async (gateway) => {
    const imports = join(gateway.data, "cache/imports");
    const left = async () => (await Array.fromAsync(Deno.readDir(imports))).map(({ name }) => name).sort();
    await Deno.mkdir(join(imports, "dead"));
    await Deno.writeTextFile(join(imports, "dead/shard"), "half");
    await Deno.writeTextFile(join(imports, "dead.lock"), "");
    await Deno.writeTextFile(join(imports, "stillborn.lock"), "");
    await gateway.run(Effect.scoped(Effect.gen(function* () {
      const folder = yield* importWorkspace;
      yield* removeAbandonedWorkspaces;
      const name = folder.split("/").at(-1)!;
      expect(yield* Effect.promise(left)).toEqual([name, `${name}.lock`]);
    })));
    expect(await left()).toEqual([]);
  }),
);
