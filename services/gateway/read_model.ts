import { Blobs, Bus, type BusError, Connection, type Fact } from "@subtaxa/bus";
import {
  type BlobRef,
  DatasetProgress,
  type DatasetView,
  describeFailure,
  ImportReport,
  isFoldEvent,
  isShardEvent,
  isTerminal,
  type Manifest,
  progressSubject,
  RunProgress,
  type RunSpec,
  type RunView,
  subjects,
  type TerminalEvent,
} from "@subtaxa/contracts";
import { DatasetError, readManifest } from "@subtaxa/dataset";
import {
  addUp,
  type Awaited,
  awaited,
  progressIn,
  project,
  type Projection,
  type Tally,
  withAbsent,
  withProgress,
} from "@subtaxa/runs";
import { Cache, Cause, Context, Effect, Exit, Layer, Schedule, Stream, SubscriptionRef } from "effect";
import {
  type DatasetLog,
  failedView,
  importingView,
  isDatasetEvent,
  projectDataset,
  readyView,
  withDatasetProgress,
} from "./dataset_log.ts";

/** What the facts tell about one run. */
export interface RunEntry {
  readonly view: RunView;
  readonly spec: RunSpec;
  /** Its terminal event and the sequence of it. */
  readonly end?: { readonly seq: number; readonly event: TerminalEvent };
}

type Entry = Omit<RunEntry, "view"> & {
  readonly seq: number;
  readonly view: Projection;
  readonly progress?: RunProgress;
  /** Of steps that are spread over instances, by fold. */
  readonly tallies: ReadonlyMap<number, Tally>;
};

const heard = (entry: Entry, said: RunProgress): Entry => {
  const { tally, progress } = addUp(entry.tallies.get(said.fold), said);
  return {
    ...entry,
    progress,
    tallies: tally ? new Map(entry.tallies).set(said.fold, tally) : entry.tallies,
  };
};

/** Whether a blob is lost or damaged for good, not just out of reach. */
const isLasting = ({ reason }: BusError | DatasetError) =>
  !["Unreachable", "Closed", "Refused"].includes(reason._tag);

/** Reads what an import that failed has reported. */
const readReport = (ref: BlobRef): Effect.Effect<ImportReport, BusError | DatasetError, Blobs> =>
  Effect.gen(function* () {
    const bytes = yield* (yield* Blobs).get(ref);
    return yield* Effect.try({
      try: () => ImportReport.parse(JSON.parse(new TextDecoder().decode(bytes))),
      catch: (cause) =>
        new DatasetError({
          reason: { _tag: "ManifestInvalid", source: ref.key },
          message: `${ref.key} is no import report of this version: import the dataset again`,
          cause,
        }),
    });
  });

/**
 * The runs and datasets of the event log, folded in memory: once the layer is built they hold all that could be read by then, save while
 * the bus is silent for seconds; then they are kept up with the stream. Nothing here is stored; the log is the truth.
 */
