// A service with an API for the tests, which never gets beyond starting.
import { Effect, Layer } from "effect";
import { runService } from "../mod.ts";

runService({ name: "starter", layer: Layer.effectDiscard(Effect.never), consumers: [], http: Effect.never });
