import {
  Field,
  FixedSizeList,
  Float16,
  Float32,
  makeData,
  makeVector,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  Table,
  tableFromIPC,
  tableToIPC,
  Uint16,
  Uint32,
} from "apache-arrow";
import { Data } from "effect";
import { z } from "zod";
import type { Failure } from "./failure.ts";

/**
 * The tables that travel as blobs between services, as Arrow IPC streams: any language can read them.
 * `image` is always the index into the manifest's images.
 */

/** An artifact's bytes are not the table that was promised. */
export class ArtifactError extends Data.TaggedError("ArtifactError")<{
  readonly reason: { readonly _tag: "Malformed"; readonly artifact: string };
  readonly message: string;
}> implements Failure {
  readonly retryable = false;
}

/** Images with the index of their class, in the manifest's order. */
export interface Images {
  readonly image: Uint32Array;
  readonly class: Uint16Array;
}

/** Embeddings: row i of `values` (N × `dimension`, row-major) belongs to image `image[i]`. */
export interface Features {
  readonly image: Uint32Array;
  readonly values: Float32Array;
  readonly dimension: number;
}

/**
 * A frozen backbone's features of several views of each image: row i of `values` (N × `views` × `dimension`, row-major)
 * belongs to image `image[i]`. Half precision, whose relative error is at most 2^-11.
 */
export interface ViewFeatures {
  readonly image: Uint32Array;
  readonly values: Float16Array;
  readonly views: number;
  readonly dimension: number;
}
const ViewsMetadata = z.object({ views: z.number().int().min(1) });

/** A sub-class: `id` stays with it from epoch to epoch; `from` is the sub-class whose head row it starts from. */
export const Subclass = z.object({
  class: z.number().int().min(0),
  id: z.number().int().min(0),
  from: z.number().int().min(0),
});
export type Subclass = z.infer<typeof Subclass>;
const LabelsMetadata = z.object({
  subclasses: z.array(Subclass),
  highestIds: z.array(z.number().int().min(0)),
});

/**
 * Pseudo-labels of a fold's training images: class, sub-class id within the class, and the Euclidean distance of
 * the embedding, scaled as `spec.normalisation` says, to the mean of those of its sub-class (0 in a class of one sub-class).
 * `subclasses` lists every sub-class once, sorted by
 * class, then id: its index is the row of the head. A whole class has the one sub-class it had last.
 */
export interface Labels {
  readonly image: Uint32Array;
  readonly class: Uint16Array;
  readonly cluster: Uint16Array;
  readonly distance: Float32Array;
  readonly subclasses: readonly Subclass[];
  /** Per class: the highest sub-class id given so far, in this epoch or an earlier one. No id is given twice. */
  readonly highestIds: readonly number[];
}

/** Held-out images: true and predicted class, and `probability` (N × classes, row-major). */
export interface Predictions {
  readonly image: Uint32Array;
  readonly true: Uint16Array;
  readonly predicted: Uint16Array;
  readonly probability: Float32Array;
  readonly classes: number;
}

type Column = Uint32Array | Uint16Array | Float32Array | {
  values: Float32Array | Float16Array;
  width: number;
};

const itemsOf = (values: Float32Array | Float16Array) =>
  values instanceof Float32Array
    ? makeData({ type: new Float32(), data: values })
    // Arrow's arrays of half-precision numbers are their bits
    : makeData({
      type: new Float16(),
      data: new Uint16Array(values.buffer, values.byteOffset, values.length),
    });

const columnData = (column: Column) => {
  if (column instanceof Uint32Array) return makeData({ type: new Uint32(), data: column });
  if (column instanceof Uint16Array) return makeData({ type: new Uint16(), data: column });
  if (column instanceof Float32Array) return makeData({ type: new Float32(), data: column });
  const child = itemsOf(column.values);
  return makeData({
    type: new FixedSizeList(column.width, new Field("item", child.type, false)),
    length: column.values.length / column.width,
    child,
  });
};

const tableOf = (
  artifact: string,
  columns: Record<string, Column>,
  metadata: Record<string, unknown> = {},
) => {
  const entries = Object.entries(columns).map(([name, column]) => [name, columnData(column)] as const);
  const fields = entries.map(([name, data]) => new Field(name, data.type, false));
  const schema = new Schema(fields, new Map([["subtaxa", JSON.stringify({ artifact, v: 1, ...metadata })]]));
  const children = entries.map(([, data]) => data);
  const length = children[0]?.length ?? 0;
  const batch = new RecordBatch(
    schema,
    makeData({ type: new Struct(fields), length, children, nullCount: 0 }),
  );
  return new Table(schema, [batch]);
};

