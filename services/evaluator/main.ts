import { subjects } from "@subtaxa/contracts";
import { runService } from "@subtaxa/service";
import { evaluate, Evaluator } from "./handlers.ts";

runService({
  name: "evaluator",
  layer: Evaluator.layer,
  consumers: [{
    durable: "evaluator",
    filters: [
      subjects.of("epoch.trained", "validate"),
      subjects.of("epoch.validated", "score"),
      subjects.of("shard.advanced", "validate"),
      subjects.of("shard.advanced", "score"),
      subjects.of("fold.completed", "join"),
    ],
    handler: evaluate,
  }],
});
