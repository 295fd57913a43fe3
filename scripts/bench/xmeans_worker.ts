// One round of X-Means per message, timed where it runs; the reply is its seconds and every row's cluster.
import { random } from "@subtaxa/random";
import { Result } from "effect";
import { Points, xMeans } from "../../services/clusterer/mod.ts";
import { readRows } from "./rows.ts";

export interface Round {
  readonly file: string;
  readonly dimension: number;
  readonly limit: number;
  /** M in the criterion that chooses. */
  readonly criterion: "nominal" | "effective";
}

export interface Divided {
  readonly seconds: number;
  readonly labels: Int32Array;
}

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<Round>) => void;
  postMessage: (divided: Divided) => void;
};

let points: Points | undefined;
scope.onmessage = ({ data: { file, dimension, limit, criterion } }) => {
  points ??= Result.getOrThrow(Points.of(readRows(file), dimension));
  const started = performance.now();
  const { assignments } = xMeans(points, {
    allowedClusters: limit,
    dimension: criterion,
    random: random(0),
  });
  const seconds = (performance.now() - started) / 1000;
  scope.postMessage({ seconds, labels: Int32Array.from(assignments) });
};
