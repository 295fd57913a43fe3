import {
  type FoldEvent,
  type RunProgress,
  type RunSpec,
  startsWithClusters,
  usesClustering,
} from "@subtaxa/contracts";

const waiting = (spec: RunSpec) =>
  startsWithClusters(spec) ? "dividing every class" : "waiting for a trainer";

/** What a fold does or waits for after this fact, in words. */
export const stepAfter = (event: FoldEvent): string => {
  switch (event.type) {
    case "run.requested":
      return event.spec.freeze === "backbone"
        ? "waiting for the frozen backbone's features"
        : waiting(event.spec);
    case "backbone.extracted":
      return waiting(event.spec);
    case "epoch.trained":
      return `validating epoch ${event.epoch}`;
    case "epoch.validated":
      if (event.converged) return "scoring the held-out images";
      return usesClustering(event.spec.method)
        ? `adapting the allowed clusters after epoch ${event.epoch}`
        : `training epoch ${event.epoch + 1}`;
    case "adaptation.planned":
      return `extracting features of ${counted(event.classes.length, "class", "classes")}`;
    case "features.extracted":
      return "splitting classes";
    case "dataset.relabelled":
      return `training epoch ${event.epoch + 1}`;
    case "fold.completed":
      return "writing the report";
  }
};

/** The latest epoch that has begun or ended with this fact. */
export const epochAfter = (event: FoldEvent): number => {
  const goesOn = event.type === "dataset.relabelled" ||
    event.type === "epoch.validated" && !event.converged && !usesClustering(event.spec.method);
  return goesOn ? event.epoch + 1 : event.epoch;
};

const progressWords: Record<RunProgress["step"], (progress: RunProgress) => string> = {
  backbone: () => "extracting the frozen backbone's features",
  train: ({ epoch }) => `training epoch ${epoch}`,
  validate: ({ epoch }) => `validating epoch ${epoch}`,
  extract: () => "extracting features",
  cluster: () => "splitting classes",
  score: () => "scoring the held-out images",
};

/** What a fold does at present, in words: `training epoch 3 (batch 37 of 310)`. */
export const stepDuring = (progress: RunProgress): string => {
  const { step, done, total, splitting } = progress;
  const unit = step === "cluster" ? "class" : "batch";
  const names = splitting?.length ? `: ${splitting.join(", ")}` : "";
  return `${progressWords[step](progress)} (${unit} ${done} of ${total})${names}`;
};

/** The fact that ends a step: progress of a step that has ended comes late. */
export const endsStep = {
  backbone: "backbone.extracted",
  train: "epoch.trained",
  validate: "epoch.validated",
  extract: "features.extracted",
  cluster: "dataset.relabelled",
  score: "fold.completed",
} as const satisfies Record<RunProgress["step"], FoldEvent["type"]>;

/** Names the fold where there are several. */
export const ofFold = (spec: Pick<RunSpec, "folds">, fold: number, step: string): string =>
  spec.folds > 1 ? `fold ${fold}: ${step}` : step;

const counted = (count: number, one: string, many: string) => `${count} ${count === 1 ? one : many}`;
