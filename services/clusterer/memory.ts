import { memory } from "./kernels.wasm";

const PAGE = 65_536;

/**
 * Makes the kernels' memory at least `bytes` large. It is one for the whole process and whoever computes lays it out
 * anew: a computation must be over before the next begins, which a synchronous function is. Growing invalidates earlier views.
 */
export const reserve = (bytes: number): void => {
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
};
