// One round of X-Means per message, timed where it runs; the reply is its seconds.
import { random } from "@subtaxa/random";
import { Result } from "effect";
import { Points, xMeans } from "../../services/clusterer/mod.ts";
import { readRows } from "./rows.ts";

interface Round {
  readonly file: string;
  readonly dimension: number;
  readonly limit: number;
}

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<Round>) => void;
  postMessage: (seconds: number) => void;
};

let points: Points | undefined;
scope.onmessage = ({ data: { file, dimension, limit } }) => {
  points ??= Result.getOrThrow(Points.of(readRows(file), dimension));
  const started = performance.now();
  xMeans(points, { allowedClusters: limit, random: random(0) });
  scope.postMessage((performance.now() - started) / 1000);
};
