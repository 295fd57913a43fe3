import { Effect } from "effect";
import { expect } from "expect";
import { until } from "./support.ts";

Deno.test("a wait in vain ends, and names what was waited for, also when no answer comes", async () => {
  for (const ask of [() => Promise.resolve("new"), () => new Promise<string>(() => undefined)]) {
    const error = await Effect.runPromise(
      Effect.flip(until("a full moon", ask, (answer) => answer === "full", "1 millis")),
    );
    expect(error).toMatchObject({ _tag: "WaitedInVain", message: "a full moon: waited in vain for 1ms" });
  }
  expect(await Effect.runPromise(until("half a moon", () => Promise.resolve("half"), Boolean))).toBe("half");
});
