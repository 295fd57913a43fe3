import { expect } from "expect";
import {
  CONTRACT_VERSION,
  divide,
  Event,
  type EventOf,
  type EventType,
  following,
  initialFoldState,
  isFoldEvent,
  isShardEvent,
  isShardOf,
  messageId,
  Name,
  routeOf,
  RunRequest,
  specOf,
  Spread,
  subjectOf,
  subjects,
} from "./mod.ts";

const blob = { key: "sha256-00", sha256: "0".repeat(64), bytes: 1 };
const classes = ["a", "b"];
const metrics = {
  accuracy: 1,
  precision: 1,
  recall: 1,
  fScore: 1,
  falseNegativeVariance: 0,
  falsePositiveVariance: 0,
  falsePositiveRateVariance: 0,
  falseDiscoveryRateVariance: 0,
  perfectClasses: 2,
};

/** One event of every type, as a run with the given settings would publish them. */
const everyEvent = (settings: object = {}): Event[] => {
  const v: typeof CONTRACT_VERSION = CONTRACT_VERSION;
  const head = { v, at: "2026-01-01T00:00:00.000Z" };
  const requested: EventOf<"run.requested"> = {
    ...head,
    type: "run.requested",
    runId: "r",
    fold: 2,
    epoch: 0,
    spec: specOf(RunRequest.parse({ dataset: "d", ...settings }), { manifest: blob, classes }),
    state: initialFoldState(classes),
  };
  const next = { ...following(requested), at: head.at, epoch: 3 };
  const training = { loss: 1, crossEntropy: 1, images: 10, seconds: 1, subclasses: 2 };
  const validated: Omit<EventOf<"epoch.validated">, "converged"> = {
    ...next,
    type: "epoch.validated",
    loss: 1,
    metrics,
    confusion: [[1, 0], [0, 1]],
    falseNegatives: [0, 0],
  };
  return [
    requested,
    { ...next, type: "epoch.trained", training },
    { ...validated, converged: null },
    { ...validated, converged: "patience" },
    { ...next, type: "adaptation.planned", classes },
    { ...next, type: "features.extracted", features: blob, images: blob },
    { ...next, type: "dataset.relabelled", changes: [], agreement: 1 },
    { ...next, type: "fold.completed", metrics, confusion: [[1, 0], [0, 1]], predictions: blob },
    {
      ...{ ...head, type: "shard.advanced", runId: "r", fold: 2, epoch: 3, of: "epoch.validated", shard: 4 },
      ...{ division: divide(900, 6), portions: [blob], by: "host-1" },
    },
    { ...head, type: "run.completed", runId: "r", metrics, report: blob },
    { ...head, type: "run.failed", runId: "r", error: { tag: "A/B", message: "m" } },
    { ...head, type: "run.cancelled", runId: "r" },
    {
      ...head,
      type: "dataset.requested",
      dataset: "d",
      path: "/d",
      maxSide: 256,
      minClassImages: 5,
      bitDepth: 12,
      offset: null,
      pixelSize: 0.5,
      onLabelConflict: "ask",
    },
    { ...head, type: "dataset.imported", dataset: "d", manifest: blob, images: 1, classes: 2, rejected: 0 },
    { ...head, type: "dataset.failed", dataset: "d", report: null, error: { tag: "A/B", message: "m" } },
  ];
};

/** Whether a NATS filter takes a subject. */
const takes = (filter: string, subject: string) => {
  const [wanted, found] = [filter.split("."), subject.split(".")];
  return wanted.length === found.length && wanted.every((token, i) => token === "*" || token === found[i]);
};

Deno.test("every event is valid, survives JSON, and has a subject that the filters take", () => {
  for (const event of everyEvent()) {
    expect(Event.parse(JSON.parse(JSON.stringify(event)))).toEqual(event);
    const subject = subjectOf(event);
    expect(subject.split(".").length).toBe(6);
    expect(takes(subjects.all, subject)).toBe(true);
    expect(takes(subjects.of(event.type, routeOf(event)), subject)).toBe(true);
    if (!("dataset" in event)) expect(takes(subjects.run("r"), subject)).toBe(true);
    expect(takes(subjects.fold("r", 2), subject)).toBe(isFoldEvent(event));
    expect(takes(subjects.shard("r", 2, 4), subject)).toBe(isShardEvent(event));
    if (isFoldEvent(event) || isShardEvent(event)) expect(takes(subjects.chain(event), subject)).toBe(true);
  }
});

Deno.test("the route says who acts next", () => {
  const routes = (settings: object, type: EventType) =>
    everyEvent(settings).filter((event) => event.type === type).map(routeOf);
  expect(routes({ method: "clustering" }, "epoch.validated")).toEqual(["xmeans", "score"]);
  expect(routes({ method: "triplet", clusterer: "other" }, "epoch.validated")).toEqual(["train", "score"]);
  expect(routes({ clusterer: "other" }, "features.extracted")).toEqual(["other"]);
  expect(routes({}, "dataset.relabelled")).toEqual(["train"]);
});

Deno.test("a shard goes where its step goes, and belongs to one fact", () => {
  const shard = everyEvent().find(isShardEvent)!;
  const routes = Spread.options.map((of) => routeOf({ ...shard, of }));
  expect(routes).toEqual(["extract", "extract", "validate", "score"]);
  const owners = everyEvent().filter((event) => isShardOf(shard, event)).map(({ type }) => type);
  expect(owners).toEqual(["epoch.validated", "epoch.validated"]);
  expect(messageId({ ...shard, portions: [] })).not.toBe(messageId(shard));
  expect(messageId({ ...shard, of: "epoch.trained" })).not.toBe(messageId(shard));
});

Deno.test("message ids tell facts apart, and the ends of a run share one", () => {
  const ids = everyEvent().map((event) => [event.type, messageId(event)] as const);
  const ends = ids.filter(([type]) => ["run.completed", "run.failed", "run.cancelled"].includes(type));
  expect(new Set(ends.map(([, id]) => id)).size).toBe(1);
  // the two validations of one epoch are the same fact, too
  const repeated = ends.length - 1 + 1;
  expect(new Set(ids.map(([, id]) => id)).size).toBe(ids.length - repeated);
  const [requested] = everyEvent();
  if (!requested || !isFoldEvent(requested)) throw new Error("the first event is of a fold");
  expect(messageId({ ...requested, fold: 1 })).not.toBe(messageId(requested));
  expect(messageId({ ...requested, runId: "s" })).not.toBe(messageId(requested));
});

Deno.test("names are safe as subject tokens and file names; routes are no clusterer's name", () => {
  for (const name of ["a.b", "a b", "*", ">", "", "-a", "../a", "ä", "a".repeat(65)]) {
    expect(Name.safeParse(name).success).toBe(false);
  }
  expect(Name.safeParse("Plankton_2026-a").success).toBe(true);
  expect(RunRequest.safeParse({ dataset: "d", clusterer: "train" }).success).toBe(false);
  expect(RunRequest.safeParse({ dataset: "d", epoch: 3 }).error?.issues[0]).toMatchObject({
    keys: ["epoch"],
  });
});
