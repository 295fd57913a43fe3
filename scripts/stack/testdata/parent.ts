// Starts a stack of fake services and waits for its own end: the parent that a test kills.
import { Effect } from "effect";
import { startStack } from "../mod.ts";

const [dataFolder = "", module = ""] = Deno.args;
await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
  const stack = yield* startStack({
    dataFolder,
    port: 0,
    services: [{ name: "gateway", module, env: { FAKE_MODE: "gateway" } }, { name: "trainer", module }],
  });
  yield* stack.ready;
  console.log(JSON.stringify(stack.processes()));
  yield* Effect.never;
})));
