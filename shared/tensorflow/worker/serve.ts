import type { Operations, PlainFailure, Reply, Request, WorkContext } from "./protocol.ts";

/** The part of a worker's global scope that serving needs. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<Request>) => void) | null;
  postMessage(reply: Reply): void;
}

const isFailure = (cause: unknown): cause is PlainFailure => {
  if (typeof cause !== "object" || cause === null) return false;
  const { _tag, reason, message, retryable } = cause as Partial<PlainFailure>;
  return typeof _tag === "string" && typeof reason?._tag === "string" && typeof message === "string" &&
    typeof retryable === "boolean";
};

/** What TensorFlow (its status 8 is RESOURCE_EXHAUSTED) and V8 say where memory is short. */
const exhausted = /RESOURCE_EXHAUSTED|OOM when allocating|Invalid TF_Status: 8\b|allocation failed/;

/** Whether the machine is to blame: the system refused a call on files, by whose code it is known, or memory was short. */
const isOfMachine = (cause: unknown): boolean =>
  cause instanceof Error &&
  (/^E[A-Z0-9]+$/.test((cause as { code?: unknown }).code?.toString() ?? "") ||
    exhausted.test(cause.message));

const replyFor = (id: number, cause: unknown): Reply => {
  if (!isFailure(cause)) {
    const message = cause instanceof Error ? cause.message : String(cause);
    return { _tag: isOfMachine(cause) ? "Resources" : "Defect", id, message };
  }
  const { _tag, reason, message, retryable } = cause;
  return { _tag: "Failure", id, failure: { _tag, reason: { ...reason }, message, retryable } };
};

/**
 * Makes this module the worker of a `TensorWorker`: runs the named operation for every request, one at a time, in the
 * order of arrival. Call it once, at the end of the worker's module, and export `typeof operations` for the caller.
 */
export const serveTensorWork = (operations: Operations): void => {
  const scope = globalThis as unknown as WorkerScope;
  const handle = async ({ id, operation, input, cancel }: Request): Promise<void> => {
    const flag = new Int32Array(cancel);
    const context: WorkContext = {
      cancelled: () => Atomics.load(flag, 0) !== 0,
      progress: (value) => scope.postMessage({ _tag: "Progress", id, value }),
    };
    try {
      // The caller's types say that the input is the operation's.
      const run = operations[operation];
      if (run === undefined) throw new Error("there is no such operation");
      scope.postMessage({ _tag: "Success", id, output: await run(input as never, context) });
    } catch (cause) {
      scope.postMessage(replyFor(id, cause));
    }
  };
  let last = Promise.resolve();
  scope.onmessage = ({ data }) => {
    last = last.then(() => handle(data));
  };
};
