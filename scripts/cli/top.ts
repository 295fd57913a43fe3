import { type ClustererView, hasEnded, type RunView } from "@subtaxa/contracts";
import { Effect } from "effect";
import { type ProcessView, runningOn, type StackError } from "../stack/mod.ts";
import { request, type Target } from "./api.ts";
import { listClusterers, versionsOf } from "./clusterers.ts";
import { type CliError, failedError } from "./error.ts";
import { type Family, figuresOf, parseFigures } from "./figures.ts";
import { epochsOf, listRuns } from "./runs.ts";
import { duration, rate, table } from "./words.ts";

/** What runs at one moment. */
export interface TopView {
  readonly at: string;
  /** Every process that `up` started here; none of an installation elsewhere, whose services only its network reaches. */
  readonly services: readonly (ProcessView & {
    /** Types of the events that are being handled. */
    readonly working: readonly string[];
    readonly imagesPerSecond: number;
  })[];
  /** Those that answer, whoever started them. */
  readonly clusterers: readonly ClustererView[];
  /** Those that have not ended first, then the newest ones. */
  readonly runs: readonly RunView[];
  readonly consumers: readonly Consumer[];
}

interface Consumer {
  readonly consumer: string;
  readonly pending: number;
  readonly ackPending: number;
  readonly idle: number;
}

/** Runs beyond this number are left out. */
const shownRuns = 10;

/** A service's figures; none while it does not answer. */
const probe = (host: string, { port, service }: ProcessView): Effect.Effect<readonly Family[]> =>
  port === 0 || service === "nats" ? Effect.succeed([]) : Effect.tryPromise(async (signal) => {
    const response = await fetch(`http://${host}:${port}/metrics`, { signal });
    return parseFigures(await response.text());
  }).pipe(Effect.timeout("1 second"), Effect.orElseSucceed(() => []));

const workOf = (families: readonly Family[]) => ({
  working: figuresOf(families, "subtaxa_messages_in_progress").filter(({ value }) => value > 0)
    .map(({ labels }) => labels.type ?? ""),
  imagesPerSecond: figuresOf(families, "subtaxa_step_images_per_second")
    .reduce((sum, { value }) => sum + value, 0),
});

/** The lag of all consumers, of which several services may tell: the largest figure counts. */
export const consumersOf = (all: readonly (readonly Family[])[]): readonly Consumer[] => {
  const largest = (name: string) => {
    const found = new Map<string, number>();
    for (const { labels: { consumer = "" }, value } of all.flatMap((one) => figuresOf(one, name))) {
      found.set(consumer, Math.max(value, found.get(consumer) ?? 0));
    }
    return found;
  };
  const pending = largest("subtaxa_consumer_pending_messages");
  const ackPending = largest("subtaxa_consumer_ack_pending_messages");
  const idle = largest("subtaxa_consumer_waiting_pulls");
  return [...pending].map(([consumer, count]) => ({
    consumer,
    pending: count,
    ackPending: ackPending.get(consumer) ?? 0,
    idle: idle.get(consumer) ?? 0,
  })).sort((a, b) => a.consumer < b.consumer ? -1 : 1);
};

/** What the gateway tells of the lag of all consumers. */
const gatewayFigures = (target: Target): Effect.Effect<readonly Family[], CliError> =>
  request(target, "/metrics").pipe(
    Effect.flatMap((response) =>
      Effect.tryPromise({
        try: async () => parseFigures(await response.text()),
        catch: () => failedError(`what ${target.url}/metrics says are no figures of Subtaxa`),
      })
    ),
  );

/**
 * Looks once at what runs on the data folder or, with `url`, behind the gateway there: its runs, clusterers, and consumers with
 * their lag.
 */
export const look = (
  { dataFolder, url, token }: {
    readonly dataFolder: string;
    readonly url: string | undefined;
    readonly token: string | undefined;
  },
): Effect.Effect<TopView, CliError | StackError> =>
  Effect.gen(function* () {
    const running = yield* runningOn(dataFolder);
    const isHere = running && (url === undefined || url === running.url);
    const address = isHere ? running.url : url;
    if (address === undefined) {
      return yield* failedError(
        `nothing is running on ${dataFolder}: start it with "subtaxa up", or name a gateway elsewhere with --url`,
      );
    }
    const target: Target = { url: address, token };
    const processes = isHere ? running.processes : [];
    const host = new URL(address).hostname;
    const [families, clusterers, runs] = yield* Effect.all([
      isHere
        ? Effect.forEach(processes, (process) => probe(host, process), { concurrency: "unbounded" })
        : Effect.map(gatewayFigures(target), (figures) => [figures]),
      listClusterers(target),
      listRuns(target, 100),
    ], { concurrency: 3 });
    return {
      at: new Date().toISOString(),
      services: processes.map((process, i) => ({ ...process, ...workOf(families[i] ?? []) })),
      clusterers,
      runs: [...runs.filter((run) => !hasEnded(run)), ...runs.filter(hasEnded)].slice(0, shownRuns),
      consumers: consumersOf(families),
    };
  });

/** The view as tables. */
export const describeTop = ({ at, services, clusterers, runs, consumers }: TopView): string =>
  [
    `Subtaxa at ${at.slice(11, 19)} UTC`,
    ...(services.length === 0 ? [] : [table(
      ["service", "pid", "state", "message at work", "images/s"],
      services.map(({ service, pid, state, working, imagesPerSecond }) => [
        ...[service, pid, state, working.join(", ")],
        imagesPerSecond > 0 ? rate(imagesPerSecond) : "",
      ]),
    )]),
    table(
      ["clusterer", "version", "instances alive"],
      clusterers.flatMap((view) =>
        versionsOf(view).map(({ version, instances }) => [view.name, version, instances])
      ),
    ),
    runs.length === 0 ? "no runs yet" : table(
      ["run", "state", "folds", "epochs", "step", "time left"],
      runs.map((run) => {
        const { id, state, folds, step, secondsLeft } = run;
        return [
          ...[id, state, folds, epochsOf(run), step === state ? "" : step],
          secondsLeft === undefined || state !== "running" ? "" : duration(secondsLeft),
        ];
      }),
    ),
    table(
      ["consumer", "waiting", "at work", "idle instances"],
      consumers.map(({ consumer, pending, ackPending, idle }) => [consumer, pending, ackPending, idle]),
    ),
  ].join("\n\n");

/** Shows frame after frame until interrupted: in place on a terminal, which gets back what it showed before. */
export const showTop = (
  frame: Effect.Effect<string, CliError | StackError>,
): Effect.Effect<never, CliError | StackError> => {
  const isTerminal = Deno.stdout.isTerminal();
  const write = (text: string) =>
    Effect.sync(() => void Deno.stdout.writeSync(new TextEncoder().encode(text)));
  const screen = isTerminal
    ? Effect.acquireRelease(write("\x1b[?1049h\x1b[?25l"), () => write("\x1b[?25h\x1b[?1049l"))
    : Effect.void;
  const show = (text: string) => write(isTerminal ? `\x1b[H\x1b[J${text}\n` : `${text}\n`);
  return Effect.scoped(screen.pipe(
    Effect.andThen(
      frame.pipe(Effect.flatMap(show), Effect.andThen(Effect.sleep("1 second")), Effect.forever),
    ),
  ));
};
