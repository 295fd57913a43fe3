import type { BlobRef } from "@subtaxa/contracts";
import { currentPlatform, natsServerPath, subtaxaHome } from "@subtaxa/tensorflow";
import { ConfigProvider, Context, Deferred, Effect, Fiber, Layer, type Scope } from "effect";
import { expect } from "expect";
import { randomBytes } from "node:crypto";
import { Blobs, saveObject } from "./blobs.ts";
import { Connection } from "./connection.ts";
import { startNatsServer } from "./server.ts";

const binary = natsServerPath(subtaxaHome(), currentPlatform()!);

interface Machine {
  /** What a service on the machine sees: each one is a client of its own, over the machine's folder. */
  readonly service: Effect.Effect<Blobs["Service"], never, Scope.Scope>;
  /** The keys of the blobs that lie in its cache, sorted. */
  readonly cached: () => string[];
  readonly cacheFolder: string;
}

/** One object store, and machines whose caches take 100 kB. */
const withMachines = (
  body: (machine: (name: string) => Machine) => Effect.Effect<void, unknown, Scope.Scope>,
) =>
async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-blobs-" });
  const program = Effect.gen(function* () {
    const server = yield* startNatsServer({ binary, folder: `${folder}/nats` });
    const machine = (name: string): Machine => {
      const data = `${folder}/${name}`;
      const env = ConfigProvider.layer(ConfigProvider.fromUnknown({
        NATS_URL: server.url,
        SUBTAXA_DATA: data,
        SUBTAXA_CACHE_LIMIT: String(100_000 / 2 ** 30),
      }));
      const layer = Blobs.layer.pipe(Layer.provide(Connection.layer(name)), Layer.provide(env), Layer.orDie);
      const cacheFolder = `${data}/cache`;
      return {
        service: Effect.map(Layer.build(Layer.fresh(layer)), (context) => Context.get(context, Blobs)),
        cached: () =>
          [...Deno.readDirSync(cacheFolder)].filter(({ name }) => name.length === 2).flatMap(({ name }) =>
            [...Deno.readDirSync(`${cacheFolder}/${name}`)].map(({ name }) => name)
          ).sort(),
        cacheFolder,
      };
    };
    yield* body(machine);
  });
  try {
    await Effect.runPromise(Effect.scoped(program));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

const random = (bytes: number) => new Uint8Array(randomBytes(bytes));
const keysOf = (...refs: readonly BlobRef[]) => refs.map(({ key }) => key).sort();

Deno.test(
  "beyond its limit a cache loses the blobs used least recently; they are fetched again",
  withMachines((machine) =>
    Effect.gen(function* () {
      const one = machine("one");
      const [blobs, neighbour] = [yield* one.service, yield* one.service];
      const bytes = [random(30_000), random(30_000), random(30_000), random(30_000)];
      const put = (i: number) => blobs.put(bytes[i]!);
      const [a, b, c] = [yield* put(0), yield* put(1), yield* put(2)];
      expect(one.cached()).toEqual(keysOf(a, b, c));
      // a neighbour's use counts too
      expect(yield* neighbour.get(a)).toEqual(bytes[0]);
      const d = yield* put(3);
      expect(one.cached()).toEqual(keysOf(a, c, d));
      expect(yield* blobs.get(b)).toEqual(bytes[1]);
      expect(one.cached()).toEqual(keysOf(a, b, d));
    })
  ),
);

Deno.test(
  "what a scope uses stays, whichever service evicts, and goes when the scope has ended",
  withMachines((machine) =>
    Effect.gen(function* () {
      const [one, two] = [machine("one"), machine("two")];
      const [blobs, neighbour] = [yield* one.service, yield* one.service];
      const elsewhere = yield* two.service;
      const used = random(60_000);
      const [made, fetched] = [yield* blobs.put(used), yield* elsewhere.put(random(30_000))];
      let last = made;
      yield* Effect.scoped(Effect.gen(function* () {
        const paths = [yield* blobs.file(made), yield* blobs.file(fetched)];
        for (let i = 0; i < 3; i++) last = yield* neighbour.put(random(30_000 + i));
        // putting equal content again, or fetching it twice, must not put another file in the place of the used one
        yield* neighbour.put(used);
        yield* neighbour.put(random(40_000));
        last = yield* neighbour.put(random(30_000));
        for (const path of paths) expect(Deno.statSync(path).isFile).toBe(true);
        expect(one.cached()).toEqual(keysOf(made, fetched, last));
      }));
      const [x, y] = [yield* neighbour.put(random(40_000)), yield* neighbour.put(random(40_000))];
      expect(one.cached()).toEqual(keysOf(x, y));
      expect(yield* blobs.get(made)).toEqual(used);
    })
  ),
);

Deno.test(
  "a cache that has outgrown its limit is cut when a service starts; what is being made is not touched",
  withMachines((machine) =>
    Effect.gen(function* () {
      const { cacheFolder, cached, service } = machine("one");
      const at = (name: string, bytes: number, daysAgo: number) => {
        const path = `${cacheFolder}/${name}`;
        Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
        Deno.writeFileSync(path, random(bytes));
        const time = Date.now() / 1000 - daysAgo * 86_400;
        Deno.utimeSync(path, time, time);
        return path;
      };
      const resized = at("images-0-64", 50_000, 3);
      const others = [at("imports/one/shard", 90_000, 5), at("incoming/new", 90_000, 0.5)];
      at("aa/newer", 60_000, 1);
      at("ab/newest", 30_000, 0.1);
      yield* service;
      expect(cached()).toEqual(["newer", "newest"]);
      expect(() => Deno.statSync(resized)).toThrow(Deno.errors.NotFound);
      for (const path of others) expect(Deno.statSync(path).isFile).toBe(true);
    })
  ),
);

Deno.test(
  "a download that fails or is interrupted leaves nothing behind",
  withMachines((machine) =>
    Effect.gen(function* () {
      const [one, two] = [machine("one"), machine("two")];
      const blobs = yield* one.service;
      const elsewhere = yield* two.service;
      const ref = yield* elsewhere.put(random(20_000_000));
      const left = () => [...Deno.readDirSync(`${one.cacheFolder}/incoming`)].map(({ name }) => name);
      const wrong = { ...ref, sha256: "0".repeat(64) };
      expect((yield* Effect.flip(blobs.get(wrong))).reason._tag).toBe("BlobCorrupt");
      expect(left()).toEqual([]);
      const missing = { ...ref, key: "sha256-none" };
      expect((yield* Effect.flip(blobs.get(missing))).reason._tag).toBe("BlobMissing");
      expect(left()).toEqual([]);
      for (let time = 0; time < 10; time++) {
        const begun = yield* Deferred.make<void>();
        const watcher = Deno.watchFs(`${one.cacheFolder}/incoming`);
        const watching = (async () => {
          for await (const { kind } of watcher) if (kind === "modify") break;
          Effect.runSync(Deferred.succeed(begun, undefined));
        })();
        const getting = yield* Effect.forkChild(blobs.get(ref));
        yield* Deferred.await(begun);
        yield* Fiber.interrupt(getting); // with parts on their way, of which nobody may hear any more
        yield* Effect.promise(() => watching);
        expect(left()).toEqual([]);
      }
    })
  ),
);

Deno.test("what the store's client says of a download that was given up ends nobody's process", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-blobs-" });
  /** One part comes, then `given` is done, and the client finds that nobody takes the next. */
  const download = (given: (controller: AbortController) => void) => {
    const { promise: error, reject } = Promise.withResolvers<Error | null>();
    const controller = new AbortController();
    let cancelled = false;
    const data = new ReadableStream<Uint8Array>({
      start(parts) {
        parts.enqueue(random(1_000));
        given(controller);
      },
      cancel() {
        cancelled = true;
        reject(new TypeError("The stream controller cannot close or enqueue"));
      },
    });
    return {
      saved: saveObject({ data, error }, `${folder}/file`, controller.signal),
      wasCancelled: () => cancelled,
    };
  };
  for (
    const given of [
      (controller: AbortController) => controller.abort(),
      (controller: AbortController) => setTimeout(() => controller.abort(), 20),
    ]
  ) {
    const { saved, wasCancelled } = download(given);
    await expect(saved).rejects.toThrow(/abort/i);
    expect(wasCancelled()).toBe(true);
  }
  await new Promise((resolve) => setTimeout(resolve, 20)); // an unhandled rejection would fail the test
  await Deno.remove(folder, { recursive: true });
});
