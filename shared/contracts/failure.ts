/**
 * What every typed error of Subtaxa carries besides its `_tag`, so that a service can decide what to do with a
 * failed message without knowing the module that failed.
 */
export interface Failure {
  readonly _tag: string;
  /** The precise cause, matched by its own tag. */
  readonly reason: { readonly _tag: string };
  /** One sentence for people: names the culprit (file, field, run) and what to do. */
  readonly message: string;
  /** Whether handling the same message again can succeed: true → redelivery with backoff, false → the run fails. */
  readonly retryable: boolean;
}

/** The error as events and the HTTP API show it: `BusError/BlobMissing`, and the sentence. */
export const describeFailure = (failure: Failure): { tag: string; message: string } => ({
  tag: `${failure._tag}/${failure.reason._tag}`,
  message: failure.message,
});
