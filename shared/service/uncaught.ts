import { Effect } from "effect";

const isReset = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "ECONNRESET" || error.code === "EPIPE");

/**
 * Dies of an error or a rejection that nobody could catch, which would otherwise end the process without a word, and with the
 * message at work. NATS' client takes its listeners off a socket before it destroys it: a reset by the server that comes just
 * then is about a connection that it has given up, and passed over.
 */
export const uncaught: Effect.Effect<never> = Effect.callback<never>((resume) => {
  const end = (event: ErrorEvent | PromiseRejectionEvent) => {
    event.preventDefault();
    if (!(event instanceof ErrorEvent)) resume(Effect.die(event.reason));
    else if (!isReset(event.error)) resume(Effect.die(event.error));
  };
  const kinds = ["error", "unhandledrejection"] as const;
  for (const kind of kinds) globalThis.addEventListener(kind, end);
  return Effect.sync(() => kinds.forEach((kind) => globalThis.removeEventListener(kind, end)));
});
