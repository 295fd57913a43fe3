import {
  frozenStages,
  type Manifest,
  type RunRequest,
  type RunSpec,
  stagesOf,
  viewBytes,
  type Views,
  VIEWS_BYTES,
  viewsThatFit,
} from "@subtaxa/contracts";
import { Effect } from "effect";
import { fieldProblem, type ProblemError } from "./problem.ts";

type Field = keyof RunRequest;

/** Settings that are right each for itself, but not together: the field to change, and why. */
const contradiction = (request: RunRequest): readonly [Field, string] | undefined => {
  const { backbone, freeze, weights, augmentation, sampling, batchSize, imagesPerClass } = request;
  if (frozenStages(backbone, freeze) === undefined) {
    return [
      "freeze",
      `${backbone} has no stage '${freeze}': its stages are ${stagesOf[backbone].join(", ")}`,
    ];
  }
  if (freeze !== "none" && weights === "random") {
    return ["freeze", "random weights can't be frozen: choose pretrained `weights` too"];
  }
  if (freeze === "backbone" && augmentation !== "none") {
    return [
      "augmentation",
      "a frozen backbone's features are made before the training: set augmentation to none, as `views` is what turns and " +
      `mirrors the images, or freeze up to its last stage (${stagesOf[backbone].at(-1)}) instead`,
    ];
  }
  if (sampling === "grouped" && batchSize < 2 * imagesPerClass) {
    return [
      "imagesPerClass",
      `a batch of ${batchSize} has no room for two sub-classes of ${imagesPerClass} images`,
    ];
  }
};

/** Fails with a problem that names the field when settings contradict one another. */
export const checkSettings = (request: RunRequest): Effect.Effect<void, ProblemError> => {
  const found = contradiction(request);
  return found ? fieldProblem("invalid-request", ...found) : Effect.void;
};

/**
 * How many views a run on so many images has. The features of a frozen backbone must fit into one blob: fails with a problem
 * that says how many views do, unless the number was left open.
 */
export const settleViews = (
  { backbone, freeze, views }: Pick<RunRequest, "backbone" | "freeze" | "views">,
  images: number,
): Effect.Effect<Views, ProblemError> => {
  if (freeze !== "backbone") return Effect.succeed(views ?? 1);
  const most = viewsThatFit(backbone, images);
  if (views === undefined || views <= most) return Effect.succeed(views ?? most);
  const gib = (bytes: number) => (bytes / 2 ** 30).toFixed(1);
  return fieldProblem(
    "invalid-request",
    "views",
    `the features of ${views} views of ${images} images are ${
      gib(images * viewBytes(backbone, views))
    } GiB, and ` +
      `${gib(VIEWS_BYTES)} GiB are the most: ask for at most ${most}`,
  );
};

/**
 * Fails with a problem where images would be enlarged that the import has reduced to `maxSide` pixels: they have lost what
 * the network is to see, and would be resampled twice.
 */
export const checkSides = (
  { images }: Pick<Manifest, "images">,
  maxSide: number | undefined,
  { dataset, imageSize }: Pick<RunSpec, "dataset" | "imageSize">,
): Effect.Effect<void, ProblemError> =>
  maxSide === undefined || imageSize <= maxSide || images.every(({ side }) => side < maxSide)
    ? Effect.void
    : fieldProblem(
      "invalid-request",
      "imageSize",
      `the images of '${dataset}' were reduced to ${maxSide} pixels when they were imported, and can't be seen at ` +
        `${imageSize}: import them again with maxSide ${imageSize}, or choose an imageSize of at most ${maxSide}`,
    );
