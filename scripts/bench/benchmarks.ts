import type { Benchmark } from "./benchmark.ts";
import { epochs } from "./epochs.ts";
import { importing } from "./importing.ts";
import { networks } from "./networks.ts";
import { eventOverheads, spreading } from "./spreading.ts";
import { xmeans } from "./xmeans.ts";

export const benchmarks: readonly Benchmark[] = [
  ...networks,
  ...xmeans,
  importing("grey", "zlib"),
  importing("RGB", "zlib"),
  importing("grey", "zstd"),
  importing("RGB", "zstd"),
  ...epochs,
  spreading,
  ...eventOverheads,
];
