// What the guard runs when its supervisor died: ends the processes that it left behind.
import { Effect } from "effect";
import { sweep } from "./leftovers.ts";
import { patience } from "./timing.ts";

const [dataFolder] = Deno.args;
if (dataFolder) {
  await Effect.runPromise(sweep(dataFolder, { grace: patience.grace, log: (line) => console.error(line) }));
}
