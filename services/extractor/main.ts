import { KeyValue } from "@subtaxa/bus";
import { subjects } from "@subtaxa/contracts";
import { runService } from "@subtaxa/service";
import { Layer } from "effect";
import { extract, Extractor } from "./handlers.ts";

runService({
  name: "extractor",
  layer: Layer.merge(Extractor.layer, KeyValue.layer("subtaxa-backbones")),
  consumers: [{
    durable: "extractor",
    filters: [
      subjects.of("run.requested", "extract"),
      subjects.of("adaptation.planned", "extract"),
      subjects.of("shard.advanced", "extract"),
    ],
    handler: extract,
  }],
});
