import {
  Blobs,
  Bus,
  Connection,
  consume,
  type ConsumeOptions,
  type Handler,
  registerConsumer,
  type Settled,
} from "@subtaxa/bus";
import type { Failure, Problem } from "@subtaxa/contracts";
import { Cause, type Config, Effect, Exit, Layer, Logger, References } from "effect";
import { ServiceConfig } from "./config.ts";
import { cannotListen } from "./error.ts";
import { countSettled, measureLags, measureWork } from "./metrics.ts";
import { probe } from "./probes.ts";
import { telemetry } from "./telemetry.ts";
import { uncaught } from "./uncaught.ts";

export type Fetch = (request: Request) => Response | Promise<Response>;
type Basics = Bus | Blobs | Connection;

/** A service: handlers plus wiring. */
export interface ServiceOptions<R, E> {
  readonly name: string;
  /** What the handlers need besides the bus. */
  readonly layer: Layer.Layer<R, E | Config.ConfigError, Basics>;
  readonly consumers:
    readonly (Omit<ConsumeOptions, "onSettled"> & { readonly handler: Handler<R | Basics> })[];
  readonly background?: readonly Effect.Effect<never, Failure, R | Basics>[];
  /** Answers every path but the probes'; without it they get 404. Building it is part of becoming ready. */
  readonly http?: Effect.Effect<Fetch, Failure, R | Basics>;
}

const logSettled = ({ event, subject, outcome, failure, seconds }: Settled) => {
  const annotations = {
    subject,
    outcome,
    seconds: Number(seconds.toFixed(3)),
    ...(event && "runId" in event ? { runId: event.runId } : {}),
    ...(event && "epoch" in event ? { fold: event.fold, epoch: event.epoch } : {}),
    ...(event && "shard" in event ? { shard: event.shard, of: event.of } : {}),
    ...(failure ? { error: `${failure._tag}/${failure.reason._tag}` } : {}),
  };
  const line = failure ? Effect.logWarning(failure.message) : Effect.logInfo(event?.type ?? "message");
  return line.pipe(Effect.annotateLogs(annotations));
};

/** What an API answers until it is ready: ask again in a second (RFC 9457, RFC 9110 section 10.2.3). */
const starting = (): Response => {
  const problem: Problem = {
    type: "urn:subtaxa:problem:unavailable",
    title: "The service is starting",
    status: 503,
    detail: "it is not ready yet: ask again in a second",
  };
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: { "content-type": "application/problem+json", "retry-after": "1" },
  });
};

/**
 * The service as an effect that runs until it is interrupted: probes first, then its layers and its HTTP interface,
 * then its consumers. Ready, while the bus answers, once the first three are up; consumers see to themselves from there on.
 */
export const serve = <R, E extends Failure>(options: ServiceOptions<R, E>) =>
  Effect.gen(function* () {
    const config = yield* ServiceConfig;
    let notReady = "starting";
    let fetchHandler: Fetch | null = null;
    let ping: Effect.Effect<void, { message: string }> = Effect.void;
    const ready = Effect.suspend(() => notReady ? Effect.fail({ message: notReady }) : ping);

    const context = yield* Effect.context<never>();
    const respond: Fetch = (request) => {
      const answer = probe(new URL(request.url).pathname, ready);
      if (answer) return Effect.runPromiseWith(context)(answer);
      if (fetchHandler) return fetchHandler(request);
      return options.http ? starting() : new Response("not found\n", { status: 404 });
    };
    const [port, setting] = options.http
      ? [config.port, "SUBTAXA_PORT"] as const
      : [config.probePort, "SUBTAXA_PROBE_PORT"] as const;
    const server = yield* Effect.acquireRelease(
      Effect.try({
        try: () => Deno.serve({ hostname: config.host, port, onListen: () => undefined }, respond),
        catch: (cause) => cannotListen(config.host, port, setting, cause),
      }),
      (server) => Effect.promise(() => server.shutdown()).pipe(Effect.timeoutOption("3 seconds")),
    );
    yield* Effect.logInfo("listening").pipe(Effect.annotateLogs({ port: server.addr.port, pid: Deno.pid }));

    const basics = Layer.mergeAll(Bus.layer, Blobs.layer).pipe(
      Layer.provideMerge(Connection.layer(options.name)),
    );
    return yield* Effect.gen(function* () {
      ping = (yield* Bus).ping;
      const { lost } = yield* Connection;
      if (options.http) fetchHandler = yield* options.http;
      notReady = "";
      yield* Effect.addFinalizer(() => Effect.sync(() => notReady = "stopping"));
      const consumers = options.consumers.map(({ handler, ...consumer }) =>
        consume({
          ...consumer,
          onSettled: (settled) =>
            Effect.all([logSettled(settled), countSettled(consumer.durable, settled)], { discard: true }),
        }, (event) => handler(event).pipe(measureWork(consumer.durable, event)))
      );
      const lag = measureLags(options.consumers.map(({ durable }) => durable));
      return yield* Effect.all([lost, lag, ...consumers, ...(options.background ?? [])], {
        concurrency: "unbounded",
        discard: true,
      });
    }).pipe(Effect.provide(options.layer.pipe(Layer.provideMerge(basics))));
  }).pipe(Effect.scoped);

/** The streams and the service's durable consumers, without taking a message. */
const register = <R, E>({ name, consumers }: ServiceOptions<R, E>) =>
  Effect.forEach(consumers, registerConsumer, { discard: true }).pipe(
    Effect.andThen(Effect.logInfo("registered")),
    Effect.provide(Connection.layer(name)),
  );

const untilStdinCloses = async () => {
  const reader = Deno.stdin.readable.getReader();
  while (!(await reader.read()).done);
};

/**
 * Runs a service as this process: JSON log lines on standard output with the service's name, SIGTERM and SIGINT drain it
 * (no new message is taken, the one at work goes back to the stream at its next batch) and end the process with 0, a
 * failure to start or a lost dependency with 1.
 */
export const runService = <R, E extends Failure>(options: ServiceOptions<R, E>): void => {
  const main = Effect.gen(function* () {
    const { logLevel, stopWithParent, registerOnly } = yield* ServiceConfig;
    const parentGone = stopWithParent ? Effect.promise(untilStdinCloses) : Effect.never;
    if (registerOnly) return yield* register(options);
    yield* serve(options).pipe(
      Effect.raceFirst(parentGone),
      Effect.raceFirst(uncaught),
      Effect.provideService(References.MinimumLogLevel, logLevel),
    );
  }).pipe(
    Effect.onInterrupt(() => Effect.logInfo("stopped")),
    Effect.tapCause((cause) =>
      Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logFatal("the service ends", cause)
    ),
    Effect.annotateLogs({ service: options.name }),
    Effect.provide(telemetry(options.name)),
    Effect.provide(Logger.layer([Logger.consoleJson])),
  );
  const fiber = Effect.runFork(main);
  const stop = () => fiber.interruptUnsafe();
  Deno.addSignalListener("SIGTERM", stop);
  Deno.addSignalListener("SIGINT", stop);
  fiber.addObserver((exit) => Deno.exit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1));
};
