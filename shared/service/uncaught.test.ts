import { Cause, Effect, Exit } from "effect";
import { expect } from "expect";
import { uncaught } from "./mod.ts";

const raise = (error: Error) =>
  globalThis.dispatchEvent(new ErrorEvent("error", { error, message: error.message, cancelable: true }));

Deno.test("an error that nobody caught is what it dies of, a reset of a socket that was given up is not", async () => {
  const end = Effect.runPromiseExit(uncaught);
  expect(raise(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }))).toBe(false); // taken care of
  expect(raise(new TypeError("planted"))).toBe(false);
  const exit = await end;
  expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toMatch(/planted/);
});

Deno.test("a rejection that nobody handles is what it dies of, whatever it says", async () => {
  for (
    const error of [new TypeError("planted"), Object.assign(new Error("planted"), { code: "ECONNRESET" })]
  ) {
    const end = Effect.runPromiseExit(uncaught);
    Promise.reject(error);
    const exit = await end;
    expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toMatch(/planted/);
  }
});
