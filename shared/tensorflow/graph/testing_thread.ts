// Squares 3 by a function of its own, in a thread of its own.
import { tf } from "../load.ts";
import { GraphFunction } from "./graph_function.ts";
import { handleOf, Recording } from "./recording.ts";

const x = tf.tensor1d([3]);
const input = handleOf(x);
const recording = new Recording();
recording.begin();
const output = handleOf(tf.square(x));
recording.end();
const [y] = new GraphFunction(recording, [input], [output]).call([x]);
(globalThis as unknown as { postMessage(values: number[]): void }).postMessage([...y!.dataSync()]);
