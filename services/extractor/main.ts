import { subjects } from "@subtaxa/contracts";
import { runService } from "@subtaxa/service";
import { extract, Extractor } from "./handlers.ts";

runService({
  name: "extractor",
  layer: Extractor.layer,
  consumers: [{
    durable: "extractor",
    filters: [subjects.of("adaptation.planned", "extract")],
    handler: extract,
  }],
});
