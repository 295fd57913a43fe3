import { type Blobs, Bus, type BusError, KeyValue } from "@subtaxa/bus";
import {
  CONTRACT_VERSION,
  initialFoldState,
  Name,
  type RunRequest,
  RunSpec,
  specOf,
  subjects,
} from "@subtaxa/contracts";
import type { DatasetError } from "@subtaxa/dataset";
import { Effect } from "effect";
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Clusterers } from "./clusterers.ts";
import { fieldProblem, problem, type ProblemError } from "./problem.ts";
import { ReadModel } from "./read_model.ts";
import { checkClusterer } from "./check_clusterer.ts";
import { checkMessages } from "./event_size.ts";
import type { Settings } from "./settings.ts";
import { checkSettings, checkSides, settleViews } from "./settings_check.ts";
import { pretrainedOf } from "./weights.ts";
import { checkSplits } from "./splits.ts";

/** How long an Idempotency-Key is remembered, milliseconds. */
export const KEY_LIFETIME = 24 * 60 * 60 * 1000;

/** What a request comes to; kept under its Idempotency-Key, so that a repetition is told and does the same. */
const Start = z.object({
  id: Name,
  at: z.iso.datetime(),
  /** Of the request, after defaults. */
  digest: z.string(),
  spec: RunSpec,
});
type Start = z.infer<typeof Start>;

const digestOf = (text: string) => createHash("sha256").update(text).digest("hex");

/** Sorts by time and is easy to read out: `20260105-093000-k3v9q2xf`. */
const newRunId = (at: Date): string => {
  const time = at.toISOString().replaceAll(/[-:]|\..*/g, "").replace("T", "-");
  const random = crypto.getRandomValues(new Uint8Array(8));
  return `${time}-${Array.from(random, (byte) => (byte % 36).toString(36)).join("")}`;
};

const pinnedSpec = (
  request: RunRequest,
): Effect.Effect<
  RunSpec,
  ProblemError | BusError | DatasetError,
  ReadModel | Clusterers | Bus | Blobs | Settings
> =>
  Effect.gen(function* () {
    const model = yield* ReadModel;
    const name = request.dataset;
    const dataset = yield* model.dataset(name);
    if (!dataset) {
      return yield* fieldProblem(
        "unknown-dataset",
        "dataset",
        `there is no dataset '${name}': import it first`,
      );
    }
    const { view, log } = dataset;
    if (view.state === "importing") {
      return yield* problem("dataset-busy", `dataset '${name}' is being imported: wait until that has ended`);
    }
    const end = log.end?.event;
    if (view.state === "failed" || end?.type !== "dataset.imported") {
      return yield* problem(
        "dataset-failed",
        `no run can be started on the dataset '${name}': ${view.error?.message}`,
      );
    }
    const manifest = yield* model.manifest(end.manifest);
    yield* checkSplits(manifest, request);
    yield* checkSettings(request);
    const views = yield* settleViews(request, manifest.images.length);
    const spec = specOf({ ...request, views }, { manifest: end.manifest, classes: manifest.classes });
    yield* checkSides(manifest, view.maxSide, spec);
    yield* checkMessages(spec, manifest.images.length);
    yield* checkClusterer(spec);
    return { ...spec, pretrained: yield* pretrainedOf(request) };
  });

/** Publishes the folds, those that are not in the log yet; `fresh`: none can be. */
const publishFolds = ({ id, at, spec }: Start, fresh: boolean) =>
  Effect.gen(function* () {
    const bus = yield* Bus;
    let last = 0;
    for (let fold = 0; fold < spec.folds; fold++) {
      if (!fresh && (yield* bus.newest(subjects.fold(id, fold)))) continue;
      const { seq } = yield* bus.publish({
        type: "run.requested",
        v: CONTRACT_VERSION,
        at,
        runId: id,
        fold,
        epoch: 0,
        spec,
        state: initialFoldState(spec.classes),
      });
      last = seq;
    }
    yield* (yield* ReadModel).seen(last);
  });

/**
 * Starts a run and returns its id once it can be read back. The same key and request start it once, whoever asks, however
 * often and at whatever time within a day; a repetition also finishes what a crash had left half done.
 */
export const startRun = (
  request: RunRequest,
  key: string | undefined,
): Effect.Effect<
  string,
  ProblemError | BusError | DatasetError,
  ReadModel | Clusterers | Bus | KeyValue | Blobs | Settings
> =>
  Effect.gen(function* () {
    const digest = digestOf(JSON.stringify(request)); // parsed, so its fields are in the schema's order
    const kv = yield* KeyValue;
    const entry = key === undefined ? null : `runs.${digestOf(key)}`;
    let standing = entry && (yield* kv.get(entry));
    if (!standing) {
      const at = new Date();
      const start: Start = {
        id: newRunId(at),
        at: at.toISOString(),
        digest,
        spec: yield* pinnedSpec(request),
      };
      standing = JSON.stringify(start);
      if (entry) standing = yield* kv.claim(entry, standing);
      if (standing === JSON.stringify(start)) {
        yield* publishFolds(start, true);
        return start.id;
      }
    }
    const start = Start.parse(JSON.parse(standing));
    if (start.digest !== digest) {
      return yield* problem(
        "key-reused",
        `this Idempotency-Key started the run ${start.id} with another body: use a new key for a new run`,
      );
    }
    yield* publishFolds(start, false);
    return start.id;
  });