const encode = (...parts: Parameters<typeof tableOf>): Uint8Array => tableToIPC(tableOf(...parts), "stream");

const malformed = (artifact: string, detail: string) =>
  new ArtifactError({
    reason: { _tag: "Malformed", artifact },
    message: `not a ${artifact} table: ${detail}`,
  });

/**
 * Reads the table back as plain typed arrays: copies, so that the bytes may go, but for a matrix that lies in one piece, which
 * stays where it is, as it is nearly all of the bytes. Throws `ArtifactError`.
 */
const decode = (artifact: string, bytes: Uint8Array) => {
  let table: Table;
  let metadata: Record<string, unknown>;
  try {
    table = tableFromIPC(bytes);
    metadata = JSON.parse(table.schema.metadata.get("subtaxa") ?? "{}");
  } catch (cause) {
    throw malformed(artifact, String(cause));
  }
  if (metadata.artifact !== artifact || metadata.v !== 1) {
    throw malformed(
      artifact,
      `its metadata say ${JSON.stringify(metadata.artifact ?? null)}, version ${metadata.v}`,
    );
  }
  const child = (name: string) => {
    const vector = table.getChild(name);
    if (!vector) throw malformed(artifact, `column '${name}' is missing`);
    return vector;
  };
  return {
    metadata,
    rows: table.numRows,
    uint32: (name: string) => Uint32Array.from(child(name).toArray() as Uint32Array),
    uint16: (name: string) => Uint16Array.from(child(name).toArray() as Uint16Array),
    float32: (name: string) => Float32Array.from(child(name).toArray() as Float32Array),
    /** `bits`: the constructor of what Arrow keeps such numbers in. */
    matrix: <A extends Float32Array | Uint16Array>(
      name: string,
      item: "Float32" | "Float16",
      bits: new (length: number) => A,
    ) => {
      const { data, type } = child(name);
      const width = (type as FixedSizeList).listSize;
      if (String(type) !== `FixedSizeList[${width}]<${item}>`) {
        throw malformed(artifact, `column '${name}' is ${type}, not FixedSizeList<${item}>`);
      }
      const valuesOf = (chunk: (typeof data)[number]) => {
        const values = makeVector(chunk.children[0]!).toArray() as A;
        const length = chunk.length * width;
        if (values.length >= length) return values.subarray(0, length) as A;
        throw malformed(
          artifact,
          `column '${name}' has ${values.length} values in ${chunk.length} rows of ${width}`,
        );
      };
      if (data.length === 1) return { values: valuesOf(data[0]!), width };
      const out = new bits(table.numRows * width);
      let at = 0;
      for (const chunk of data) {
        const part = valuesOf(chunk);
        out.set(part, at);
        at += part.length;
      }
      return { values: out, width };
    },
  };
};

export const encodeImages = (images: Images): Uint8Array =>
  encode("images", { image: images.image, class: images.class });

export const decodeImages = (bytes: Uint8Array): Images => {
  const table = decode("images", bytes);
  return { image: table.uint32("image"), class: table.uint16("class") };
};

export const encodeFeatures = (features: Features): Uint8Array =>
  encode("features", {
    image: features.image,
    embedding: { values: features.values, width: features.dimension },
  });

export const decodeFeatures = (bytes: Uint8Array): Features => {
  const table = decode("features", bytes);
  const { values, width } = table.matrix("embedding", "Float32", Float32Array);
  return { image: table.uint32("image"), values, dimension: width };
};

const viewsTable = ({ image, values, views, dimension }: ViewFeatures) =>
  tableOf("views", { image, views: { values, width: views * dimension } }, { views });

export const encodeViews = (features: ViewFeatures): Uint8Array => tableToIPC(viewsTable(features), "stream");

/**
 * The table in pieces, of which the largest are the values themselves: a copy of them all, as `encodeViews` makes it, may be
 * too much.
 */
export const viewChunks = (features: ViewFeatures): AsyncIterable<Uint8Array> =>
  RecordBatchStreamWriter.writeAll(viewsTable(features))[Symbol.asyncIterator]();

