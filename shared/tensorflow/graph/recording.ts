import type { Tensor, TypedArray } from "@tensorflow/tfjs";
import type { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";
import type { TensorMetadata, TFJSBinding } from "@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js";
import { nativeBackend } from "../load.ts";
import type { Constant, NativeAttribute } from "./graph_def.ts";

/** One call of a TensorFlow operation. Tensors are the add-on's numbers, of which none is given twice. */
export interface Operation {
  readonly name: string;
  readonly attributes: readonly NativeAttribute[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

/** A tensor by the add-on's number, and its type as TensorFlow numbers it. */
export interface Handle {
  readonly id: number;
  readonly type: number;
}

/** The parts of tfjs' backend that it keeps to itself. */
interface Inside {
  getInputTensorIds(tensors: readonly Tensor[]): number[];
  readonly tensorMap: { get(dataId: object): { readonly dtype: number } };
}

/** Brings the tensor into TensorFlow, if its values are still outside. */
export const handleOf = (tensor: Tensor): Handle => {
  const backend = nativeBackend() as unknown as Inside;
  const [id] = backend.getInputTensorIds([tensor]) as [number];
  return { id, type: backend.tensorMap.get(tensor.dataId).dtype };
};

/**
 * The operations that are called between `begin` and `end`, also by tfjs on its own, and the tensors that are made from
 * numbers meanwhile: those count as constants. One recording at a time.
 */
export class Recording {
  readonly operations: Operation[] = [];
  readonly constants = new Map<number, Constant>();
  /** Of every tensor that an operation made. */
  readonly types = new Map<number, number>();
  #stop: (() => void) | undefined;

  begin(): void {
    const backend: NodeJSKernelBackend = nativeBackend();
    const { binding } = backend;
    // what is not named here stays the add-on's own
    const listening: TFJSBinding = Object.create(binding, {
      executeOp: {
        value: (name: string, attributes: NativeAttribute[], inputs: number[], count: number) => {
          const made: TensorMetadata[] = binding.executeOp(name, attributes, inputs, count);
          this.operations.push({ name, attributes, inputs, outputs: made.map(({ id }) => id) });
          for (const { id, dtype } of made) this.types.set(id, dtype);
          return made;
        },
      },
      createTensor: {
        value: (shape: number[], type: number, values: TypedArray | number[]) => {
          const id = binding.createTensor(shape, type, values as TypedArray);
          const copied = type === binding.TF_FLOAT ? Float32Array.from(values) : Int32Array.from(values);
          this.constants.set(id, { type, shape, values: copied });
          return id;
        },
      },
      tensorDataSync: {
        value: () => {
          throw new Error(
            "what is being recorded must not read a tensor: the next time its values are others",
          );
        },
      },
    });
    backend.binding = listening;
    this.#stop = () => backend.binding = binding;
  }

  end(): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}

/** Recorded operations with what they need to know of tensors from outside. */
export type Recorded = Pick<Recording, "operations" | "constants">;

/**
 * `second` as something that can be run for itself after `first`: what it takes of the tensors that `first` made is `kept`
 * and handed over. Variables it reads again: a value that is held would have to be copied before the variable is changed.
 */
export const resumed = (
  first: Recording,
  second: Recording,
): { readonly kept: readonly Handle[]; readonly recording: Recorded } => {
  const taken = new Set(second.operations.flatMap(({ inputs }) => inputs));
  const reads = first.operations.filter(({ name, outputs }) =>
    name === "ReadVariableOp" && outputs.some((id) => taken.has(id))
  );
  const readAgain = new Set(reads.flatMap(({ outputs }) => outputs));
  const kept = [...taken].flatMap((id) => {
    const type = first.types.get(id);
    return type === undefined || readAgain.has(id) ? [] : [{ id, type }];
  });
  return {
    kept,
    recording: {
      operations: [...reads, ...second.operations],
      constants: new Map([...first.constants, ...second.constants]),
    },
  };
};
