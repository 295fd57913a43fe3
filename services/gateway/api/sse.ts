import { Bus, type BusError } from "@subtaxa/bus";
import type { Event, Failure } from "@subtaxa/contracts";
import { Cause, Effect, Stream } from "effect";
import type { Context } from "hono";
import { type SSEMessage, streamSSE } from "hono/streaming";
import { z } from "zod";
import { ReadModel } from "../read_model.ts";
import type { ApiServices, Run } from "./runtime.ts";

const heartbeat = "15 seconds";

/** What one event stream tells. */
export interface Story<E extends Event, P> {
  /** Subjects of its facts, and the sequence to begin with. */
  readonly filter: string;
  readonly from: number;
  readonly isPart: (event: Event) => event is E;
  /** Whether the story ends with this fact. */
  readonly isLast: (event: E) => boolean;
  readonly view: (event: E) => unknown;
  readonly progress: {
    readonly subject: string;
    readonly schema: z.ZodType<P>;
    /** What is told of it. */
    readonly view: (progress: P) => Effect.Effect<unknown, never, ReadModel>;
  };
}

/**
 * The facts of a story, each with its sequence as id, up to the last one, with the progress in between. Whoever is told of
 * a fact finds it in the read model already.
 */
export const tell = <E extends Event, P>(
  { filter, from, isPart, isLast, view, progress }: Story<E, P>,
): Stream.Stream<SSEMessage, BusError, Bus | ReadModel> =>
  Stream.unwrap(Effect.gen(function* () {
    const bus = yield* Bus;
    const model = yield* ReadModel;
    const facts = bus.facts({ filter, from }).pipe(
      Stream.flatMap(({ seq, event }) => isPart(event) ? Stream.succeed({ seq, event }) : Stream.empty),
      Stream.tap(({ seq }) => model.seen(seq)),
      Stream.takeUntil(({ event }) => isLast(event)),
      Stream.map(({ seq, event }): SSEMessage => ({
        id: String(seq),
        event: event.type,
        data: JSON.stringify(view(event)),
      })),
    );
    const news = bus.listen(progress.subject, progress.schema).pipe(
      Stream.mapEffect(progress.view),
      Stream.map((value): SSEMessage => ({ event: "progress", data: JSON.stringify(value) })),
    );
    return Stream.merge(facts, news, { haltStrategy: "left" });
  }));

/**
 * Answers with Server-Sent Events: the messages as they come, a comment every 15 seconds so that no proxy takes the
 * connection for dead, and the end when the stream ends. A client that leaves, and a gateway that stops, interrupt it.
 */
export const sendEvents = <E extends Failure>(
  c: Context,
  run: Run,
  messages: Stream.Stream<SSEMessage, E, ApiServices>,
) => {
  c.header("X-Accel-Buffering", "no");
  // the body would be thrown away without being read to its end, and what it follows never let go
  if (c.req.method === "HEAD") return c.body(null, 200, { "Content-Type": "text/event-stream" });
  return streamSSE(c, async (sse) => {
    const left = new AbortController();
    sse.onAbort(() => left.abort());
    const beat = Stream.tick(heartbeat).pipe(Stream.map(() => null)); // the first at once: it carries the headers out
    const all = Stream.merge(messages, beat, { haltStrategy: "left" }).pipe(
      Stream.runForEach((message) =>
        Effect.promise(async () => {
          await (message ? sse.writeSSE(message) : sse.write(": alive\n\n"));
        })
      ),
      // the client comes back with Last-Event-ID and goes on where it was
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.interrupt
          : Effect.logWarning("an event stream broke off", cause)
      ),
    );
    await run(all, { signal: left.signal }).catch(() => undefined); // interrupted
  });
};

export const resumable = z.object({
  "last-event-id": z.string().optional().describe(
    "id of the last fact received; an EventSource sends it by itself",
  ),
});

/** The sequence after which the client wants to go on; 0, for all, when it names none that there has been. */
export const lastEventId = (c: Context): Effect.Effect<number, never, ReadModel> =>
  Effect.gen(function* () {
    const value = c.req.header("last-event-id") ?? "";
    const newest = yield* (yield* ReadModel).position;
    return /^\d{1,15}$/.test(value) && Number(value) <= newest ? Number(value) : 0;
  });
