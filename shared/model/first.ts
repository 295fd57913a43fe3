import type { RunSpec } from "@subtaxa/contracts";
import type { TrainingState } from "./checkpoint.ts";
import { ModelError } from "./error.ts";
import { newCheckpoint } from "./model.ts";
import { decodePretrained, type Pretrained } from "./pretrained/mod.ts";
import type { Fold } from "./run_data.ts";
import { type SizeScaling, sizeScalingOf } from "./sizes.ts";

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

const sizeScalingFor = (
  { sizeFeatures }: Pick<RunSpec, "sizeFeatures">,
  data?: Pick<Fold, "sizes" | "split">,
): SizeScaling | null => {
  if (!sizeFeatures) return null;
  if (!data?.sizes) throw new Error("a run with size features starts from its images' sizes");
  return sizeScalingOf(data.sizes, data.split.train);
};

/**
 * What a fold's first epoch starts from; `pretrainedFile` null: random weights. A run with size features needs the sizes in
 * `data`. Throws `ModelError`.
 */
export const firstCheckpoint = (
  spec: RunSpec,
  fold: number,
  pretrainedFile: string | null,
  data?: Pick<Fold, "sizes" | "split">,
): TrainingState =>
  newCheckpoint({
    ...spec,
    fold,
    sizeScaling: sizeScalingFor(spec, data),
    pretrained: pretrainedFile === null ? null : readPretrainedOf(spec, pretrainedFile),
  });
