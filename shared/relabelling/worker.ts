import { type Divide, generatePseudoLabels, type PseudoLabels } from "@subtaxa/clustering";
import {
  type ClassState,
  decodeFeatures,
  decodeImages,
  decodeLabels,
  encodeLabels,
  type Failure,
  type RunSpec,
} from "@subtaxa/contracts";
import { readOnce, serveTensorWork, type WorkContext } from "@subtaxa/tensorflow";
import { Data, Result } from "effect";
import type { z } from "zod";

export interface RelabelInput {
  readonly spec: RunSpec;
  readonly fold: number;
  readonly epoch: number;
  readonly classes: readonly ClassState[];
  /** Where the fold's training images are listed. */
  readonly imagesFile: string;
  readonly featuresFile: string;
  /** The pseudo-labels in force; null while every class is whole. */
  readonly labelsFile: string | null;
  /** Gets the `labels` artifact. */
  readonly outputFile: string;
}

/**
 * How a class is divided in a run with these settings; `P`: the settings of this clusterer alone. Who divides for long calls
 * `proceed` in between, and lets pass what it throws: the run has ended, or the process is to stop.
 */
export type DivideFor<P> = (spec: RunSpec, parameters: P, proceed: () => void) => Divide;

/** The caller asked for an early end. */
export class RelabellingCancelled extends Data.TaggedError("RelabellingCancelled")<{
  readonly reason: { readonly _tag: "Cancelled" };
  readonly message: string;
}> implements Failure {
  readonly retryable = false;
}

const operationsOf = <P>(parameters: z.ZodType<P>, divideFor: DivideFor<P>) => ({
  /** Writes the new pseudo-labels of the fold's training images, and tells what they come to. */
  relabel: async (
    input: RelabelInput,
    context: WorkContext<{ done: number; total: number }>,
  ): Promise<Omit<PseudoLabels, "labels">> => {
    const { spec, fold, epoch, classes, imagesFile, featuresFile, labelsFile, outputFile } = input;
    const proceed = () => {
      if (!context.cancelled()) return;
      throw new RelabellingCancelled({
        reason: { _tag: "Cancelled" },
        message: "the division was cancelled",
      });
    };
    const { labels, ...summary } = Result.getOrThrow(generatePseudoLabels(
      {
        spec,
        fold,
        epoch,
        classes,
        images: decodeImages(await Deno.readFile(imagesFile)),
        features: decodeFeatures(readOnce(featuresFile)),
        previous: labelsFile === null ? null : decodeLabels(await Deno.readFile(labelsFile)),
      },
      divideFor(spec, parameters.parse(spec.parameters), proceed),
      (done) => {
        context.progress({ done, total: classes.length });
        proceed();
      },
    ));
    await Deno.writeFile(outputFile, encodeLabels(labels));
    return summary;
  },
});

export type ClustererWork = ReturnType<typeof operationsOf>;

/** Makes this module a clusterer's worker, which divides classes as the run's settings say. */
export const serveClusterer = <P>(parameters: z.ZodType<P>, divideFor: DivideFor<P>): void =>
  serveTensorWork(operationsOf(parameters, divideFor));
