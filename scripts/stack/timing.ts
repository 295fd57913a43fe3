/** How patient the supervisor is, in milliseconds. */
export interface Timing {
  /** Pause before the first restart; it doubles with every crash in a row, up to the longest. */
  readonly firstPause: number;
  readonly longestPause: number;
  /** A process that ran this long has recovered: the next pause is the first again. */
  readonly stable: number;
  /** Between SIGTERM and SIGKILL. */
  readonly grace: number;
  /** From start to ready, for all services together. */
  readonly startTimeout: number;
  /** Crashes before becoming ready, in a row, after which a service is given up. */
  readonly startAttempts: number;
}

export const patience: Timing = {
  firstPause: 250,
  longestPause: 30_000,
  stable: 60_000,
  grace: 20_000,
  startTimeout: 180_000,
  startAttempts: 5,
};

/** Says, after a process that lasted so many milliseconds, how long to wait before the next. */
export const makePauses = ({ firstPause, longestPause, stable }: Timing): (lasted: number) => number => {
  let crashes = 0;
  return (lasted) => {
    crashes = lasted >= stable ? 1 : crashes + 1;
    return Math.min(longestPause, firstPause * 2 ** (crashes - 1));
  };
};
