/** For tests: the event log of a made-up run. */
import {
  type BlobRef,
  type ClassState,
  CONTRACT_VERSION,
  type Event,
  type FoldEvent,
  type FoldState,
  initialFoldState,
  RunRequest,
  specOf,
  usesClustering,
  usesTriplets,
} from "@subtaxa/contracts";
import { falseNegativesOf, meanMetrics, metricsOf } from "@subtaxa/metrics";
import { random as randomOf } from "@subtaxa/random";

/** What a made-up run looks like; everything else of the request has its default. */
export interface SyntheticRun extends Partial<RunRequest> {
  readonly runId?: string;
  readonly classes: readonly string[];
  /** Images per class in each evaluated part. */
  readonly support?: number;
}

const blobOf = (...name: (string | number)[]): BlobRef => {
  const key = name.join("-");
  const sha256 = Array.from({ length: 64 }, (_, i) => (key.charCodeAt(i % key.length) * (i + 7)) % 16)
    .map((digit) => digit.toString(16)).join("");
  return { key, sha256, bytes: key.length * 1000 };
};

/**
 * The event log of a run that never was, complete and in order, its folds interleaved: for tests and for looking at what is
 * made of a log. Deterministic in `seed`. Recognition improves from epoch to epoch, each class at its own pace, and is
 * better for a class of several views once it is divided into them; limits follow Algorithm 1.
 */
