import { Effect } from "effect";
import {
  patience,
  type ProcessView,
  readPidFile,
  runningOn,
  servicesOf,
  StackError,
  startStack,
  stopProcess,
  sweep,
  type Worker,
} from "../stack/mod.ts";
import { table } from "./words.ts";

/** Where this installation keeps its files. */
export const dataFolder = (): string => Deno.env.get("SUBTAXA_DATA") || ".subtaxa";

/** Runs NATS and the services until interrupted; fails when a service is given up. */
export const up = (options: {
  readonly port: number | undefined;
  readonly natsPort: number | undefined;
  readonly workers: Readonly<Partial<Record<Worker, number>>>;
  readonly json: boolean;
}): Effect.Effect<never, StackError> =>
  Effect.scoped(Effect.gen(function* () {
    const say = options.json ? console.error : console.log;
    const stack = yield* startStack({
      dataFolder: dataFolder(),
      services: servicesOf(options.workers),
      log: say,
      ...(options.port === undefined ? {} : { port: options.port }),
      ...(options.natsPort === undefined ? {} : { natsPort: options.natsPort }),
    });
    yield* Effect.addFinalizer(() => Effect.sync(() => say("stopping: services first, NATS last")));
    yield* stack.ready;
    if (options.json) {
      console.log(JSON.stringify({ url: stack.url, natsUrl: stack.natsUrl, processes: stack.processes() }));
    } else {
      console.log(`\nSubtaxa is ready at ${stack.url} (files in ${dataFolder()}).`);
      console.log(`Services of your own join with NATS_URL=${stack.natsUrl}`);
      console.log(`Ctrl-C, or "subtaxa down" from elsewhere, stops it.`);
    }
    return yield* stack.failed;
  }));

/** Stops what `up` started on this data folder; false when nothing runs there. */
export const down = (log: (line: string) => void): Effect.Effect<boolean, StackError> =>
  Effect.gen(function* () {
    const file = yield* readPidFile(dataFolder());
    if (!file) return false;
    // The supervisor takes the services' grace and some more for NATS.
    yield* stopProcess(file.supervisor, patience.grace + 10_000);
    yield* sweep(dataFolder(), { grace: patience.grace, log });
    return true;
  });

export const processes = (): Effect.Effect<readonly ProcessView[], StackError> =>
  Effect.map(runningOn(dataFolder()), (running) => running?.processes ?? []);

export const processTable = (processes: readonly ProcessView[]): string =>
  table(
    ["service", "pid", "port", "state"],
    processes.map(({ service, pid, port, state }) => [service, pid, port || "–", state]),
  );
