import { Blobs, Bus, type Fact } from "@subtaxa/bus";
import {
  type BlobRef,
  CONTRACT_VERSION,
  divide,
  type Event,
  type EventOf,
  following,
  initialFoldState,
  messageId,
  portionsOf,
  type Range,
  RunRequest,
  specOf,
  subjectOf,
} from "@subtaxa/contracts";
import { Effect } from "effect";
import { expect } from "expect";
import * as fc from "fast-check";
import { inShards, type ShardedStep, withShards } from "./sharding.ts";

const classes = ["a", "b"];
const blob: BlobRef = { key: "k", sha256: "0".repeat(64), bytes: 1 };
const planned: EventOf<"adaptation.planned"> = {
  type: "adaptation.planned",
  v: CONTRACT_VERSION,
  at: "2026-01-01T00:00:00.000Z",
  ...{ runId: "r", fold: 0, epoch: 1 },
  spec: specOf(RunRequest.parse({ dataset: "d" }), { manifest: blob, classes }),
  state: initialFoldState(classes),
  classes,
};
const unused = Effect.die(new Error("sharding doesn't do this"));
const notCalled = () => {
  throw new Error("sharding doesn't do this");
};

/** Subjects' tokens, the event's two counted as such; `*` matches one. */
const matches = (filter: string, subject: string) => {
  const [wanted, tokens] = [filter.split("."), subject.split(".")];
  return wanted.length === tokens.length && wanted.every((one, i) => one === "*" || one === tokens[i]);
};

/** A stream and its one consumer, with instances that take messages in any order, die, and get messages again. */
const cluster = (folder: string, imagesOf: (runId: string) => number, batch: number) => {
  const facts: Fact[] = [];
  const known = new Set<string>();
  const publish = (event: Event) => {
    const id = messageId(event);
    if (known.has(id)) return;
    known.add(id);
    facts.push({ seq: facts.length + 1, subject: subjectOf(event), event });
  };
  const newest = (filter: string) => facts.findLast(({ subject }) => matches(filter, subject)) ?? null;
  const bus = Bus.of({
    ...{ publish: () => unused, history: () => unused, newest: () => unused, routes: () => unused },
    ...{ facts: notCalled, listen: notCalled, ask: () => unused, answer: () => unused },
    newestFact: (filter) => Effect.sync(() => newest(filter)),
    progress: () => Effect.void,
    ping: Effect.void,
    maxPayload: unused,
  });
  const written = new Map<string, readonly Range[]>();
  const blobs = Blobs.of({
    put: () => unused,
    putFile: (file) => Effect.succeed({ ...blob, key: file }),
    file: ({ key }) => Effect.succeed(key),
    ...{ get: () => unused, remove: () => unused, owned: unused },
    cacheFolder: folder,
  });
  const joins: (readonly Range[])[] = [];
  const worked: Range[] = [];
  const step: ShardedStep<EventOf<"adaptation.planned">, never> = {
    measure: ({ runId }) => Effect.succeed({ images: imagesOf(runId), batch }),
    work: (_event, { range, outputFile }) =>
      Effect.sync(() => {
        worked.push(range);
        written.set(outputFile, [range]);
      }),
    concatenate: (_event, files, outputFile) =>
      Effect.sync(() => void written.set(outputFile, files.flatMap((file) => written.get(file)!))),
    finish: (event, file) =>
      Effect.sync(() => {
        joins.push(written.get(file)!);
        return {
          events: [{
            ...following(event),
            type: "features.extracted",
            at: event.at,
            features: blob,
            images: blob,
          }],
        };
      }),
  };
  const handler = withShards((event, shard) =>
    event.type === "adaptation.planned" ? inShards(step, event, shard) : unused
  );
  /** What an instance makes of a message at this moment; nothing where it isn't the newest of its chain. */
  const handle = async ({ seq, subject, event }: Fact): Promise<readonly Event[]> => {
    const chain = subject.split(".").slice(-2).join(".");
    if (newest(`subtaxa.*.*.*.${chain}`)!.seq > seq) return [];
    const handled = handler(event).pipe(Effect.provideService(Bus, bus), Effect.provideService(Blobs, blobs));
    return (await Effect.runPromise(handled)).events;
  };
  return { facts, publish, handle, joins, worked };
};

