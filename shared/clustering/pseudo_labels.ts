import type { ClassState, Features, Images, Labels, RunSpec, Subclass } from "@subtaxa/contracts";
import { normalisedMutualInformation } from "@subtaxa/metrics";
import { random } from "@subtaxa/random";
import { Result } from "effect";
import { ClusteringError } from "./errors.ts";
import { matchClusters } from "./matching.ts";
import { bringToFront } from "./points.ts";
import { type Divide, relabelClass } from "./relabel.ts";

export interface PseudoLabelInput {
  readonly spec: Pick<RunSpec, "seed" | "normalisation">;
  readonly fold: number;
  /** The epoch whose embeddings these are. */
  readonly epoch: number;
  /** Algorithm 1's state per class, after the adaptation. */
  readonly classes: readonly ClassState[];
  /** The training images, each once. */
  readonly images: Images;
  /**
   * Embeddings of at least the training images of classes with more than one allowed cluster. Used up: their values are
   * put in order and normalised where they are, as a large class's rows are most of the memory that there is.
   */
  readonly features: Features;
  /** Pseudo-labels in force; null while every class is whole. */
  readonly previous: Labels | null;
}

export interface PseudoLabels {
  readonly labels: Labels;
  readonly classes: readonly ClassState[];
  readonly changes: readonly { readonly class: string; readonly from: number; readonly to: number }[];
  /** Normalised mutual information of the sub-class assignments of all training images, before and now. */
  readonly agreement: number;
}

/**
 * Algorithm 1, "Generate the clusters and pseudo-labels", for each class in turn, divided by `divide`. A class that may
 * have one cluster only is whole: no features are needed for it. Fails when an embedding that is needed is missing or not finite.
 */
export const generatePseudoLabels = (
  input: PseudoLabelInput,
  divide: Divide,
  onClass: (done: number) => void = () => undefined,
): Result.Result<PseudoLabels, ClusteringError> =>
  Result.gen(function* () {
    const { spec, classes, features, previous } = input;
    const { image: train, class: classOf } = input.images;
    // by image, as arrays: maps of large data sets take several times the memory
    const images = train.reduce((most, image) => Math.max(most, image + 1), 0);
    const rowOf = new Int32Array(images).fill(-1);
    features.image.forEach((image, row) => image < images && (rowOf[image] = row));
    const formerId = new Uint16Array(images);
    previous?.image.forEach((image, i) => image < images && (formerId[image] = previous.cluster[i]!));
    const members = classes.map((): number[] => []);
    classOf.forEach((index, position) => members[index]!.push(position));

    const cluster = new Uint16Array(train.length);
    const distance = new Float32Array(train.length);
    const subclasses: Subclass[] = [];
    const highestIds: number[] = [];
    const states: ClassState[] = [];
    const changes: { class: string; from: number; to: number }[] = [];

    const divided = classes.flatMap(({ allowedClusters }, index) => allowedClusters > 1 ? [index] : []);
    const rows = new Uint32Array(divided.reduce((sum, index) => sum + members[index]!.length, 0));
    let known = 0;
    for (const index of divided) {
      for (const position of members[index]!) {
        const image = train[position]!;
        const row = rowOf[image]!;
        if (row < 0) {
          return yield* Result.fail(
            ClusteringError.of({ _tag: "MissingFeatures", class: classes[index]!.name, image }),
          );
        }
        rows[known++] = row;
      }
    }
    const { values, dimension } = features;
    bringToFront(values, dimension, rows);
    let used = 0;
    /** Of the next divided class: its rows follow those of the one before. */
    const nextEmbeddings = (count: number) => values.subarray(used * dimension, (used += count) * dimension);

    for (const [index, state] of classes.entries()) {
      const positions = members[index]!;
      const former = positions.map((position) => formerId[train[position]!]!);
      const highestId = previous?.highestIds[index];
      const result = state.allowedClusters === 1
        ? {
          ...matchClusters(former, new Uint8Array(positions.length), highestId),
          distances: new Float32Array(positions.length),
        }
        : yield* relabelClass(
          nextEmbeddings(positions.length),
          dimension,
          former,
          divide,
          {
            allowedClusters: state.allowedClusters,
            normalisation: spec.normalisation,
            random: random(spec.seed, input.fold, input.epoch, index),
          },
          highestId,
        );
      positions.forEach((position, i) => {
        cluster[position] = result.ids[i]!;
        distance[position] = result.distances[i]!;
      });
      // a class without training images stays as it is
      const clusters = Math.max(1, result.clusters.length);
      subclasses.push(
        ...result.clusters.map(({ id, from }) => ({ class: index, id, from })).sort((a, b) => a.id - b.id),
      );
      highestIds.push(result.highestId);
      states.push({ ...state, clusters });
      if (clusters !== state.clusters) {
        changes.push({ class: state.name, from: state.clusters, to: clusters });
      }
      onClass(index + 1);
    }

    const width = Math.max(...highestIds) + 1;
    const key = (id: (image: number, position: number) => number) =>
      Uint32Array.from(train, (image, position) => classOf[position]! * width + id(image, position));
    return {
      labels: {
        image: train,
        class: classOf,
        cluster,
        distance,
        subclasses,
        highestIds,
      },
      classes: states,
      changes,
      agreement: normalisedMutualInformation(
        key((image) => formerId[image]!),
        key((_, position) => cluster[position]!),
      ),
    };
  });
