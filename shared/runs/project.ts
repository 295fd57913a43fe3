import {
  type EpochView,
  type Event,
  type EventOf,
  type FoldEvent,
  isFoldEvent,
  isShardEvent,
  routeOf,
  type RunProgress,
  RunSettings,
  type RunView,
  type TerminalEvent,
  usesClustering,
} from "@subtaxa/contracts";
import { foreign, noStart } from "./error.ts";
import { epochView, relabellingView } from "./log.ts";
import { isNewer, placeOf } from "./order.ts";
import { endsStep, epochAfter, ofFold, stepAfter, stepDuring } from "./steps.ts";

/** What later facts of a fold need of the earlier ones, beyond the view. */
interface FoldMemory {
  /** Place of its newest fact. */
  readonly newest: number;
  /** Trained, not validated yet. */
  readonly trained?: EventOf<"epoch.trained">;
  /** Epochs validated so far, and whether more are to come. */
  readonly epochs: number;
  readonly ended: boolean;
  readonly completed: boolean;
  /** The clusterer that acts next, if one does, and since when it could. */
  readonly clusterer?: string;
  readonly since: string;
}

const memory = Symbol("subtaxa/runs/memory");

/**
 * A run's view, and under a symbol, so that it never shows in JSON, what the next event needs. A view that was read back from
 * JSON can't be continued: fold the log from its beginning.
 */
export interface Projection extends RunView {
  readonly [memory]: {
    /** When the first epoch began; milliseconds. */
    readonly begun?: number;
    readonly folds: Readonly<Record<number, FoldMemory>>;
  };
}

const seconds = (from: number, to: string) => Math.max(0, (Date.parse(to) - from) / 1000);

const requested = ({ runId, spec, at, state }: FoldEvent, step: string): Projection => ({
  id: runId,
  state: "queued",
  dataset: spec.dataset,
  method: spec.method,
  ...(usesClustering(spec.method) &&
    { clusterer: { name: spec.clusterer, parameters: spec.parameters, versions: [] } }),
  backbone: spec.backbone,
  imageSize: spec.imageSize,
  seed: spec.seed,
  folds: spec.folds,
  epoch: 0,
  epochs: spec.epochs,
  epochsDone: 0,
  step,
  createdAt: at,
  classes: state.classes.map(({ name, allowedClusters, clusters }) => ({
    name,
    falseNegative: 0,
    allowedClusters,
    clusters,
  })),
  history: [],
  settings: RunSettings.parse(spec),
  [memory]: { folds: {} },
});

const ended = (view: Projection, event: TerminalEvent): Projection => {
  const { secondsLeft: _, ...rest } = view;
  const end = { ...rest, finishedAt: event.at };
  switch (event.type) {
    case "run.completed":
      return { ...end, state: "completed", step: "completed", metrics: event.metrics };
    case "run.failed":
      return { ...end, state: "failed", step: "failed", error: event.error };
    case "run.cancelled":
      return { ...end, state: "cancelled", step: "cancelled" };
  }
};

/** The history after this fact: an epoch enters it when validated; its relabelling completes it. */
const historyAfter = (history: EpochView[], event: FoldEvent, fold: FoldMemory | undefined): EpochView[] => {
  if (event.type === "epoch.validated" && fold?.trained?.epoch === event.epoch) {
    const { trained } = fold;
    return [...history, epochView({ fold: event.fold, epoch: event.epoch, trained, validated: event })];
  }
  if (event.type !== "adaptation.planned" && event.type !== "dataset.relabelled") return history;
  const allowedClusters = Object.fromEntries(
    event.state.classes.map(({ name, allowedClusters }) => [name, allowedClusters]),
  );
  return history.map((epoch) =>
    epoch.fold !== event.fold || epoch.epoch !== event.epoch ? epoch : {
      ...epoch,
      allowedClusters,
      ...(event.type === "dataset.relabelled" && relabellingView(event)),
    }
  );
};

/** With what whoever has relabelled says of itself. */
const clustererAfter = (clusterer: RunView["clusterer"], event: FoldEvent): Pick<RunView, "clusterer"> => {
  if (!clusterer) return {};
  const by = event.type === "dataset.relabelled" ? event.clusterer : undefined;
  if (!by) return { clusterer };
  const { name, parameters, versions } = clusterer;
  return {
    clusterer: {
      name,
      parameters: by.parameters ?? parameters,
      versions: versions.includes(by.version) ? versions : [...versions, by.version],
    },
  };
};

/** The classes as the fold of the newest fact has them. */
const classesAfter = (view: RunView, history: readonly EpochView[], event: FoldEvent): RunView["classes"] => {
  const validated = history.findLast(({ fold }) => fold === event.fold);
  return event.state.classes.map(({ name, allowedClusters, clusters }, i) => ({
    name,
    falseNegative: validated?.falseNegatives[name] ??
      view.classes[i]?.falseNegative ?? 0,
    allowedClusters,
    clusters,
  }));
};

const foldAfter = (event: FoldEvent, fold: FoldMemory | undefined): FoldMemory => ({
  newest: placeOf(event),
  epochs: event.type === "epoch.validated" ? event.epoch : fold?.epochs ?? 0,
  ended: fold?.ended === true || event.type === "epoch.validated" && event.converged !== null,
  completed: event.type === "fold.completed",
  since: event.at,
  ...(routeOf(event) === event.spec.clusterer && { clusterer: event.spec.clusterer }),
  ...(event.type === "epoch.trained" && { trained: event }),
});

