import { batchesIn, portionsOf, type RunProgress, type ShardEvent, stepOf } from "@subtaxa/contracts";

/** How far the shards of a fold's step are, as far as is known. */
export interface Tally {
  readonly epoch: number;
  readonly step: RunProgress["step"];
  /** Units done, by shard. */
  readonly done: ReadonlyMap<number, number>;
  /** Images per second, by instance. */
  readonly speeds: ReadonlyMap<string, number>;
}

/**
 * Progress of a step as a whole: what a part of it says is added to what is known of the others. What comes late never takes
 * anything back. Progress of a step that is not spread stays as it is.
 */
export const addUp = (
  tally: Tally | undefined,
  progress: RunProgress,
): { readonly tally: Tally | undefined; readonly progress: RunProgress } => {
  const { part, ...whole } = progress;
  if (!part) return { tally, progress };
  const { epoch, step, total, imagesPerSecond } = progress;
  const known = tally?.epoch === epoch && tally.step === step ? tally : undefined;
  const before = known?.done.get(part.shard) ?? 0;
  const done = new Map(known?.done).set(part.shard, Math.max(before, progress.done));
  const speeds = new Map(known?.speeds);
  if (imagesPerSecond !== undefined) speeds.set(part.instance, imagesPerSecond);
  const sum = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);
  const [units, speed] = [sum(done.values()), sum(speeds.values())];
  return {
    tally: { epoch, step, done, speeds },
    progress: {
      ...whole,
      done: units,
      ...(speed > 0 && { imagesPerSecond: speed, secondsLeft: (total - units) * part.images / speed }),
    },
  };
};

/** What a shard's fact says of its step's progress. */
export const progressIn = (event: ShardEvent): RunProgress => {
  const { runId, fold, epoch, of, shard, division, portions, by = "" } = event;
  const { images, batch } = division;
  return {
    ...{ runId, fold, epoch, step: stepOf[of] },
    done: batchesIn(portionsOf(division, shard).slice(0, portions.length), batch),
    total: Math.ceil(images / batch),
    part: { shard, instance: by, images: batch },
  };
};
