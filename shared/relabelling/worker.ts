import { type Divide, generatePseudoLabels, type PseudoLabels } from "@subtaxa/clustering";
import {
  type ClassState,
  decodeFeatures,
  decodeLabels,
  encodeLabels,
  type RunSpec,
} from "@subtaxa/contracts";
import { parseManifest, split } from "@subtaxa/dataset";
import { serveTensorWork, type WorkContext } from "@subtaxa/tensorflow";
import { Effect, Result } from "effect";

export interface RelabelInput {
  readonly spec: RunSpec;
  readonly fold: number;
  readonly epoch: number;
  readonly classes: readonly ClassState[];
  readonly manifestFile: string;
  readonly featuresFile: string;
  /** The pseudo-labels in force; null while every class is whole. */
  readonly labelsFile: string | null;
  /** Gets the `labels` artifact. */
  readonly outputFile: string;
}

const operationsOf = (divideFor: (spec: RunSpec) => Divide) => ({
  /** Writes the new pseudo-labels of the fold's training images, and tells what they come to. */
  relabel: async (
    input: RelabelInput,
    context: WorkContext<{ done: number; total: number }>,
  ): Promise<Omit<PseudoLabels, "labels">> => {
    const { spec, fold, epoch, classes, manifestFile, featuresFile, labelsFile, outputFile } = input;
    const manifest = await Effect.runPromise(
      parseManifest(await Deno.readFile(manifestFile), spec.manifest.key),
    );
    const classOf = manifest.images.map((image) => image.class);
    const { labels, ...summary } = Result.getOrThrow(generatePseudoLabels(
      {
        spec,
        fold,
        epoch,
        classes,
        train: split(classOf, { seed: spec.seed, folds: spec.folds, fold }).train,
        classOf,
        features: decodeFeatures(await Deno.readFile(featuresFile)),
        previous: labelsFile === null ? null : decodeLabels(await Deno.readFile(labelsFile)),
      },
      divideFor(spec),
      (done) => context.progress({ done, total: classes.length }),
    ));
    await Deno.writeFile(outputFile, encodeLabels(labels));
    return summary;
  },
});

export type ClustererWork = ReturnType<typeof operationsOf>;

/** Makes this module a clusterer's worker, which divides classes as the run's settings say. */
export const serveClusterer = (divideFor: (spec: RunSpec) => Divide): void =>
  serveTensorWork(operationsOf(divideFor));
