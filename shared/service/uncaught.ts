import { Effect } from "effect";

const isReset = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "ECONNRESET" || error.code === "EPIPE");

/**
 * Dies of an error that nobody could catch, which would otherwise end the process without a word. NATS' client takes its
 * listeners off a socket before it destroys it: a reset by the server that comes just then is about a connection that it has
 * given up, and passed over.
 */
export const uncaught: Effect.Effect<never> = Effect.callback<never>((resume) => {
  const end = (event: ErrorEvent) => {
    event.preventDefault();
    if (!isReset(event.error)) resume(Effect.die(event.error));
  };
  globalThis.addEventListener("error", end);
  return Effect.sync(() => globalThis.removeEventListener("error", end));
});
