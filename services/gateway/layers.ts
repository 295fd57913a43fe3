import { KeyValue } from "@subtaxa/bus";
import { Effect, Layer } from "effect";
import { Absences } from "./absences.ts";
import { Api } from "./api/mod.ts";
import { Clusterers } from "./clusterers.ts";
import { GatewayError } from "./error.ts";
import { ReadModel } from "./read_model.ts";
import { Settings } from "./settings.ts";
import { KEY_LIFETIME } from "./start_run.ts";
import { removeAbandonedWorkspaces } from "./workspace.ts";

type Parts = Api | ReadModel | Absences | Clusterers | Settings | KeyValue;

/** All that the gateway's handlers and routes need besides the bus. */
export const gatewayLayer = Api.layer.pipe(
  Layer.provideMerge(Layer.mergeAll(
    ReadModel.layer,
    Clusterers.layer,
    KeyValue.layer("subtaxa-requests", KEY_LIFETIME),
    Absences.layer,
    Layer.effectDiscard(removeAbandonedWorkspaces),
  )),
  // the settings first: a gateway that must not start touches nothing
  Layer.provideMerge(Settings.layer),
  Layer.catchTag("ConfigError", ({ message }): Layer.Layer<Parts, GatewayError> =>
    Layer.effectContext(
      Effect.fail(
        new GatewayError({
          // the error itself names the setting in its sentence alone
          reason: { _tag: "Setting", name: /\["(\w+)"\]/.exec(message)?.[1] ?? "unknown" },
          message: `the environment can't be used: ${message}`,
        }),
      ),
    )),
);
