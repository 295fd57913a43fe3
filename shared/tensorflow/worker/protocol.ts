/** What the two sides of a tensor worker say to each other. Everything is copied by structured clone. */

/** What an operation knows of its call. */
export interface WorkContext<Progress = unknown> {
  /** True once the caller has been interrupted; ask between batches and return early. */
  cancelled(): boolean;
  /** Tells the caller how far the work is. */
  progress(value: Progress): void;
}

/** One kind of work: any function of a cloneable input. Errors shaped like `Failure` reach the caller as they are. */
export type Operation = (input: never, context: WorkContext<never>) => unknown;

export type Operations = Readonly<Record<string, Operation>>;

export type InputOf<O extends Operation> = Parameters<O>[0];
export type OutputOf<O extends Operation> = Awaited<ReturnType<O>>;
export type ProgressOf<O extends Operation> = Parameters<O> extends
  [unknown, WorkContext<infer P>, ...unknown[]] ? P
  : never;

export interface Request {
  readonly id: number;
  readonly operation: string;
  readonly input: unknown;
  /** One Int32; anything but 0 asks for an early end. */
  readonly cancel: SharedArrayBuffer;
}

/** An error without its class. */
export interface PlainFailure {
  readonly _tag: string;
  readonly reason: { readonly _tag: string };
  readonly message: string;
  readonly retryable: boolean;
}

export type Reply =
  | { readonly _tag: "Progress"; readonly id: number; readonly value: unknown }
  | { readonly _tag: "Success"; readonly id: number; readonly output: unknown }
  | { readonly _tag: "Failure"; readonly id: number; readonly failure: PlainFailure }
  | { readonly _tag: "Resources" | "Defect"; readonly id: number; readonly message: string };
