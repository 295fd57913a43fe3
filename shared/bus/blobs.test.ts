import type { BlobRef } from "@subtaxa/contracts";
import { currentPlatform, natsServerPath, subtaxaHome } from "@subtaxa/tensorflow";
import { ConfigProvider, Context, Deferred, Effect, Fiber, Layer, type Scope } from "effect";
import { expect } from "expect";
import { randomBytes } from "node:crypto";
import { Blobs, saveObject } from "./blobs.ts";
import { readIntact, stateOf } from "./cache.ts";
import { Connection } from "./connection.ts";
import { startNatsServer } from "./server.ts";

const binary = natsServerPath(subtaxaHome(), currentPlatform()!);

interface Machine {
  /** What a service on the machine sees: each one is a client of its own, over the machine's folder. */
  readonly service: Effect.Effect<Blobs["Service"], never, Scope.Scope>;
  /** The keys of the blobs that lie in its cache, sorted. */
  readonly cached: () => string[];
  readonly cacheFolder: string;
  /** Where a blob without owner lies in its cache. */
  readonly path: (ref: BlobRef) => string;
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
        path: ({ key, sha256 }) => `${cacheFolder}/${sha256.slice(0, 2)}/${key}`,
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
const setTimes = (path: string, millis: number) => Deno.utimeSync(path, millis / 1000, millis / 1000);
const keysOf = (...refs: readonly BlobRef[]) => refs.map(({ key }) => key).sort();

Deno.test(
  "beyond its limit a cache loses the blobs used least recently; they are fetched again",
  withMachines((machine) =>
    Effect.gen(function* () {
      const one = machine("one");
      const [blobs, other] = [yield* one.service, yield* one.service];
      const bytes = [random(30_000), random(30_000), random(30_000), random(30_000)];
      const put = (i: number) => blobs.put(bytes[i]!);
      const [a, b, c] = [yield* put(0), yield* put(1), yield* put(2)];
      expect(one.cached()).toEqual(keysOf(a, b, c));
      for (const [i, ref] of [a, b, c].entries()) setTimes(one.path(ref), Date.now() - (9 - i) * 3_600_000);
      // another service's use counts too
      expect(yield* other.get(a)).toEqual(bytes[0]);
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
      const [blobs, other] = [yield* one.service, yield* one.service];
      const elsewhere = yield* two.service;
      const used = random(60_000);
      const [made, fetched] = [yield* blobs.put(used), yield* elsewhere.put(random(30_000))];
      let last = made;
      yield* Effect.scoped(Effect.gen(function* () {
        const paths = [yield* blobs.file(made), yield* blobs.file(fetched)];
        for (let i = 0; i < 3; i++) last = yield* other.put(random(30_000 + i));
        // putting equal content again, or fetching it twice, must not put another file in the place of the used one
        yield* other.put(used);
        yield* other.put(random(40_000));
        last = yield* other.put(random(30_000));
        for (const path of paths) expect(Deno.statSync(path).isFile).toBe(true);
        expect(one.cached()).toEqual(keysOf(made, fetched, last));
      }));
      const [x, y] = [yield* other.put(random(40_000)), yield* other.put(random(40_000))];
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
        setTimes(path, Date.now() - daysAgo * 86_400_000);
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

/** Flips one bit in a file, whose size stays. `secretly`: the time of modification stays too. */
const damage = (path: string, { secretly }: { readonly secretly: boolean }) => {
  const bytes = Deno.readFileSync(path);
  const { atime, mtime } = Deno.statSync(path);
  bytes[bytes.length >> 1]! ^= 1;
  Deno.writeFileSync(path, bytes);
  if (secretly) Deno.utimeSync(path, atime!, mtime!);
};

/** Deno tells ctime, by which a secret change is noticed, in whole seconds. */
const nextSecond = Effect.sleep("1100 millis");

for (const secretly of [false, true]) {
  Deno.test(
    `a cache file that is damaged${secretly ? ", with its time set back," : ""} is fetched or put again`,
    withMachines((machine) =>
      Effect.gen(function* () {
        const one = machine("one");
        const [blobs, other] = [yield* one.service, yield* one.service];
        const bytes = random(30_000);
        const ref = yield* blobs.put(bytes);
        const path = one.path(ref);
        const fileOf = (service: Blobs["Service"]) =>
          Effect.scoped(Effect.map(service.file(ref), (path) => Deno.readFileSync(path)));
        expect(yield* fileOf(other)).toEqual(bytes); // both have verified it
        yield* nextSecond;
        damage(path, { secretly });
        expect(yield* fileOf(blobs)).toEqual(bytes);
        expect(yield* fileOf(other)).toEqual(bytes);
        yield* nextSecond;
        damage(path, { secretly });
        expect(yield* Effect.all([blobs.get(ref), other.get(ref)], { concurrency: 2 })).toEqual([
          bytes,
          bytes,
        ]);
        yield* nextSecond;
        damage(path, { secretly });
        expect(yield* other.put(bytes)).toEqual(ref);
        expect(Deno.readFileSync(path)).toEqual(bytes);
      })
    ),
  );
}

Deno.test(
  "a file whose state tells nothing of its damage is put again, or fetched again once a reader has noticed it",
  withMachines((machine) =>
    Effect.gen(function* () {
      const one = machine("one");
      const [blobs, other] = [yield* one.service, yield* one.service];
      const bytes = random(30_000);
      const ref = yield* blobs.put(bytes);
      const path = one.path(ref);
      const fileOf = (service: Blobs["Service"]) => Effect.scoped(service.file(ref));
      /** A disk loses a bit and leaves no trace: all within one second, or it is healed and tried again. */
      const rot = Effect.gen(function* () {
        while (Deno.readFileSync(path)[15_000] === bytes[15_000]) {
          yield* Effect.sleep(1020 - Date.now() % 1000);
          setTimes(path, Date.now());
          for (const service of [blobs, other]) yield* fileOf(service);
          damage(path, { secretly: true });
          for (const service of [blobs, other]) yield* fileOf(service);
        }
      });
      yield* rot;
      expect(yield* blobs.put(bytes)).toEqual(ref);
      expect(Deno.readFileSync(path)).toEqual(bytes);
      yield* rot;
      expect(yield* blobs.get(ref)).toEqual(bytes);
      yield* rot;
      const read = Effect.suspend(() => readIntact(path, ref.sha256));
      expect((yield* Effect.flip(read)).retryable).toBe(true);
      for (const service of [other, blobs]) {
        yield* fileOf(service);
        expect(yield* read).toEqual(bytes);
      }
    })
  ),
);

Deno.test(
  "using a file again and again, also by another service, leaves its state as it is, so it is hashed once",
  withMachines((machine) =>
    Effect.gen(function* () {
      const one = machine("one");
      const [blobs, other] = [yield* one.service, yield* one.service];
      const ref = yield* blobs.put(random(30_000));
      const before = stateOf(Deno.statSync(one.path(ref)));
      yield* nextSecond;
      for (const service of [other, blobs, other]) yield* service.get(ref);
      expect(stateOf(Deno.statSync(one.path(ref)))).toBe(before);
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
