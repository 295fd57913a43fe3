// Prints the peak memory of X-Means on a file of float32 rows, as a multiple of theirs: xmeans_memory.ts FILE DIMENSION LIMIT
import { random } from "@subtaxa/random";
import { Result } from "effect";
import { Points, xMeans } from "../../services/clusterer/mod.ts";
import { readRows } from "./rows.ts";

const [file, dimension, limit] = [Deno.args[0]!, Number(Deno.args[1]), Number(Deno.args[2])];

/** The most that this process has had in memory so far, bytes. */
const peak = (): number =>
  1024 * Number(/VmHWM:\s+(\d+) kB/.exec(Deno.readTextFileSync("/proc/self/status"))![1]);

const before = peak();
const points = Result.getOrThrow(Points.of(readRows(file), dimension));
xMeans(points, { allowedClusters: limit, random: random(0) });
console.log((peak() - before) / points.values.byteLength);
