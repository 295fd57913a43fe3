import { type KMeansResult, KMeansSearch, type KMeansSettings, type Search } from "./kmeans.ts";
import type { Points } from "./points.ts";
import { SAMPLE, SampledSearch } from "./sampled.ts";

/**
 * K-Means on one class, for any k up to `slots`. Every step sees all rows, unless there are more than twice as many as a
 * sample takes.
 */
export const searchFor = (points: Points, slots: number, settings: KMeansSettings): Search =>
  points.rows > 2 * SAMPLE
    ? new SampledSearch(points, slots, settings)
    : new KMeansSearch(points, slots, settings);

/** K-Means for one k ≥ 1. Same points, settings and random stream: same result. */
export const kMeans = (points: Points, k: number, settings: KMeansSettings): KMeansResult =>
  searchFor(points, k, settings).solve(k);