/** Which message is next, and what becomes of the instance that takes it. */
const turns = fc.infiniteStream(fc.record({
  which: fc.nat(),
  fate: fc.constantFrom("answers", "answers", "answers late", "dies", "acknowledgement lost"),
}));

const joinedOnce = (folder: string) =>
  fc.asyncProperty(
    fc.integer({ min: 1, max: 900 }),
    fc.integer({ min: 1, max: 4 }),
    turns,
    async (images, batch, turns) => {
      const { facts, publish, handle, joins, worked } = cluster(folder, () => images, batch);
      publish(planned);
      const acknowledged = new Set<number>();
      const late: { readonly seq: number; readonly events: readonly Event[] }[] = [];
      const lost = { joins: 0, portions: 0 };
      let mishaps = 20;
      const settle = ({ seq, events }: { readonly seq: number; readonly events: readonly Event[] }) => {
        events.forEach(publish);
        acknowledged.add(seq);
      };
      for (const { which, fate } of turns) {
        const held = new Set(late.map(({ seq }) => seq));
        const waiting = facts.filter(({ seq, event }) =>
          !acknowledged.has(seq) && !held.has(seq) && event.type !== "features.extracted"
        );
        if (waiting.length === 0) {
          if (late.length === 0) break;
          settle(late.splice(which % late.length, 1)[0]!);
          continue;
        }
        const fact = waiting[which % waiting.length]!;
        const before = { joins: joins.length, portions: worked.length };
        const events = await handle(fact);
        if (fate === "dies" && mishaps > 0) {
          mishaps--;
          lost.joins += joins.length - before.joins;
          lost.portions += worked.length - before.portions;
        } else if (fate === "answers late") late.push({ seq: fact.seq, events });
        else {
          settle({ seq: fact.seq, events });
          if (fate === "acknowledgement lost" && mishaps > 0) {
            mishaps--;
            acknowledged.delete(fact.seq);
          }
        }
      }
      const division = divide(images, batch);
      const portions = Array.from({ length: division.shards }, (_, shard) => portionsOf(division, shard))
        .flat();
      expect(joins.length - lost.joins).toBe(1);
      expect(joins.at(-1)).toEqual(portions);
      expect(worked.length - lost.portions).toBe(portions.length);
      expect(facts.filter(({ event }) => event.type === "features.extracted")).toHaveLength(1);
    },
  );

Deno.test("whatever the order, and whoever dies or gets a message again: each portion counts once, and the step is joined once", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-sharding-" });
  try {
    await fc.assert(joinedOnce(folder), { numRuns: 200 });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("fair: a run that comes to a big one's extraction waits for one portion of each shard before each of its own", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-sharding-" });
  try {
    const images = { big: 10_000, small: 32 };
    const imagesOf = (runId: string) => runId === "big" ? images.big : images.small;
    const { facts, publish, handle } = cluster(folder, imagesOf, 1);
    publish({ ...planned, runId: "big" });
    // one instance, and messages in the order of the stream, as its consumer gives them
    for (let next = 0; next < facts.length; next++) {
      if (next === 100) publish({ ...planned, runId: "small" });
      if (facts[next]!.event.type === "features.extracted") continue; // its clusterer's
      for (const event of await handle(facts[next]!)) publish(event);
    }
    const turns = facts.flatMap(({ event }) =>
      event.type === "adaptation.planned" || event.type === "features.extracted" ||
        event.type === "shard.advanced" && event.portions.length > 0
        ? [event.runId]
        : []
    );
    const mine = turns.flatMap((runId, at) => runId === "small" ? [at] : []);
    const shards = divide(images.big, 1).shards;
    expect(mine).toHaveLength(1 + 2 + 1);
    // its shards are laid out in one turn, and put together in one
    expect(Math.max(...mine.slice(1).map((at, i) => at - mine[i]! - 1))).toBeLessThanOrEqual(2 * shards);
    expect(turns.slice(mine.at(-1)! + 1).length).toBeGreaterThan(4 * shards);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
