import { expect } from "expect";
import fc from "fast-check";
import { Event, type Method, type RunProgress, RunView } from "@subtaxa/contracts";
import { epochView, isValidated, project, projectAll, runLog, RunLogError, withProgress } from "./mod.ts";
import { syntheticRun } from "./testing.ts";

const classes = ["copepod", "diatom", "detritus"];
const made = (options: Partial<Parameters<typeof syntheticRun>[0]> = {}) =>
  syntheticRun({ classes, epochs: 4, seed: 3, ...options });

const runs = fc.record({
  method: fc.constantFrom<Method>("standard", "triplet", "clustering", "clustering+triplet"),
  folds: fc.integer({ min: 1, max: 3 }),
  epochs: fc.integer({ min: 1, max: 6 }),
  patience: fc.integer({ min: 1, max: 3 }),
  seed: fc.nat(1000),
}).map(made);
const json = (view: RunView) => JSON.parse(JSON.stringify(view));

Deno.test("a made-up run is a valid log", () => {
  fc.assert(
    fc.property(runs, (events) => events.forEach((event) => expect(Event.parse(event)).toEqual(event))),
    {
      numRuns: 15,
    },
  );
});

Deno.test("any prefix of a log is a valid view, and nothing of it is hidden or missing in JSON", () => {
  fc.assert(
    fc.property(runs, (events) => {
      let view: ReturnType<typeof project> | undefined;
      for (const event of events) {
        view = project(view, event);
        expect(json(RunView.parse(view))).toEqual(json(view));
      }
      expect(view?.state).toBe("completed");
    }),
    { numRuns: 15 },
  );
});

Deno.test("facts that come again, at any later time, change nothing", () => {
  fc.assert(
    fc.property(
      runs,
      fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 20 }),
      (events, repeats) => {
        const log = [...events];
        for (const [which, when] of repeats) {
          const at = log.indexOf(events[which % events.length]!);
          const later = at + 1 + when % (log.length - at);
          log.splice(later, 0, structuredClone(log[at]!));
        }
        expect(projectAll(log)).toEqual(projectAll(events));
        expect(runLog(log)).toEqual(runLog(events));
      },
    ),
    { numRuns: 30 },
  );
});

Deno.test("the history is what the ordered log says, however the folds interleave", () => {
  fc.assert(
    fc.property(runs, fc.nat(), (events, cut) => {
      const prefix = events.slice(0, 1 + cut % events.length);
      const epochs = runLog(prefix).folds.flatMap((fold) => fold.epochs).filter(isValidated).map(epochView);
      const inOrder = projectAll(prefix).history.toSorted((a, b) => a.fold - b.fold || a.epoch - b.epoch);
      expect(inOrder).toEqual(epochs);
    }),
    { numRuns: 40 },
  );
});

Deno.test("the first end counts, and whatever comes later changes nothing", () => {
  const events = made();
  const head = { v: 1 as const, at: "2026-01-05T10:00:00.000Z", runId: "made-up" };
  const failed: Event = {
    type: "run.failed",
    ...head,
    error: { tag: "E/Disk", message: "the disk is full" },
  };
  const cancelled: Event = { type: "run.cancelled", ...head };
  const part = events.slice(0, 8);
  const view = projectAll([...part, failed, ...events.slice(8), cancelled]);
  expect(view).toMatchObject({
    state: "failed",
    step: "failed",
    finishedAt: head.at,
    error: { message: "the disk is full" },
  });
  expect(view.secondsLeft).toBeUndefined();
  expect(view.metrics).toBeUndefined();
  expect(view.history).toEqual(projectAll(part).history);
  expect(projectAll([...part, cancelled, failed]).state).toBe("cancelled");
  expect(runLog([...part, failed, ...events.slice(8), cancelled]).events).toEqual([...part, failed]);
});

Deno.test("the steps of one epoch, in words", () => {
  const events = made({ method: "clustering", epochs: 2, confusionThreshold: 0 });
  const steps = events.map((_, i) => projectAll(events.slice(0, i + 1))).map(({ state, epoch, step }) =>
    `${state} ${epoch}: ${step}`
  );
  expect(steps).toEqual([
    "queued 0: waiting for a trainer",
    "running 1: validating epoch 1",
    "running 1: adapting the allowed clusters after epoch 1",
    "running 1: extracting features of 3 classes",
    "running 1: splitting classes",
    "running 2: training epoch 2",
    "running 2: validating epoch 2",
    "running 2: scoring the held-out images",
    "running 2: writing the report",
    "completed 2: completed",
  ]);
});

Deno.test("a run with a frozen backbone waits for its features first", () => {
  const [requested] = made({ freeze: "backbone" });
  expect(projectAll([requested!]).step).toBe("waiting for the frozen backbone's features");
});

Deno.test("a method without clusters goes straight on; several folds are named", () => {
  const steps = made({ method: "standard", epochs: 2, folds: 2 })
    .map((_, i, events) => projectAll(events.slice(0, i + 1)).step);
  expect(steps[0]).toBe("waiting for a trainer"); // all of them do
  expect(steps).toContain("fold 1: training epoch 2");
  expect(steps).toContain("1 of 2 folds completed");
  expect(steps.at(-2)).toBe("writing the report");
});