export const syntheticRun = (run: SyntheticRun): Event[] => {
  const { runId = "made-up", classes, support = 40, ...request } = run;
  const spec = specOf(RunRequest.parse({ dataset: "made-up", epochs: 16, ...request }), {
    manifest: blobOf("manifest"),
    classes: [...classes],
  });
  const { next: random } = randomOf(spec.seed);
  const traits = classes.map((_, i) => ({
    views: random() < 0.4 ? 2 + Math.floor(random() * 3) : 1,
    ceiling: 0.5 + 0.5 * random(),
    pace: 2 + 4 * random(),
    support: Math.max(1, Math.round(support * (0.5 + random()))),
    /** Whom it is mostly taken for. */
    twin: (i + 1 + Math.floor(random() * 3)) % classes.length,
  }));

  const confusionAt = (epoch: number, states: readonly ClassState[]) =>
    traits.map((trait, i) => {
      const divided = Math.min(states[i]!.clusters, trait.views) / trait.views;
      const chance = trait.ceiling * (0.7 + 0.3 * divided) * (1 - Math.exp(-epoch / trait.pace));
      const row = classes.map(() => 0);
      for (let n = 0; n < trait.support; n++) {
        const missed = random() < 0.7 ? trait.twin : Math.floor(random() * classes.length);
        row[random() < chance ? i : missed]!++;
      }
      return row;
    });

  const adapted = (state: ClassState, falseNegative: number): ClassState => {
    if (falseNegative <= spec.confusionThreshold) return state;
    const allowedClusters = state.flag === 0
      ? Math.min(spec.maxClusters, state.allowedClusters + 1)
      : Math.max(1, state.allowedClusters - 1);
    const flag = allowedClusters === spec.maxClusters ? 1 : allowedClusters === 1 ? 0 : state.flag;
    return { ...state, allowedClusters, flag };
  };

  /** The chain of one fold; `at` is set when the folds are interleaved. */
  const foldEvents = function* (fold: number): Generator<FoldEvent> {
    let state: FoldState = initialFoldState(classes);
    const fact = (epoch: number) => ({ v: CONTRACT_VERSION as 1, at: "", runId, fold, epoch, spec, state });
    yield { type: "run.requested", ...fact(0) };
    for (let epoch = 1;; epoch++) {
      const crossEntropy = 0.3 + 2.3 * Math.exp(-epoch / 5) + 0.05 * random();
      const triplet = 0.25 + 0.1 * random();
      const optimizer = blobOf("optimizer", fold, epoch);
      state = { ...state, checkpoint: blobOf("checkpoint", fold, epoch), optimizer };
      yield {
        type: "epoch.trained",
        ...fact(epoch),
        training: {
          crossEntropy,
          loss: usesTriplets(spec.method) ? crossEntropy + triplet : crossEntropy,
          ...(usesTriplets(spec.method) &&
            { triplet, activeTriplets: 1, positiveDistance: 0.9, negativeDistance: 0.8 }),
          images: traits.reduce((sum, trait) => sum + trait.support * 7, 0),
          seconds: 6 + random(),
          subclasses: state.classes.reduce((sum, { clusters }) => sum + clusters, 0),
        },
      };
      const confusion = confusionAt(epoch, state.classes);
      const metrics = metricsOf(confusion);
      if (state.best === null || metrics.fScore >= state.best.fScore + spec.minImprovement) {
        const best = { epoch, fScore: metrics.fScore, checkpoint: state.checkpoint!, labels: state.labels };
        state = { ...state, best };
      }
      const converged = epoch >= spec.epochs
        ? "epochs"
        : epoch - state.best!.epoch >= spec.patience
        ? "patience"
        : null;
      const falseNegatives = falseNegativesOf(confusion);
      yield {
        type: "epoch.validated",
        ...fact(epoch),
        loss: crossEntropy + 0.1 + 0.2 * random(),
        metrics,
        confusion,
        falseNegatives,
        converged,
      };
      if (converged !== null) {
        const confusion = confusionAt(state.best!.epoch, state.classes);
        yield {
          type: "fold.completed",
          ...fact(epoch),
          confusion,
          metrics: metricsOf(confusion),
          predictions: blobOf("predictions", fold),
        };
        return;
      }
      if (!usesClustering(spec.method)) continue;
      const planned = state.classes.map((one, i) => adapted(one, falseNegatives[i]!));
      state = { ...state, classes: planned };
      const divisible = planned.filter(({ allowedClusters }) => allowedClusters > 1).map(({ name }) => name);
      yield { type: "adaptation.planned", ...fact(epoch), classes: divisible };
      const made = { features: blobOf("features", fold, epoch), images: blobOf("images", fold) };
      yield { type: "features.extracted", ...fact(epoch), ...made };
      const relabelled = planned.map((one, i) => ({
        ...one,
        clusters: Math.min(one.allowedClusters, traits[i]!.views + (random() < 0.1 ? 1 : 0)),
      }));
      const changes = relabelled.flatMap(({ name, clusters }, i) =>
        clusters === planned[i]!.clusters ? [] : [{ class: name, from: planned[i]!.clusters, to: clusters }]
      );
      const whole = relabelled.every(({ clusters }) => clusters === 1);
      state = { ...state, classes: relabelled, labels: whole ? null : blobOf("labels", fold, epoch) };
      const clusterer = { name: spec.clusterer, version: "1.0.0" };
      yield {
        type: "dataset.relabelled",
        ...fact(epoch),
        changes,
        agreement: 0.6 + 0.4 * random(),
        clusterer,
      };
    }
  };

  let now = Date.UTC(2026, 0, 5, 9);
  const tick = (seconds: number) => new Date(now += seconds * 1000).toISOString();
  const events: Event[] = [];
  let running = Array.from({ length: spec.folds }, (_, fold) => foldEvents(fold));
  while (running.length > 0) {
    const fold = running[Math.floor(random() * running.length)]!;
    const { value, done } = fold.next();
    if (done) running = running.filter((other) => other !== fold);
    else events.push({ ...value, at: tick(value.type === "epoch.trained" ? 7 : 1) });
  }
  const folds = events.filter((event) => event.type === "fold.completed");
  const metrics = meanMetrics(folds.map((fold) => fold.metrics));
  const end = { v: CONTRACT_VERSION as 1, at: tick(2), runId, metrics, report: blobOf("report") };
  return [...events, { type: "run.completed", ...end }];
};
