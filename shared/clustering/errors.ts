import type { Failure } from "@subtaxa/contracts";
import { Data } from "effect";

export type ClusteringReason =
  | { readonly _tag: "NotFinite"; readonly row: number }
  | { readonly _tag: "Shape"; readonly values: number; readonly dimension: number }
  /** An image that is to be clustered has no row in the features. */
  | { readonly _tag: "MissingFeatures"; readonly class: string; readonly image: number }
  | { readonly _tag: "Classes"; readonly states: number; readonly falseNegatives: number };

const sentence = (reason: ClusteringReason): string => {
  switch (reason._tag) {
    case "NotFinite":
      return `row ${reason.row} of the embeddings is not finite: the training has diverged (try a lower learning rate)`;
    case "Shape":
      return `${reason.values} values are not rows of ${reason.dimension} dimensions`;
    case "MissingFeatures":
      return `image ${reason.image} of class ${reason.class} has no embedding in the features: the extractor left it out`;
    case "Classes":
      return `${reason.falseNegatives} false negatives were given for ${reason.states} classes`;
  }
};

/** Embeddings or states that can't be clustered. Doing the same again never helps. */
export class ClusteringError extends Data.TaggedError("ClusteringError")<{
  readonly reason: ClusteringReason;
  readonly message: string;
}> implements Failure {
  readonly retryable = false;

  static of(reason: ClusteringReason): ClusteringError {
    return new ClusteringError({ reason, message: sentence(reason) });
  }
}
