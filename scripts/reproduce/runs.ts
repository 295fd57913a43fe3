import { hasEnded, type Method, RunView } from "@subtaxa/contracts";
import { Effect } from "effect";
import { z } from "zod";
import {
  ask,
  type CliError,
  duration,
  failedError,
  makeScreen,
  percent,
  request,
  type Screen,
  type Target,
  untilOver,
} from "../cli/mod.ts";
import type { ReproduceError } from "./error.ts";
import type { Ledger } from "./ledger.ts";
import { keyOf, requestFor, type Settings } from "./plan.ts";

/** How the run of one method ended. */
export type Outcome =
  | { readonly method: Method; readonly state: "completed"; readonly id: string }
  | {
    readonly method: Method;
    /** `refused`: never started. `lost`: the gateway doesn't know the run that was started. */
    readonly state: "failed" | "cancelled" | "refused" | "lost";
    readonly id?: string;
    readonly message: string;
  };

/** How a run stands, without its epochs: asked for often, so it has to be small; undefined when there is no such run. */
const standing = (
  target: Target,
  dataset: string,
  id: string,
): Effect.Effect<RunView | undefined, CliError> =>
  ask(target, `/v1/runs?limit=1000&dataset=${dataset}`, z.array(RunView)).pipe(
    Effect.map((runs) => runs.find((run) => run.id === id)),
  );

/** Asks for the run; the key makes it the same one, however often that is done. */
const start = (
  target: Target,
  settings: Settings,
  method: Method,
  key: string,
): Effect.Effect<string, CliError> =>
  request(target, "/v1/runs", {
    method: "POST",
    body: requestFor(settings, method),
    headers: { "idempotency-key": key },
  }).pipe(
    Effect.flatMap((response) => Effect.promise((): Promise<unknown> => response.json())),
    Effect.flatMap((body) => {
      const { data } = z.object({ id: z.string() }).safeParse(body);
      return data
        ? Effect.succeed(data.id)
        : Effect.fail(failedError(`${target.url} answered without a run's id`));
    }),
    // a gateway that is being restarted
    (once) => untilOver(once, () => true),
  );

interface Context {
  readonly target: Target;
  readonly settings: Settings;
  /** When the images were imported that the runs shall be about. */
  readonly importedAt: string;
  readonly ledger: Ledger;
  readonly retry: boolean;
  readonly screen: Screen;
}

/** Of the run in the ledger, or of the one that is started now; its key is written down first. */
const ensureRun = ({ target, settings, importedAt, ledger, retry }: Context, method: Method) =>
  Effect.gen(function* () {
    const entry = ledger.of(method);
    const known = entry?.id === undefined ? undefined : yield* standing(target, settings.dataset, entry.id);
    const over = known ? known.state === "failed" || known.state === "cancelled" : entry?.id !== undefined;
    if (entry?.id !== undefined && !(over && retry)) return entry.id;
    const attempt = (entry?.attempt ?? 0) + (over ? 1 : 0);
    const key = keyOf(settings, importedAt, method, attempt);
    yield* ledger.set(method, { key, attempt });
    const id = yield* start(target, settings, method, key);
    yield* ledger.set(method, { key, attempt, id });
    return id;
  });

const isOver = (view: RunView | undefined): boolean => view === undefined || hasEnded(view);

const outcomeOf = (method: Method, id: string, view: RunView | undefined): Outcome => {
  if (view?.state === "completed") return { method, state: "completed", id };
  if (view?.state === "cancelled") return { method, state: "cancelled", id, message: "it was cancelled" };
  return view
    ? { method, state: "failed", id, message: view.error?.message ?? "no reason was given" }
    : { method, state: "lost", id, message: "the gateway knows no such run" };
};

const width = 20;

/** One line per method: what it does, the epochs of all folds, and for how long at most; each fold may end before its last. */
export const gaugeOf = ({ method, epochsDone, epochs, folds, step, secondsLeft }: RunView) => {
  const left = secondsLeft === undefined ? "" : `at most ${duration(secondsLeft)} left`;
  return {
    label: method.padEnd(width),
    done: epochsDone,
    total: epochs * folds,
    details: [step, left].filter(Boolean).join(" · "),
  };
};

export const describeOutcome = (outcome: Outcome): string =>
  outcome.state === "completed"
    ? `run ${outcome.id} is completed`
    : outcome.state === "refused"
    ? `could not be started: ${outcome.message}`
    : `run ${outcome.id} ${
      { failed: "has failed", cancelled: "has ended", lost: "is lost" }[outcome.state]
    }: ${outcome.message}; --retry starts it anew`;

const follow = (context: Context, method: Method) =>
  Effect.gen(function* () {
    const { target, settings, screen } = context;
    const id = yield* ensureRun(context, method);
    const once = Effect.tap(
      standing(target, settings.dataset, id),
      (view) => Effect.sync(() => view && !hasEnded(view) && screen.gauge(method, gaugeOf(view))),
    );
    const view = yield* untilOver(once, isOver);
    screen.remove(method);
    const outcome = outcomeOf(method, id, view);
    const scores = view?.metrics
      ? `: accuracy ${percent(view.metrics.accuracy)}, F ${percent(view.metrics.fScore)}`
      : "";
    screen.line(`${method.padEnd(width)} ${describeOutcome(outcome)}${scores}`);
    return outcome;
  }).pipe(
    Effect.catchIf(
      // the settings don't suit this method; others may go on
      (error) =>
        error._tag === "CliError" && error.reason._tag === "Refused" && error.reason.status >= 400 &&
        error.reason.status < 500 && error.reason.status !== 401,
      ({ message }) => {
        const outcome: Outcome = { method, state: "refused", message };
        return Effect.sync(() => {
          context.screen.line(`${method.padEnd(width)} ${describeOutcome(outcome)}`);
          return outcome;
        });
      },
    ),
  );

/**
 * Runs the methods, or goes on with those that the ledger knows, `atOnce` at a time in the order given, and waits until all
 * have ended. Nothing is started twice, whenever this was killed before.
 */
export const runMethods = (
  methods: readonly Method[],
  { atOnce, ...options }: Omit<Context, "screen"> & { readonly atOnce: number },
): Effect.Effect<readonly Outcome[], CliError | ReproduceError> =>
  Effect.scoped(Effect.gen(function* () {
    const screen = yield* makeScreen({ json: false });
    return yield* Effect.forEach(methods, (method) => follow({ ...options, screen }, method), {
      concurrency: atOnce,
    });
  }));
