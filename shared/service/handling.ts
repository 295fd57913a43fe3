import { Blobs, Bus, type BusError, scratchFileIn } from "@subtaxa/bus";
import {
  type BlobRef,
  type Event,
  type Failure,
  type FoldEvent,
  type FoldState,
  progressSubject,
  type RunProgress,
} from "@subtaxa/contracts";
import { Clock, Data, Effect, type Scope } from "effect";
import { measureProgress } from "./metrics.ts";

/** What handlers of every service do again and again. */

/** A handler was given an event that its consumer's filters should have kept away, or one without what it needs. */
export class HandlingError extends Data.TaggedError("HandlingError")<{
  readonly reason: { readonly _tag: "UnexpectedEvent"; readonly type: string };
  readonly message: string;
}> implements Failure {
  readonly retryable = false;
}

export const unexpected = (event: Event): Effect.Effect<never, HandlingError> =>
  Effect.fail(
    new HandlingError({
      reason: { _tag: "UnexpectedEvent", type: event.type },
      message: `this service can't act on ${event.type} as it is: the publisher doesn't keep to the contract`,
    }),
  );

/** The present time as events carry it. */
export const timestamp: Effect.Effect<string> = Effect.map(
  Clock.currentTimeMillis,
  (millis) => new Date(millis).toISOString(),
);

/**
 * Who owns a blob that is removed again: the step that makes it. Content that another fold or epoch makes too, such as an
 * empty table of features, must outlive this one's.
 */
export const ownerOf = ({ runId, fold, epoch }: FoldEvent): string => `${runId}.${fold}.${epoch}`;

/**
 * What goes when a fold has trained another epoch, or is complete: its checkpoint, unless it is the best one, and its
 * optimizer. So the best and the last checkpoint are kept while it is trained, and the best one afterwards.
 */
export const outdated = ({ checkpoint, optimizer, best }: FoldState): readonly BlobRef[] =>
  [checkpoint, optimizer].filter((ref) => ref !== null).filter(({ key }) => key !== best?.checkpoint.key);

/** A path for a file to be written and then given to `Blobs.putFile`; what is left of it goes with the scope. */
export const scratchFile: Effect.Effect<string, BusError, Blobs | Scope.Scope> = Effect.flatMap(
  Blobs,
  ({ cacheFolder }) => scratchFileIn(cacheFolder),
);

type Step = Pick<RunProgress, "runId" | "fold" | "epoch" | "step" | "splitting" | "part">;
type Advance = Omit<RunProgress, keyof Step>;

/** A callback that sends a worker's progress, at most ten times a second, and the last of a step always. */
export const progressOf = (step: Step): Effect.Effect<(advance: Advance) => void, never, Bus> =>
  Effect.map(Bus, (bus) => {
    let sent = 0;
    return (advance) => {
      const now = performance.now();
      if (now - sent < 100 && advance.done < advance.total) return;
      sent = now;
      Effect.runSync(
        Effect.andThen(
          measureProgress({ ...step, ...advance }),
          bus.progress(progressSubject.run(step.runId), { ...step, ...advance }),
        ),
      );
    };
  });
