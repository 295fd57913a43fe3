import { KeyValue } from "@subtaxa/bus";
import { Context, Layer } from "effect";

/**
 * Since when a clusterer that runs wait for has had no live instance, by its name. Kept until one is alive again, because
 * `SUBTAXA_CLUSTERER_TIMEOUT` may be longer than any lifetime of entries.
 */
export class Absences extends Context.Service<Absences, KeyValue["Service"]>()("subtaxa/gateway/Absences") {
  static readonly layer = Layer.effect(Absences, KeyValue).pipe(
    Layer.provide(KeyValue.layer("subtaxa-absences")),
  );
}
