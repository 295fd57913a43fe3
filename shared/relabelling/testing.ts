/** A clusterer's handler with its real worker, and files instead of a server: for the tests of the clusterers. */
import { datasetAtRest } from "@subtaxa/dataset/testing";
import { Blobs, Bus, type Outcome } from "@subtaxa/bus";
import {
  type BlobRef,
  type ClassState,
  type ClustererVersion,
  CONTRACT_VERSION,
  encodeFeatures,
  encodeImages,
  type Event,
  type EventOf,
  type Failure,
  initialFoldState,
  RunRequest,
  specOf,
} from "@subtaxa/contracts";
import { split } from "@subtaxa/dataset";
import { metricsOf } from "@subtaxa/metrics";
import { Effect, Layer } from "effect";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { z } from "zod";
import { clusterBy, Clusterer, type Plan } from "./handlers.ts";

/** The common part of every event of a fold that is given to a handler. */
export type Head = Omit<EventOf<"run.requested">, "type">;

export interface TestFold {
  readonly head: Head;
  /** Class of every image. */
  readonly classOf: readonly number[];
  readonly put: (bytes: Uint8Array) => Promise<BlobRef>;
  readonly read: (ref: BlobRef) => Promise<Uint8Array>;
  /** What the handler makes of an event; rejects with its failure. */
  readonly handle: (event: Event) => Promise<Outcome>;
}

/** What the handler says that it is. */
export const testedClusterer: ClustererVersion = { name: "tested", version: "1.2.3" };

const unused = Effect.die(new Error("clusterers don't do this"));
const silentBus = Bus.of({
  publish: () => unused,
  history: () => unused,
  newest: () => unused,
  newestFact: () => unused,
  routes: () => unused,
  facts: () => {
    throw new Error("clusterers don't do this");
  },
  listen: () => {
    throw new Error("clusterers don't do this");
  },
  ask: () => unused,
  answer: () => unused,
  progress: () => Effect.void,
  maxPayload: unused,
  ping: Effect.void,
});

/** Blobs as files of one folder. */
const fileBlobs = (folder: string) => {
  const path = ({ key }: BlobRef) => join(folder, key);
  const put = (bytes: Uint8Array) =>
    Effect.promise(async () => {
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      const ref: BlobRef = { key: `sha256-${sha256}`, sha256, bytes: bytes.length };
      await Deno.writeFile(path(ref), bytes);
      return ref;
    });
  const read = (file: string) => Effect.promise(() => Deno.readFile(file));
  return Blobs.of({
    put,
    putFile: (file) => Effect.flatMap(read(file), put),
    file: (ref) => Effect.succeed(path(ref)),
    get: (ref) => read(path(ref)),
    owned: Effect.succeed([]),
    remove: (ref) => Effect.promise(() => Deno.remove(path(ref))),
    cacheFolder: folder,
  });
};

/** Runs `use` on a fold of a data set with `sizes` images per class, in a folder that is removed. */
export const withFold = async (
  { plan, parameters, worker, sizes, request = {} }: {
    readonly plan: Plan;
    readonly parameters: z.ZodObject;
    readonly worker: URL;
    readonly sizes: Readonly<Record<string, number>>;
    readonly request?: Partial<RunRequest>;
  },
  use: (fold: TestFold) => Promise<void>,
): Promise<void> => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-clusterer-" });
  const blobs = fileBlobs(folder);
  const classes = Object.keys(sizes);
  const classOf = Object.values(sizes).flatMap((count, index) => new Array<number>(count).fill(index));
  const images = classOf.map((index, i) => ({ path: `${classes[index]}/${i}.png`, class: index, side: 1 }));
  const { manifest } = datasetAtRest({ name: "test", classes, images });
  const program = Effect.gen(function* () {
    const ref = yield* blobs.put(new TextEncoder().encode(JSON.stringify(manifest)));
    const services = yield* Effect.context<Clusterer | Bus | Blobs>();
    const handler = clusterBy({ clusterer: testedClusterer, plan, parameters });
    const head: Head = {
      v: CONTRACT_VERSION,
      at: "2026-01-01T00:00:00.000Z",
      runId: "run",
      fold: 0,
      epoch: 0,
      spec: specOf(RunRequest.parse({ dataset: "test", ...request }), { manifest: ref, classes }),
      state: initialFoldState(classes),
    };
    yield* Effect.promise(() =>
      use({
        head,
        classOf,
        put: (bytes) => Effect.runPromise(blobs.put(bytes)),
        read: (wanted) => Effect.runPromise(blobs.get(wanted) as Effect.Effect<Uint8Array, Failure>),
        handle: (event) => Effect.runPromise(Effect.provide(handler(event), services)),
      })
    );
  });
  const layer = Layer.mergeAll(
    Clusterer.layer(worker),
    Layer.succeed(Bus, silentBus),
    Layer.succeed(Blobs, blobs),
  );
  try {
    await Effect.runPromise(Effect.provide(program, layer));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

/** The event that an outcome consists of; throws when it is another, or not the only one. */
export const only = <T extends Event["type"]>({ events }: Outcome, type: T): EventOf<T> => {
  const [event, ...more] = events;
  if (event?.type !== type || more.length > 0) {
    throw new Error(`${events.map((event) => event.type)} instead of ${type}`);
  }
  return event as EventOf<T>;
};

/** What the extractor makes of a plan: `embed` gives the embedding of an image of a class, by its name. */
export const extracted = async (
  { head, classOf, put }: TestFold,
  { state, classes }: EventOf<"adaptation.planned">,
  embed: (name: string, image: number) => readonly number[],
): Promise<EventOf<"features.extracted">> => {
  const name = (image: number) => head.spec.classes[classOf[image]!]!;
  const image = Uint32Array.from(classOf.keys()).filter((index) => classes.includes(name(index)));
  const rows = Array.from(image, (index) => embed(name(index), index));
  const features = await put(encodeFeatures({
    image,
    values: Float32Array.from(rows.flat()),
    dimension: rows[0]?.length ?? 1,
  }));
  const { seed, folds } = head.spec;
  const train = split(classOf, { seed, folds, fold: head.fold }).train;
  const images = await put(
    encodeImages({ image: train, class: Uint16Array.from(train, (index) => classOf[index]!) }),
  );
  return { ...head, type: "features.extracted", state, features, images };
};

/** An `epoch.validated` with these false negatives; the rest of it plays no part here. */
export const validated = ({ head }: TestFold, falseNegatives: readonly number[]): Event => ({
  ...head,
  type: "epoch.validated",
  epoch: 1,
  loss: 1,
  metrics: metricsOf([[1, 0], [0, 1]]),
  confusion: [],
  falseNegatives: [...falseNegatives],
  converged: null,
});

/** Number of sub-classes by class. */
export const clustersOf = (classes: readonly ClassState[]): Record<string, number> =>
  Object.fromEntries(classes.map(({ name, clusters }) => [name, clusters]));