export class ReadModel extends Context.Service<ReadModel, {
  /** Newest first. */
  readonly runs: Effect.Effect<readonly RunView[]>;
  run(id: string): Effect.Effect<RunEntry | undefined>;
  /** The progress of the whole step that this is progress of. */
  whole(progress: RunProgress): Effect.Effect<RunProgress>;
  /** The folds, of all runs that have not ended, whose next step is a clusterer's. */
  readonly awaited: Effect.Effect<readonly Awaited[]>;
  /** Until when a fold waits for its clusterer, of which no instance is alive; undefined where one is. */
  setPatience(until: (fold: Awaited) => number | undefined): Effect.Effect<void>;
  /** By name. */
  readonly datasets: Effect.Effect<readonly DatasetView[], BusError | DatasetError>;
  dataset(
    name: string,
  ): Effect.Effect<
    { readonly log: DatasetLog; readonly view: DatasetView } | undefined,
    BusError | DatasetError
  >;
  manifest(ref: BlobRef): Effect.Effect<Manifest, BusError | DatasetError>;
  /** What the latest import of a dataset has reported; null where it has ended without a report, or has not ended. */
  report(log: DatasetLog): Effect.Effect<ImportReport | null, BusError | DatasetError>;
  /** Sequence of the newest fact that is part of what the others answer. */
  readonly position: Effect.Effect<number>;
  /** Waits until the fact with this sequence is part of what the others answer; not for ever, should the bus be gone. */
  seen(seq: number): Effect.Effect<void>;
}>()("subtaxa/gateway/ReadModel") {
  static readonly layer = Layer.effect(
    ReadModel,
    Effect.gen(function* () {
      const bus = yield* Bus;
      const blobs = yield* Blobs;
      const { untilReady } = yield* Connection;
      const runs = new Map<string, Entry>();
      const datasets = new Map<string, DatasetLog>();
      let until: (fold: Awaited) => number | undefined = () => undefined;
      const position = yield* SubscriptionRef.make(0);

      const fold = ({ seq, event }: Fact) => {
        if (isDatasetEvent(event)) {
          datasets.set(event.dataset, projectDataset(datasets.get(event.dataset), seq, event));
          return;
        }
        const entry = runs.get(event.runId);
        const view = project(entry?.view, event);
        if (!entry) {
          if (isFoldEvent(event)) runs.set(event.runId, { seq, view, spec: event.spec, tallies: new Map() });
          return;
        }
        if (isShardEvent(event)) {
          runs.set(event.runId, heard(entry, progressIn(event)));
          return;
        }
        const end = entry.end ?? (isTerminal(event) ? { seq, event } : undefined);
        const { seq: first, spec, tallies } = entry;
        runs.set(event.runId, { seq: first, view, spec, tallies, ...(end ? { end } : {}) });
      };
      const apply = (fact: Fact) =>
        Effect.try({ try: () => fold(fact), catch: (cause) => cause }).pipe(
          // such as the end of a run whose first message could not be read
          Effect.catch((cause) =>
            Effect.logWarning(`message ${fact.seq} is left out of the read model: ${cause}`)
          ),
          Effect.andThen(SubscriptionRef.set(position, fact.seq)),
        );
      const follow = Effect.suspend(() =>
        bus.facts({ filter: subjects.all, from: SubscriptionRef.getUnsafe(position) + 1 }).pipe(
          Stream.runForEach(apply),
        )
      );
      const hear = Effect.all([
        bus.listen(progressSubject.run("*"), RunProgress).pipe(
          Stream.runForEach((progress) =>
            Effect.sync(() => {
              const entry = runs.get(progress.runId);
              if (entry) runs.set(progress.runId, heard(entry, progress));
            })
          ),
        ),
        bus.listen(progressSubject.dataset("*"), DatasetProgress).pipe(
          Stream.runForEach((progress) =>
            Effect.sync(() => {
              const log = datasets.get(progress.dataset);
              if (log) datasets.set(log.name, withDatasetProgress(log, progress));
            })
          ),
        ),
      ], { concurrency: "unbounded", discard: true });
      for (const task of [follow, hear]) {
        yield* task.pipe(
          Effect.catchCause((cause) => Effect.logWarning("the read model starts over listening", cause)),
          Effect.repeat(Schedule.spaced("1 second")),
          Effect.forkScoped,
        );
      }

      const reached = (seq: number) =>
        SubscriptionRef.changes(position).pipe(Stream.takeUntil((at) => at >= seq), Stream.runDrain);
      const seen = (seq: number) =>
        reached(seq).pipe(
          Effect.timeoutOrElse({
            duration: "5 seconds",
            orElse: () => Effect.logWarning(`the read model has not seen message ${seq} yet`),
          }),
        );
      const caughtUp = Effect.gen(function* () {
        const newest = yield* untilReady(bus.newest(subjects.all));
        if (!newest) return;
        // one that can't be read is never seen: then stop waiting when nothing comes any more
        for (let before = -1; before < SubscriptionRef.getUnsafe(position);) {
          before = SubscriptionRef.getUnsafe(position);
          yield* reached(newest.seq).pipe(Effect.timeoutOption("3 seconds"));
        }
      });
      yield* caughtUp;

      const reading = <A>(read: (ref: BlobRef) => Effect.Effect<A, BusError | DatasetError, Blobs>) =>
        Effect.map(
          Cache.makeWith(
            (key: string) => Effect.provideService(read(JSON.parse(key) as BlobRef), Blobs, blobs),
            // what a blob says never changes; whether it is there may
            {
              capacity: 16,
              timeToLive: (exit) =>
                Exit.isSuccess(exit) || Cause.squash(exit.cause) instanceof DatasetError
                  ? "1 hour"
                  : "1 second",
            },
          ),
          (cache) => (ref: BlobRef) => Cache.get(cache, JSON.stringify(ref)),
        );
      const manifest = yield* reading(readManifest);
      const failedReport = yield* reading(readReport);

      const report = (log: DatasetLog): Effect.Effect<ImportReport | null, BusError | DatasetError> => {
        const end = log.end?.event;
        if (end?.type === "dataset.imported") return manifest(end.manifest);
        return end?.report ? failedReport(end.report) : Effect.succeed(null);
      };

      const viewOf = (log: DatasetLog): Effect.Effect<DatasetView, BusError | DatasetError> => {
        const end = log.end?.event;
        if (!end) return Effect.succeed(importingView(log));
        return end.type === "dataset.imported"
          ? manifest(end.manifest).pipe(
            Effect.map((manifest) => readyView(log, manifest)),
            Effect.catchIf(isLasting, (error) => Effect.succeed(failedView(log, describeFailure(error)))),
          )
          : report(log).pipe(
            Effect.map((report) => failedView(log, end.error, report ?? undefined)),
            Effect.catchIf(isLasting, (error) => {
              const message = `${end.error.message} (which files were rejected is lost: ${error.message})`;
              return Effect.succeed(failedView(log, { ...end.error, message }));
            }),
          );
      };
      const runView = ({ view, progress }: Entry): RunView =>
        withAbsent(progress ? withProgress(view, progress) : view, until);

      return ReadModel.of({
        runs: Effect.sync(() => [...runs.values()].sort((a, b) => b.seq - a.seq).map(runView)),
        run: (id) =>
          Effect.sync(() => {
            const entry = runs.get(id);
            return entry && { ...entry, view: runView(entry) };
          }),
        whole: (progress) =>
          Effect.sync(() => addUp(runs.get(progress.runId)?.tallies.get(progress.fold), progress).progress),
        awaited: Effect.sync(() => [...runs.values()].flatMap(({ view }) => awaited(view))),
        setPatience: (other) => Effect.sync(() => void (until = other)),
        datasets: Effect.suspend(() =>
          Effect.forEach([...datasets.values()].sort((a, b) => a.name < b.name ? -1 : 1), viewOf)
        ),
        dataset: (name) =>
          Effect.suspend(() => {
            const log = datasets.get(name);
            return log ? viewOf(log).pipe(Effect.map((view) => ({ log, view }))) : Effect.succeed(undefined);
          }),
        manifest,
        report,
        position: SubscriptionRef.get(position),
        seen,
      });
    }),
  );
}