Deno.test("clusters are those trained on, limits those after the adaptation that followed", () => {
  const events = made({ method: "clustering", epochs: 3, confusionThreshold: 0, patience: 9 });
  const { history } = projectAll(events);
  expect(history[0]?.clusters).toEqual({ copepod: 1, diatom: 1, detritus: 1 });
  expect(history.map((epoch) => epoch.allowedClusters.diatom)).toEqual([2, 3, 3]);
  const relabelled = events.findLast((event) => event.type === "dataset.relabelled");
  for (const { name, clusters } of relabelled!.state.classes) {
    expect(history[2]?.clusters[name]).toBe(clusters);
  }
  expect(history[1]?.agreement).toBe(relabelled?.agreement);
  expect(history[2]?.agreement).toBeUndefined();
});

Deno.test("the clusterer: parameters from the beginning, every version once, each epoch's own; none without clusters", () => {
  const events = made({ parameters: { restarts: 4 } }).map((event) =>
    event.type === "dataset.relabelled" && event.epoch > 1
      ? { ...event, clusterer: { name: "xmeans", version: "2.0.0" } }
      : event
  );
  const about = { name: "xmeans", parameters: { restarts: 4 } };
  expect(projectAll(events.slice(0, 1)).clusterer).toEqual({ ...about, versions: [] });
  const { clusterer, history } = projectAll(events);
  expect(clusterer).toEqual({ ...about, versions: ["1.0.0", "2.0.0"] });
  expect(history.map(({ clustererVersion }) => clustererVersion)).toEqual([
    "1.0.0",
    "2.0.0",
    "2.0.0",
    undefined,
  ]);
  const old = events.map((event) => {
    if (event.type !== "dataset.relabelled") return event;
    const { clusterer: _, ...rest } = event;
    return Event.parse(rest);
  });
  expect(projectAll(old).clusterer?.versions).toEqual([]);
  expect(projectAll(made({ method: "triplet" })).clusterer).toBeUndefined();
});

Deno.test("time left: as many seconds per epoch as so far, over all folds", () => {
  const events = made({ method: "standard", epochs: 3, patience: 9 });
  const at = (minutes: number) => new Date(Date.UTC(2026, 0, 5, 9, minutes)).toISOString();
  const [start, trained, validated] = events;
  if (start === undefined || trained?.type !== "epoch.trained" || validated === undefined) throw new Error();
  const training = { ...trained.training, seconds: 60 };
  const view = projectAll([
    { ...start, at: at(0) },
    { ...trained, training, at: at(31) },
    { ...validated, at: at(32) },
  ]);
  expect(view.createdAt).toBe(at(0));
  expect(view.secondsLeft).toBe(2 * 120); // waiting for half an hour does not count
  expect(projectAll(events).secondsLeft).toBeUndefined();
});

Deno.test("progress shows what a step does, unless it comes late", () => {
  const events = made({ method: "clustering", confusionThreshold: 0 });
  const queued = projectAll(events.slice(0, 1));
  const progress: RunProgress = { runId: "made-up", fold: 0, epoch: 1, step: "train", done: 3, total: 9 };
  expect(withProgress(queued, progress)).toMatchObject({
    state: "running",
    epoch: 1,
    step: "training epoch 1 (batch 3 of 9)",
  });
  const trained = projectAll(events.slice(0, 2));
  expect(withProgress(trained, progress)).toBe(trained);
  expect(withProgress(trained, { ...progress, runId: "another", epoch: 2 })).toBe(trained);
  const extracted = projectAll(events.slice(0, 5));
  expect(withProgress(extracted, { ...progress, step: "cluster", splitting: ["diatom", "copepod"] }).step)
    .toBe("splitting classes (class 3 of 9): diatom, copepod");
  const ended = projectAll(events);
  expect(withProgress(ended, { ...progress, epoch: 99 })).toBe(ended);
  expect(project(withProgress(queued, progress), events[1]!)).toEqual(project(queued, events[1]!));
});

Deno.test("what is not the log of one run is refused", () => {
  const events = made();
  expect(() => projectAll([])).toThrow(RunLogError);
  expect(() => runLog([])).toThrow(/begins with run.requested/);
  expect(() => projectAll(events.slice(-1))).toThrow(/run.completed of 'made-up'/);
  const other = made({ runId: "other" });
  expect(() => projectAll([...events.slice(0, 2), other[1]!])).toThrow(/'other' in the log of run 'made-up'/);
  expect(() => runLog([...events.slice(0, 2), other[1]!])).toThrow(RunLogError);
});

Deno.test("figures by class survive JSON and the contract, whatever classes are called", () => {
  const classes = ["toString", "__proto__", "10", "2", "constructor"];
  const log = syntheticRun({ classes, epochs: 2, folds: 1, seed: 1 });
  const view = projectAll(log);
  const read = RunView.parse(JSON.parse(JSON.stringify(view)));
  expect(read.classes.map(({ name }) => name)).toEqual(classes);
  const validated = log.flatMap((event) => event.type === "epoch.validated" ? [event] : []);
  for (const [i, epoch] of read.history.entries()) {
    for (const figures of [epoch.clusters, epoch.falseNegatives, epoch.allowedClusters]) {
      expect(Object.keys(figures).sort()).toEqual(classes.toSorted());
    }
    expect(classes.map((name) => Object.getOwnPropertyDescriptor(epoch.falseNegatives, name)?.value)).toEqual(
      validated[i]!.falseNegatives,
    );
  }
  const [epoch] = view.history;
  for (const wrong of [{ a: 1.5 }, { a: "1" }, [1], null]) {
    expect(RunView.safeParse({ ...view, history: [{ ...epoch, clusters: wrong }] }).success).toBe(false);
  }
});