const advanced = (view: Projection, event: FoldEvent): Projection => {
  const { spec } = event;
  const before = view[memory].folds[event.fold];
  const folds = { ...view[memory].folds, [event.fold]: foldAfter(event, before) };
  const begun = view[memory].begun ??
    (event.type === "epoch.trained" ? Date.parse(event.at) - event.training.seconds * 1000 : undefined);
  const history = historyAfter(view.history, event, before);
  const numbers = Array.from({ length: spec.folds }, (_, fold) => fold);
  const done = numbers.filter((fold) => folds[fold]?.completed).length;
  const left = numbers.map((fold) => folds[fold])
    .reduce((sum, fold) => sum + (fold?.ended ? 0 : spec.epochs - (fold?.epochs ?? 0)), 0);
  return {
    ...view,
    state: event.type === "run.requested" ? view.state : "running",
    epoch: Math.max(view.epoch, epochAfter(event)),
    step: event.type === "fold.completed" && done < spec.folds
      ? `${done} of ${spec.folds} folds completed`
      : event.type === "fold.completed" || event.type === "run.requested" && view.state === "queued"
      ? stepAfter(event)
      : ofFold(spec, event.fold, stepAfter(event)),
    ...(event.type === "epoch.validated" && begun !== undefined && history.length > 0 && {
      secondsLeft: seconds(begun, event.at) / history.length * left,
    }),
    ...clustererAfter(view.clusterer, event),
    classes: classesAfter(view, history, event),
    history,
    epochsDone: history.length,
    [memory]: { folds, ...(begun !== undefined && { begun }) },
  };
};

/**
 * The run's view after one more event of its log: a pure fold, in stream order. The first terminal event wins, and whatever
 * comes after it changes nothing; nor does a fact that was delivered twice. `classes` are those of the newest fact's fold;
 * `secondsLeft` extrapolates the time per epoch so far, however many folds run side by side. Throws `RunLogError` for an
 * event that isn't this run's, and for a log that begins with its end.
 */
export const project = (previous: Projection | undefined, event: Event): Projection => {
  const subject = "dataset" in event ? event.dataset : event.runId;
  if (previous !== undefined && ("dataset" in event || event.runId !== previous.id)) {
    throw foreign(previous.id, subject);
  }
  if (isShardEvent(event)) {
    if (previous === undefined) throw noStart(`${event.type} of '${subject}'`);
    return previous; // how a step's work is spread is no part of a run's story
  }
  if (!isFoldEvent(event)) {
    if (previous === undefined || "dataset" in event) throw noStart(`${event.type} of '${subject}'`);
    return previous.finishedAt === undefined ? ended(previous, event) : previous;
  }
  const view = previous ?? requested(event, stepAfter(event));
  if (view.finishedAt !== undefined) return view;
  return isNewer(event, view[memory].folds[event.fold]?.newest) ? advanced(view, event) : view;
};

/** Folds the whole log of one run. Throws `RunLogError` for an empty one, or as `project` does. */
export const projectAll = (events: Iterable<Event>): Projection => {
  let view: Projection | undefined;
  for (const event of events) view = project(view, event);
  if (view === undefined) throw noStart("no event at all");
  return view;
};

/**
 * The view with the progress of the step at hand. Progress may be lost or come late: that of a step that has ended, or of
 * a run that has, changes nothing, and the next event replaces it.
 */
export const withProgress = (view: Projection, progress: RunProgress): Projection => {
  const newest = view[memory].folds[progress.fold]?.newest;
  const end = placeOf({ type: endsStep[progress.step], epoch: progress.epoch });
  if (view.finishedAt !== undefined || progress.runId !== view.id || newest !== undefined && newest >= end) {
    return view;
  }
  return {
    ...view,
    state: "running",
    epoch: Math.max(view.epoch, progress.epoch),
    step: ofFold(view, progress.fold, stepDuring(progress)),
  };
};

/** A fold whose next step is a clusterer's. */
export interface Awaited {
  readonly runId: string;
  readonly fold: number;
  readonly clusterer: string;
  /** When the fact was published that the clusterer acts on. */
  readonly since: string;
}

/** The folds of a run that has not ended whose next step is a clusterer's. */
export const awaited = (view: Projection): Awaited[] =>
  view.finishedAt !== undefined
    ? []
    : Object.entries(view[memory].folds).flatMap(([fold, { clusterer, since }]) =>
      clusterer === undefined ? [] : [{ runId: view.id, fold: Number(fold), clusterer, since }]
    );

/**
 * The view where nobody serves some clusterers: a run that waits for one of them says so, and until when, instead of how long
 * it takes. `until`: when a fold's patience ends, milliseconds; undefined where its clusterer is alive.
 */
export const withAbsent = (view: Projection, until: (fold: Awaited) => number | undefined): Projection => {
  const [first] = awaited(view).flatMap((fold) => {
    const end = until(fold);
    return end === undefined ? [] : [{ ...fold, end }];
  }).toSorted((a, b) => a.end - b.end);
  if (!first) return view;
  const { secondsLeft: _, ...rest } = view;
  const step = `waiting for the clusterer '${first.clusterer}': no instance is alive`;
  return { ...rest, step: ofFold(view, first.fold, step), waitsUntil: new Date(first.end).toISOString() };
};
