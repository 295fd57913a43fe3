import { Bus } from "@subtaxa/bus";
import {
  type BlobRef,
  CONTRACT_VERSION,
  type Event,
  following,
  initialFoldState,
  type Metrics,
  type RunSpec,
} from "@subtaxa/contracts";
import { Effect } from "effect";
import { fieldProblem, type ProblemError } from "./problem.ts";

/** As long as a number gets in JSON. */
const long = -1.2345678901234567e-100;
const blob: BlobRef = { key: "x".repeat(200), sha256: "0".repeat(64), bytes: 1e15 };
const metrics: Metrics = {
  ...{ accuracy: long, precision: long, recall: long, fScore: long, perfectClasses: long },
  ...{ falseNegativeVariance: long, falsePositiveVariance: long },
  ...{ falsePositiveRateVariance: long, falseDiscoveryRateVariance: long },
};
/** What the headers of a message take, generously. */
const HEADERS = 4096;

/**
 * Bytes that no message of a run exceeds, for a data set of so many images. The largest is `epoch.validated`: its confusion
 * matrix has the square of the number of classes as entries.
 */
export const largestMessage = (spec: RunSpec, images: number): number => {
  const { classes } = spec;
  const start = initialFoldState(classes);
  const cause: Event = {
    ...{ type: "run.requested", v: CONTRACT_VERSION, at: new Date(0).toISOString() },
    ...{ runId: "x".repeat(64), fold: 99, epoch: 99_999 },
    spec: { ...spec, pretrained: blob },
    state: {
      ...{ checkpoint: blob, optimizer: blob, labels: blob, frozen: blob },
      classes: start.classes.map((one) => ({ ...one, allowedClusters: 99, clusters: 99 })),
      best: { epoch: 99_999, fScore: long, checkpoint: blob, labels: blob },
    },
  };
  const validated: Event = {
    ...following(cause),
    ...{ type: "epoch.validated", at: cause.at, loss: long, metrics, converged: "patience" },
    confusion: classes.map(() => classes.map(() => 0)),
    falseNegatives: classes.map(() => long),
  };
  const moreDigits = images / 10; // a count has a second digit from 10 images on, a third from 100
  return new TextEncoder().encode(JSON.stringify(validated)).length + moreDigits + HEADERS;
};

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

/** Refuses a run whose events NATS wouldn't take, which would show only after its first epoch. */
export const checkMessages = (spec: RunSpec, images: number): Effect.Effect<void, ProblemError, Bus> =>
  Effect.gen(function* () {
    const limit = yield* (yield* Bus).maxPayload;
    const bytes = largestMessage(spec, images);
    if (bytes <= limit) return;
    yield* fieldProblem(
      "too-many-classes",
      "dataset",
      `with its ${spec.classes.length} classes, events of the run have up to ${
        megabytes(bytes)
      } (the confusion matrix ` +
        `grows with their square), and the NATS server takes ${
          megabytes(limit)
        }: raise its max_payload, or import ` +
        "again with a higher minClassImages to leave small classes out",
    );
  });
