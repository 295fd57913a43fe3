import { reconcileExhausted } from "@subtaxa/bus";
import { runService } from "@subtaxa/service";
import { Effect } from "effect";
import { Api } from "./api/mod.ts";
import { gauges } from "./gauges.ts";
import { importDataset, importFilters } from "./handlers.ts";
import { gatewayLayer } from "./layers.ts";
import { sweeping } from "./sweep.ts";
import { watchClusterers } from "./watch_clusterers.ts";

runService({
  name: "gateway",
  layer: gatewayLayer,
  consumers: [{ durable: "importer", filters: importFilters, handler: importDataset }],
  background: [reconcileExhausted, watchClusterers, gauges, sweeping],
  http: Effect.map(Api, (api) => api.fetch),
});
