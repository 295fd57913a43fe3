import { hasEnded, RunProgress, RunView } from "@subtaxa/contracts";
import { Effect, Ref, Schedule, type Scope, Stream } from "effect";
import { ask, serverEvents, type Target, untilOver } from "./api.ts";
import { clustererOf } from "./clusterers.ts";
import type { CliError } from "./error.ts";
import { isEnd, narrator, RunFact } from "./narrate.ts";
import { makeScreen, type Screen } from "./screen.ts";
import { duration, percent, printable, speed } from "./words.ts";

const pathOf = (id: string): string => `/v1/runs/${encodeURIComponent(id)}`;

export const runView = (target: Target, id: string): Effect.Effect<RunView, CliError> =>
  ask(target, pathOf(id), RunView);

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // no message of this version
  }
};

const labelWidth = 20;

/** Whether the step looks for sub-classes, which may find that there are none. */
const examines = (step: RunProgress["step"]): boolean => step === "extract" || step === "cluster";

/** Progress within a step as a bar. */
export const gaugeOf = (progress: RunProgress, folds: number) => {
  const { fold, epoch, step, done, total, loss, imagesPerSecond, secondsLeft, splitting = [] } = progress;
  const details = [
    loss === undefined ? "" : `loss ${loss.toFixed(4)}`,
    imagesPerSecond === undefined ? "" : speed(imagesPerSecond),
    secondsLeft === undefined ? "" : `${duration(secondsLeft)} left`,
    splitting.length === 0
      ? ""
      : `${examines(step) ? "examining" : "split"}: ${splitting.map(printable).join(", ")}`,
  ];
  const label = `${folds > 1 ? `fold ${fold} ` : ""}epoch ${epoch} ${step}`;
  return { label: label.padEnd(labelWidth), done, total, details: details.filter(Boolean).join(" · ") };
};

/** The whole run as a bar over the epochs of all folds: it may end before the last. */
export const gaugeOfRun = (
  { epochsDone, epochs, folds, step, secondsLeft, waitsUntil }: RunView,
  now = Date.now(),
) => {
  const left = waitsUntil !== undefined
    ? `the run fails in ${duration(Math.max(0, Date.parse(waitsUntil) - now) / 1000)}`
    : secondsLeft === undefined
    ? ""
    : `at most ${duration(secondsLeft)} left`;
  return {
    label: "epochs".padEnd(labelWidth),
    done: epochsDone,
    total: epochs * folds,
    details: [step, left].filter(Boolean).join(" · "),
  };
};

/** Follows the facts and the progress until the run has ended, over broken connections too. */
const follow = (target: Target, view: RunView, screen: Screen): Effect.Effect<void, CliError> =>
  Effect.gen(function* () {
    const tell = narrator(view);
    const lastEventId = yield* Ref.make("");
    const ended = yield* Ref.make(false);
    const events = Effect.gen(function* () {
      const messages = serverEvents(target, `${pathOf(view.id)}/events`, yield* Ref.get(lastEventId));
      yield* Stream.runForEach(messages, ({ id, event, data }) =>
        Effect.gen(function* () {
          if (event === "progress") {
            const progress = RunProgress.safeParse(parseJson(data));
            if (progress.success) {
              screen.gauge(`fold ${progress.data.fold}`, gaugeOf(progress.data, view.folds));
            }
            return;
          }
          if (id) yield* Ref.set(lastEventId, id);
          const fact = RunFact.safeParse(parseJson(data));
          if (!fact.success) return; // a kind of fact that a later version tells
          for (const line of tell(fact.data)) screen.line(line);
          if ("fold" in fact.data) screen.remove(`fold ${fact.data.fold}`); // the step is over
          if (isEnd(fact.data)) yield* Ref.set(ended, true);
        }));
    });
    const over = Effect.gen(function* () {
      return (yield* Ref.get(ended)) || hasEnded(yield* runView(target, view.id));
    });
    yield* untilOver(over, (over) => over, events);
  });

/** Watches a run to its end; returns it as it ended. */
export const watchRun = (
  target: Target,
  id: string,
  { json }: { readonly json: boolean },
): Effect.Effect<RunView, CliError> =>
  Effect.gen(function* () {
    const view = yield* runView(target, id);
    yield* Effect.scoped(Effect.gen(function* () {
      const screen = yield* makeScreen({ json });
      screen.line(
        `run ${id}: ${view.method} on ${view.dataset}, at most ${view.epochs} epochs` +
          (view.folds > 1 ? `, ${view.folds} folds` : "") +
          (view.clusterer ? `, clusterer ${clusterer(view)}` : ""),
      );
      if (!hasEnded(view)) yield* Effect.forkScoped(showRun(target, id, screen));
      yield* follow(target, view, screen);
    }));
    return yield* runView(target, id);
  });

/** Keeps the bar of the whole run up to date, as well as it can. */
const showRun = (target: Target, id: string, screen: Screen): Effect.Effect<void, never, Scope.Scope> =>
  runView(target, id).pipe(
    Effect.tap((view) => Effect.sync(() => screen.gauge("run", gaugeOfRun(view)))),
    Effect.ignore,
    Effect.repeat(Schedule.spaced("3 seconds")),
    Effect.asVoid,
  );

const clusterer = (view: RunView): string =>
  `${clustererOf(view)} ${JSON.stringify(view.clusterer?.parameters)}`;

/** How a run stands, in a few lines. */
export const describeRun = (view: RunView): string => {
  const { id, state, error, metrics, classes } = view;
  if (state === "failed") return `run ${id} failed: ${error?.message ?? "no reason was given"}`;
  if (state !== "completed" || !metrics) {
    return `run ${id} is ${state}${view.step === state ? "" : ` (${view.step})`}`;
  }
  const split = classes.filter(({ clusters }) => clusters > 1).map(({ name, clusters }) =>
    `${printable(name)} ${clusters}`
  );
  return [
    `run ${id} is completed; held-out images, mean over ${
      view.folds === 1 ? "one fold" : `${view.folds} folds`
    }:`,
    `  accuracy ${percent(metrics.accuracy)}  precision ${percent(metrics.precision)}  ` +
    `recall ${percent(metrics.recall)}  F ${percent(metrics.fScore)}`,
    ...(split.length > 0 ? [`  sub-classes at the end: ${split.join(", ")}`] : []),
    ...(view.clusterer ? [`  divided by ${clusterer(view)}`] : []),
  ].join("\n");
};
