import { memory } from "./kernels.wasm";

const PAGE = 65_536;

/**
 * Makes the kernels' memory at least `bytes` large; growing it invalidates earlier views. There is one memory
 * for the whole process, and whoever computes lays it out anew: a computation must be over before the next
 * begins, as it is when nothing waits in between.
 */
export const reserve = (bytes: number): void => {
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
};
