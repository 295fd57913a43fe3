import type { Effect, Scope } from "effect";
import type { BenchError } from "./peer.ts";

/** Whether what our side came to is as good as what the peer came to. */
export interface Verdict {
  readonly asGood: boolean;
  /** What both came to. */
  readonly remark: string;
}

/** Two ways to do the same work; each call is one round and gives its figure. */
export interface Pair {
  readonly ours: Effect.Effect<number, BenchError>;
  readonly peer: Effect.Effect<number, BenchError>;
  /** Over all rounds, after the last one. Absent: there is nothing to compare but the figures. */
  readonly verdict?: Effect.Effect<Verdict, BenchError>;
}

export interface Benchmark {
  readonly name: string;
  readonly peerName: string;
  /** Of both figures, less being better; seconds unless said otherwise. */
  readonly unit?: string;
  /** The ratio to reach: how many times faster than the peer. */
  readonly target: number;
  readonly rounds: number;
  readonly prepare: (folder: string) => Effect.Effect<Pair, BenchError, Scope.Scope>;
}
