import type { ClassState, Features, Images, Labels, RunSpec, Subclass } from "@subtaxa/contracts";
import { normalisedMutualInformation } from "@subtaxa/metrics";
import { random } from "@subtaxa/random";
import { Result } from "effect";
import { ClusteringError } from "./errors.ts";
import { matchClusters } from "./matching.ts";
import { selectRows } from "./points.ts";
import { type Divide, relabelClass } from "./relabel.ts";

export interface PseudoLabelInput {
  readonly spec: Pick<RunSpec, "seed" | "normalisation">;
  readonly fold: number;
  /** The epoch whose embeddings these are. */
  readonly epoch: number;
  /** Algorithm 1's state per class, after the adaptation. */
  readonly classes: readonly ClassState[];
  /** The training images. */
  readonly images: Images;
  /** Embeddings of at least the training images of classes with more than one allowed cluster. */
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
    const rowOf = new Map(Array.from(features.image, (image, row) => [image, row]));
    const formerId = new Map(
      previous ? Array.from(previous.image, (image, i) => [image, previous.cluster[i]!]) : [],
    );
    const members = classes.map((): number[] => []);
    classOf.forEach((index, position) => members[index]!.push(position));

    const cluster = new Uint16Array(train.length);
    const distance = new Float32Array(train.length);
    const subclasses: Subclass[] = [];
    const highestIds: number[] = [];
    const states: ClassState[] = [];
    const changes: { class: string; from: number; to: number }[] = [];

    const embeddingsOf = (positions: readonly number[], name: string) => {
      const rows = positions.map((position) => rowOf.get(train[position]!) ?? -1);
      const missing = rows.indexOf(-1);
      return missing < 0
        ? Result.succeed(selectRows(features.values, features.dimension, rows))
        : Result.fail(ClusteringError.of({
          _tag: "MissingFeatures",
          class: name,
          image: train[positions[missing]!]!,
        }));
    };

    for (const [index, state] of classes.entries()) {
      const positions = members[index]!;
      const former = positions.map((position) => formerId.get(train[position]!) ?? 0);
      const highestId = previous?.highestIds[index];
      const result = state.allowedClusters === 1
        ? {
          ...matchClusters(former, new Uint8Array(positions.length), highestId),
          distances: new Float32Array(positions.length),
        }
        : yield* relabelClass(
          yield* embeddingsOf(positions, state.name),
          features.dimension,
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
      Array.from(train, (image, position) => classOf[position]! * width + id(image, position));
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
        key((image) => formerId.get(image) ?? 0),
        key((_, position) => cluster[position]!),
      ),
    };
  });
