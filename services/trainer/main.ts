import { subjects } from "@subtaxa/contracts";
import { runService } from "@subtaxa/service";
import { train, Trainer } from "./handlers.ts";

runService({
  name: "trainer",
  layer: Trainer.layer,
  consumers: [{
    durable: "trainer",
    filters: [
      subjects.of("run.requested", "train"),
      subjects.of("backbone.extracted", "train"),
      subjects.of("dataset.relabelled", "train"),
      subjects.of("epoch.validated", "train"),
    ],
    handler: train,
  }],
});
