import { type Divide, generatePseudoLabels, type PseudoLabels } from "@subtaxa/clustering";
import {
  type ClassState,
  decodeFeatures,
  decodeImages,
  decodeLabels,
  encodeLabels,
  type Images,
  type RunSpec,
} from "@subtaxa/contracts";
import { parseManifest, split } from "@subtaxa/dataset";
import { serveTensorWork, type WorkContext } from "@subtaxa/tensorflow";
import { Effect, Result } from "effect";
import type { z } from "zod";

export interface RelabelInput {
  readonly spec: RunSpec;
  readonly fold: number;
  readonly epoch: number;
  readonly classes: readonly ClassState[];
  /** Where the fold's training images are listed; or the manifest, from which they follow. */
  readonly images: { readonly imagesFile: string } | { readonly manifestFile: string };
  readonly featuresFile: string;
  /** The pseudo-labels in force; null while every class is whole. */
  readonly labelsFile: string | null;
  /** Gets the `labels` artifact. */
  readonly outputFile: string;
}

/** The training images of the fold, with the class of every image that is one. */
const trainingImages = async ({ images, spec, fold }: RelabelInput): Promise<Images> => {
  if ("imagesFile" in images) return decodeImages(await Deno.readFile(images.imagesFile));
  const bytes = await Deno.readFile(images.manifestFile);
  const manifest = await Effect.runPromise(parseManifest(bytes, spec.manifest.key));
  const classOf = manifest.images.map((image) => image.class);
  const { train } = split(classOf, { seed: spec.seed, folds: spec.folds, fold });
  return { image: train, class: Uint16Array.from(train, (image) => classOf[image]!) };
};

/** How a class is divided in a run with these settings; `P`: the settings of this clusterer alone. */
export type DivideFor<P> = (spec: RunSpec, parameters: P) => Divide;

const operationsOf = <P>(parameters: z.ZodType<P>, divideFor: DivideFor<P>) => ({
  /** Writes the new pseudo-labels of the fold's training images, and tells what they come to. */
  relabel: async (
    input: RelabelInput,
    context: WorkContext<{ done: number; total: number }>,
  ): Promise<Omit<PseudoLabels, "labels">> => {
    const { spec, fold, epoch, classes, featuresFile, labelsFile, outputFile } = input;
    const { labels, ...summary } = Result.getOrThrow(generatePseudoLabels(
      {
        spec,
        fold,
        epoch,
        classes,
        images: await trainingImages(input),
        features: decodeFeatures(await Deno.readFile(featuresFile)),
        previous: labelsFile === null ? null : decodeLabels(await Deno.readFile(labelsFile)),
      },
      divideFor(spec, parameters.parse(spec.parameters)),
      (done) => context.progress({ done, total: classes.length }),
    ));
    await Deno.writeFile(outputFile, encodeLabels(labels));
    return summary;
  },
});

export type ClustererWork = ReturnType<typeof operationsOf>;

/** Makes this module a clusterer's worker, which divides classes as the run's settings say. */
export const serveClusterer = <P>(parameters: z.ZodType<P>, divideFor: DivideFor<P>): void =>
  serveTensorWork(operationsOf(parameters, divideFor));
