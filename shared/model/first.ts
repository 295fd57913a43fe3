import type { RunSpec } from "@subtaxa/contracts";
import type { TrainingState } from "./checkpoint.ts";
import { ModelError } from "./error.ts";
import { newCheckpoint } from "./model.ts";
import { decodePretrained, type Pretrained } from "./pretrained/mod.ts";

/** Reads the weights that a run starts from. Throws `ModelError`: `Malformed`, or `Incompatible` for another network's. */
export const readPretrainedOf = (
  { backbone }: Pick<RunSpec, "backbone">,
  file: string,
): Pretrained => {
  const pretrained = decodePretrained(Deno.readFileSync(file), file);
  if (pretrained.backbone === backbone) return pretrained;
  throw new ModelError({
    reason: { _tag: "Incompatible", file },
    message: `${file} holds the weights of ${pretrained.backbone}, the run's network is ${backbone}`,
  });
};

/** What a fold's first epoch starts from; `pretrainedFile` null: random weights. Throws `ModelError`. */
export const firstCheckpoint = (spec: RunSpec, fold: number, pretrainedFile: string | null): TrainingState =>
  newCheckpoint({
    ...spec,
    fold,
    pretrained: pretrainedFile === null ? null : readPretrainedOf(spec, pretrainedFile),
  });
