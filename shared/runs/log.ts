import {
  type BlobRef,
  type EpochView,
  type Event,
  type EventOf,
  isFoldEvent,
  isShardEvent,
  isTerminal,
  type RunSpec,
  type TerminalEvent,
} from "@subtaxa/contracts";
import { foreign, noStart } from "./error.ts";
import { isNewer, placeOf } from "./order.ts";

/** The facts of one epoch of one fold; those still to come, or that its method doesn't have, are absent. */
export interface LoggedEpoch {
  readonly fold: number;
  readonly epoch: number;
  readonly trained: EventOf<"epoch.trained">;
  readonly validated?: EventOf<"epoch.validated">;
  readonly planned?: EventOf<"adaptation.planned">;
  readonly extracted?: EventOf<"features.extracted">;
  readonly relabelled?: EventOf<"dataset.relabelled">;
}

export interface ValidatedEpoch extends LoggedEpoch {
  readonly validated: EventOf<"epoch.validated">;
}

export interface LoggedFold {
  readonly fold: number;
  /** In order, from 1. */
  readonly epochs: readonly LoggedEpoch[];
  readonly completed?: EventOf<"fold.completed">;
}

/** One run as its events tell it. */
export interface RunLog {
  readonly id: string;
  readonly spec: RunSpec;
  readonly createdAt: string;
  /** By number. */
  readonly folds: readonly LoggedFold[];
  readonly end?: TerminalEvent;
  /** Every fact that counts, in stream order: no repetitions, no shards, nothing after the end. */
  readonly events: readonly Event[];
}

const factNames = {
  "epoch.trained": "trained",
  "epoch.validated": "validated",
  "adaptation.planned": "planned",
  "features.extracted": "extracted",
  "dataset.relabelled": "relabelled",
} as const;

/**
 * Orders a run's events by fold and epoch. Repetitions and whatever follows the run's end are left out, as in `project`.
 * Throws `RunLogError` when they aren't the log of one run.
 */
export const runLog = (events: Iterable<Event>): RunLog => {
  const accepted: Event[] = [];
  const folds = new Map<
    number,
    { newest: number; epochs: LoggedEpoch[]; completed?: LoggedFold["completed"] }
  >();
  let start: { runId: string; spec: RunSpec; at: string } | undefined;
  let end: TerminalEvent | undefined;
  for (const event of events) {
    const subject = "dataset" in event ? event.dataset : event.runId;
    if (start === undefined) {
      if (!isFoldEvent(event)) throw noStart(`${event.type} of '${subject}' comes first`);
      start = event;
    }
    if ("dataset" in event || event.runId !== start.runId) throw foreign(start.runId, subject);
    if (end !== undefined || isShardEvent(event)) continue;
    if (!isFoldEvent(event)) {
      if (isTerminal(event)) end = event;
      accepted.push(event);
      continue;
    }
    const fold = folds.get(event.fold);
    if (!isNewer(event, fold?.newest)) continue;
    accepted.push(event);
    const epochs = fold?.epochs ?? [];
    const completed = event.type === "fold.completed" ? event : fold?.completed;
    folds.set(event.fold, { newest: placeOf(event), epochs, ...(completed && { completed }) });
    if (event.type === "epoch.trained") {
      epochs.push({ fold: event.fold, epoch: event.epoch, trained: event });
    } else if (event.type in factNames) {
      const name = factNames[event.type as keyof typeof factNames];
      const last = epochs.at(-1);
      if (last?.epoch === event.epoch) epochs[epochs.length - 1] = { ...last, [name]: event };
    }
  }
  if (start === undefined) throw noStart("no event at all");
  return {
    id: start.runId,
    spec: start.spec,
    createdAt: start.at,
    folds: [...folds].sort(([a], [b]) => a - b)
      .map(([fold, { epochs, completed }]) => ({ fold, epochs, ...(completed && { completed }) })),
    ...(end && { end }),
    events: accepted,
  };
};

export const isValidated = (epoch: LoggedEpoch): epoch is ValidatedEpoch => epoch.validated !== undefined;

/** Per class, how many sub-classes the epoch was trained on, and its limit after the adaptation that followed. */
export const clustersOf = (epoch: LoggedEpoch): { class: string; found: number; allowed: number }[] => {
  const after = (epoch.relabelled ?? epoch.planned ?? epoch.validated ?? epoch.trained).state.classes;
  return epoch.trained.state.classes.map(({ name, clusters }, i) => ({
    class: name,
    found: clusters,
    allowed: after[i]!.allowedClusters,
  }));
};

/** The pseudo-labels that the epoch was trained on; null while every class was whole. */
export const labelsOf = (epoch: LoggedEpoch): BlobRef | null => epoch.trained.state.labels;

/** The versions of the clusterer that have relabelled, in the order of their first facts; `unknown`: one that does not say. */
export const clustererVersionsOf = ({ events }: RunLog): string[] => [
  ...new Set(
    events.flatMap((event) =>
      event.type === "dataset.relabelled" ? [event.clusterer?.version ?? "unknown"] : []
    ),
  ),
];

/** What the API shows of the relabelling after an epoch. */
export const relabellingView = (
  relabelled: EventOf<"dataset.relabelled"> | undefined,
): Pick<EpochView, "agreement" | "clustererVersion"> =>
  relabelled
    ? {
      agreement: relabelled.agreement,
      ...(relabelled.clusterer && { clustererVersion: relabelled.clusterer.version }),
    }
    : {};

/** What the API shows of an epoch's triplets. */
const tripletsView = (
  { activeTriplets, positiveDistance, negativeDistance }: EventOf<"epoch.trained">["training"],
): Pick<EpochView, "activeTriplets" | "positiveDistance" | "negativeDistance"> => ({
  ...(activeTriplets !== undefined && { activeTriplets }),
  ...(positiveDistance !== undefined && { positiveDistance }),
  ...(negativeDistance !== undefined && { negativeDistance }),
});

/** The epoch as the API shows it. */
export const epochView = (epoch: ValidatedEpoch): EpochView => {
  const { trained, validated, relabelled } = epoch;
  const clusters = clustersOf(epoch);
  return {
    fold: epoch.fold,
    epoch: epoch.epoch,
    loss: trained.training.loss,
    validationLoss: validated.loss,
    ...tripletsView(trained.training),
    ...validated.metrics,
    clusters: Object.fromEntries(clusters.map(({ class: name, found }) => [name, found])),
    falseNegatives: Object.fromEntries(
      validated.spec.classes.map((name, i) => [name, validated.falseNegatives[i] ?? 0]),
    ),
    allowedClusters: Object.fromEntries(clusters.map(({ class: name, allowed }) => [name, allowed])),
    ...relabellingView(relabelled),
    seconds: trained.training.seconds,
  };
};
