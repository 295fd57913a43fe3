import { Bus, type BusError, KeyValue } from "@subtaxa/bus";
import { ClustererAnnouncement, type ClustererView, discoverySubject } from "@subtaxa/contracts";
import { Context, Effect, Layer } from "effect";

/** What a version of a clusterer says of itself, whichever of its instances does. */
const About = ClustererAnnouncement.omit({ instance: true });
type About = Omit<ClustererAnnouncement, "instance">;

/** Newest version first. */
const byVersion = (a: About, b: About) => b.version.localeCompare(a.version, "en", { numeric: true });

/** Clusterers, by what they announce themselves. */
export class Clusterers extends Context.Service<Clusterers, {
  /** Every instance of every clusterer that is alive, asked now; newest versions first. */
  readonly alive: Effect.Effect<readonly ClustererAnnouncement[], BusError>;
  /** What the newest version said that was alive when a clusterer was last seen; null: it never was. */
  last(name: string): Effect.Effect<About | null, BusError>;
  /** Names of those to which some consumer takes a run's messages: for others they would wait for ever. */
  readonly known: Effect.Effect<readonly string[], BusError>;
}>()("subtaxa/gateway/Clusterers") {
  /** What was announced is kept in a bucket: a clusterer that is scaled to zero, or being replaced, can't be asked. */
  static readonly layer = Layer.effect(
    Clusterers,
    Effect.gen(function* () {
      const bus = yield* Bus;
      const kv = yield* KeyValue;
      const remember = (announcement: ClustererAnnouncement) =>
        Effect.gen(function* () {
          const about = JSON.stringify(About.parse(announcement));
          if (about !== (yield* kv.get(announcement.name))) yield* kv.put(announcement.name, about);
        });
      return Clusterers.of({
        alive: Effect.gen(function* () {
          const all = (yield* bus.ask(discoverySubject.clusterer, ClustererAnnouncement)).toSorted(byVersion);
          const newest = new Map(all.toReversed().map((one) => [one.name, one]));
          yield* Effect.forEach(newest.values(), remember, { concurrency: "unbounded", discard: true });
          return all;
        }),
        last: (name) =>
          Effect.map(
            kv.get(name),
            (text) => text === null ? null : About.safeParse(JSON.parse(text)).data ?? null,
          ),
        known: bus.routes("epoch.validated"),
      });
    }),
  ).pipe(Layer.provide(KeyValue.layer("subtaxa-clusterers")));
}

/** The clusterers that have a consumer or a live instance, by name. */
export const listClusterers: Effect.Effect<ClustererView[], BusError, Clusterers> = Effect.gen(function* () {
  const { alive, last, known } = yield* Clusterers;
  const [routes, all] = yield* Effect.all([known, alive], { concurrency: "unbounded" });
  const names = [...new Set([...routes, ...all.map(({ name }) => name)])].sort();
  return yield* Effect.forEach(names, (name) =>
    Effect.gen(function* () {
      const instances = all.filter((one) => one.name === name);
      const { version, description, parameters } = instances[0] ?? (yield* last(name)) ?? {};
      return {
        name,
        ...(version !== undefined && { version }),
        ...(description !== undefined && { description }),
        ...(parameters !== undefined && { parameters }),
        instances: instances.length,
        versions: [...Map.groupBy(instances, (one) => one.version)]
          .map(([version, those]) => ({ version, instances: those.length })),
      };
    }), { concurrency: "unbounded" });
});
