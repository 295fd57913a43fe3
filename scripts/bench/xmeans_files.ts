import {
  type ClassState,
  encodeFeatures,
  encodeImages,
  RunRequest,
  type RunSpec,
  specOf,
} from "@subtaxa/contracts";
import { join } from "node:path";
import type { RelabelInput } from "@subtaxa/relabelling";
import { readRows } from "./rows.ts";

const classes = ["dominant", "rare"];
const spec: RunSpec = specOf(RunRequest.parse({ dataset: "blobs" }), {
  classes,
  manifest: { key: "m", sha256: "0".repeat(64), bytes: 1 },
});
const states = classes.map((name): ClassState => ({ name, allowedClusters: 5, flag: 0, clusters: 1 }));

/** What a clusterer is sent, below `folder`: one class has nearly all images. */
export const inputIn = (folder: string): RelabelInput => ({
  ...{ spec, fold: 0, epoch: 1, classes: states, labelsFile: null },
  imagesFile: join(folder, "images.arrow"),
  featuresFile: join(folder, "features.arrow"),
  outputFile: join(folder, "labels.arrow"),
});

/** Writes the files of `inputIn` for these rows: every hundredth belongs to the rare class. */
export const writeInput = (folder: string, rowsFile: string, dimension: number): void => {
  const values = readRows(rowsFile);
  const image = Uint32Array.from({ length: values.length / dimension }, (_, row) => row);
  const { imagesFile, featuresFile } = inputIn(folder);
  Deno.mkdirSync(folder);
  Deno.writeFileSync(
    imagesFile,
    encodeImages({ image, class: Uint16Array.from(image, (row) => Number(row % 100 === 0)) }),
  );
  Deno.writeFileSync(featuresFile, encodeFeatures({ image, values, dimension }));
};
