/** Operations that were called one by one, from then on as one TensorFlow function. */
export { GraphFunction } from "./graph_function.ts";
export { type Handle, handleOf, type Recorded, Recording, resumed } from "./recording.ts";