export const decodeViews = (bytes: Uint8Array): ViewFeatures => {
  const table = decode("views", bytes);
  const metadata = ViewsMetadata.safeParse(table.metadata);
  if (!metadata.success) throw malformed("views", "its metadata don't say how many there are");
  const { views } = metadata.data;
  const { values: bits, width } = table.matrix("views", "Float16", Uint16Array);
  if (width % views !== 0) throw malformed("views", `its rows of ${width} values are not ${views} views`);
  const values = new Float16Array(bits.buffer, bits.byteOffset, bits.length);
  return { image: table.uint32("image"), values, views, dimension: width / views };
};

export const encodeLabels = (labels: Labels): Uint8Array =>
  encode("labels", {
    image: labels.image,
    class: labels.class,
    cluster: labels.cluster,
    distance: labels.distance,
  }, { subclasses: labels.subclasses, highestIds: labels.highestIds });

export const decodeLabels = (bytes: Uint8Array): Labels => {
  const table = decode("labels", bytes);
  const metadata = LabelsMetadata.safeParse(table.metadata);
  if (!metadata.success) throw malformed("labels", "its metadata list no sub-classes");
  return {
    image: table.uint32("image"),
    class: table.uint16("class"),
    cluster: table.uint16("cluster"),
    distance: table.float32("distance"),
    ...metadata.data,
  };
};

export const encodePredictions = (predictions: Predictions): Uint8Array =>
  encode("predictions", {
    image: predictions.image,
    true: predictions.true,
    predicted: predictions.predicted,
    probability: { values: predictions.probability, width: predictions.classes },
  });

export const decodePredictions = (bytes: Uint8Array): Predictions => {
  const table = decode("predictions", bytes);
  const { values, width } = table.matrix("probability", "Float32", Float32Array);
  return {
    image: table.uint32("image"),
    true: table.uint16("true"),
    predicted: table.uint16("predicted"),
    probability: values,
    classes: width,
  };
};

/** Throws `ArtifactError` unless a table has exactly one row for each of these images, in their order. */
export const requireImages = (
  artifact: string,
  { image }: Pick<Images, "image">,
  expected: Uint32Array,
): void => {
  if (image.length !== expected.length) {
    throw malformed(artifact, `it has ${image.length} rows for ${expected.length} images`);
  }
  const row = image.findIndex((index, n) => index !== expected[n]);
  if (row >= 0) {
    throw malformed(artifact, `its row ${row} belongs to image ${image[row]}, not ${expected[row]}`);
  }
};

type Values = Uint32Array | Uint16Array | Float32Array | Float16Array;

/** The values of several columns, one after the other. */
const concatenate = <A extends Values>(parts: readonly A[], into: (length: number) => A): A => {
  const all = into(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
};
const uint32 = (length: number) => new Uint32Array(length);
const uint16 = (length: number) => new Uint16Array(length);
const float32 = (length: number) => new Float32Array(length);

/** The rows of all tables in order; there is at least one table, and all have the same dimension. */
export const concatenateFeatures = (parts: readonly Features[]): Features => ({
  image: concatenate(parts.map(({ image }) => image), uint32),
  values: concatenate(parts.map(({ values }) => values), float32),
  dimension: parts[0]!.dimension,
});

/**
 * The rows of several tables in order, each table asked for once and let go before the next; there is at least one, and all
 * have the same views of the same dimension. Throws `ArtifactError` where they haven't, or have other than `rows` rows.
 */
export const concatenateViews = (
  parts: Iterable<ViewFeatures>,
  rows: number,
): ViewFeatures => {
  const image = new Uint32Array(rows);
  let all: ViewFeatures | undefined;
  let at = 0;
  for (const { views, dimension, ...part } of parts) {
    all ??= { image, values: new Float16Array(rows * views * dimension), views, dimension };
    if (views !== all.views || dimension !== all.dimension) {
      throw malformed(
        "views",
        `a part has ${views} × ${dimension} values, others ${all.views} × ${all.dimension}`,
      );
    }
    if (at + part.image.length > rows) throw malformed("views", `its parts have more than ${rows} rows`);
    image.set(part.image, at);
    all.values.set(part.values, at * views * dimension);
    at += part.image.length;
  }
  if (!all || at < rows) throw malformed("views", `its parts have ${at} rows of ${rows}`);
  return all;
};

/** The rows of all tables in order; there is at least one table, and all have the same classes. */
export const concatenatePredictions = (parts: readonly Predictions[]): Predictions => ({
  image: concatenate(parts.map(({ image }) => image), uint32),
  true: concatenate(parts.map((part) => part.true), uint16),
  predicted: concatenate(parts.map(({ predicted }) => predicted), uint16),
  probability: concatenate(parts.map(({ probability }) => probability), float32),
  classes: parts[0]!.classes,
});
