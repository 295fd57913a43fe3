// A service for the tests: takes run.requested and works on it for as long as its run id says.
import { subjects } from "@subtaxa/contracts";
import { Effect, Layer } from "effect";
import { runService } from "../mod.ts";

runService({
  name: "sleeper",
  layer: Layer.empty,
  consumers: [{
    durable: "sleeper",
    filters: [subjects.of("run.requested")],
    handler: (event) =>
      Effect.logInfo("working").pipe(
        Effect.andThen(Effect.sleep("runId" in event && event.runId === "long" ? "10 minutes" : "1 millis")),
        Effect.as({ events: [] }),
      ),
  }],
});
