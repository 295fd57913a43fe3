export { type CallOptions, TensorWorker, type TensorWorkerOptions } from "./client.ts";
export { RemoteFailure, WorkerError, type WorkerFailure, type WorkerReason } from "./errors.ts";
export type { InputOf, Operation, Operations, OutputOf, ProgressOf, WorkContext } from "./protocol.ts";
export { serveTensorWork } from "./serve.ts";
export { readOnce, writeChunks } from "./files.ts";
