import {
  encodeFeatures,
  encodeImages,
  encodeLabels,
  encodePredictions,
  encodeViews,
} from "@subtaxa/contracts";
import { tableFromIPC } from "apache-arrow";

const one = Uint32Array.of(0);
const zero = Uint16Array.of(0);
const number = Float32Array.of(0);

/** A table of one row of every artifact, as the code itself writes it. */
const written = {
  images: encodeImages({ image: one, class: zero }),
  features: encodeFeatures({ image: one, values: number, dimension: 1 }),
  views: encodeViews({ image: one, values: Float16Array.of(0), views: 1, dimension: 1 }),
  labels: encodeLabels({
    image: one,
    class: zero,
    cluster: zero,
    distance: number,
    subclasses: [{ class: 0, id: 0, from: 0 }],
    highestIds: [0],
  }),
  predictions: encodePredictions({
    image: one,
    true: zero,
    predicted: zero,
    probability: number,
    classes: 1,
  }),
};

const meaning: Readonly<Record<string, string>> = {
  image: "index into the manifest's images",
  class: "index into spec.classes",
  cluster: "sub-class id within the class",
  distance:
    "Euclidean distance of the embedding, scaled as spec.normalisation says, to the mean of those of its sub-class; 0 in a class of one sub-class",
  embedding: "as many values as the network's embedding has, the same in every row",
  views: "a frozen backbone's features of each view, as many views as the metadata say, one after the other",
  true: "index into spec.classes",
  predicted: "index into spec.classes",
  probability: "one value per class",
};

/** The layout of every artifact that is a table: read back from what is written, so that it can't differ from it. */
export const arrowLayout = (): unknown =>
  Object.fromEntries(
    Object.entries(written).map(([artifact, bytes]) => {
      const { schema } = tableFromIPC(bytes);
      return [artifact, {
        format: "Arrow IPC stream, not compressed, any number of record batches",
        columns: schema.fields.map(({ name, type, nullable }) => ({
          name,
          type: String(type).replace("FixedSizeList[1]", "FixedSizeList[n]"),
          nullable,
          meaning: meaning[name],
        })),
        metadata: {
          key: [...schema.metadata.keys()],
          value: `JSON: artifacts/${artifact}.metadata.schema.json`,
        },
      }];
    }),
  );
