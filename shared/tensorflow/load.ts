import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import type { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";
import { TensorFlowError } from "./errors.ts";
import { hasNvidiaDriver } from "./gpu.ts";
import { cpuBuild, currentPlatform, gpuBuild, subtaxaHome, type TensorFlowBuild } from "./home.ts";

export type TensorFlow = typeof import("@tensorflow/tfjs");

/** Read by TensorFlow when its library is loaded; what the user has set stays. */
const defaults = {
  // Off by default on CPUs without AVX-512, worth 1.4 times the speed of a training step there.
  TF_ENABLE_ONEDNN_OPTS: "1",
  // What oneDNN has compiled for a batch of more than 32 is kept for the next.
  TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE: "0",
  // Several services share one GPU: none may take all of its memory.
  TF_FORCE_GPU_ALLOW_GROWTH: "true",
  // Errors only.
  TF_CPP_MIN_LOG_LEVEL: "2",
};

/**
 * With `SUBTAXA_DETERMINISTIC=1`, besides: the same input gives the same bits in every process. On a CPU that takes one
 * number of threads on all machines, as sums are divided among them; on a GPU operations and algorithms of a fixed order.
 * Other values of these variables would break that promise, so what the user has set gives way.
 */
const deterministic = {
  TF_DETERMINISTIC_OPS: "1",
  TF_CUDNN_USE_AUTOTUNE: "0",
  TF_NUM_INTRAOP_THREADS: "4",
  TF_NUM_INTEROP_THREADS: "1",
};

/** The build to load: the GPU's where there is a driver, otherwise the CPU's, otherwise whatever is set up. */
export const installedBuild = (home: string = subtaxaHome()): TensorFlowBuild | undefined => {
  const platform = currentPlatform();
  if (platform === undefined) return undefined;
  const cpu = cpuBuild(home, platform);
  const gpu = gpuBuild(home, platform);
  const preferred = hasNvidiaDriver() ? [gpu, cpu] : [cpu, gpu];
  return preferred.find((build) =>
    build !== undefined && existsSync(build.addon) && existsSync(build.folder)
  );
};

/** `util.isArray` and `util.isNullOrUndefined` left Node, tfjs-node still calls them. */
const restoreRemovedHelpers = (require: NodeJS.Require): void => {
  const util: Record<string, unknown> = require("node:util");
  util.isArray ??= Array.isArray;
  util.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
};

const load = (): TensorFlow => {
  if (currentPlatform() === undefined) {
    throw TensorFlowError.of({
      _tag: "UnsupportedPlatform",
      platform: `${Deno.build.os} on ${Deno.build.arch}`,
    });
  }
  const build = installedBuild();
  if (build === undefined) throw TensorFlowError.of({ _tag: "NotSetUp", home: subtaxaHome() });
  for (const [name, value] of Object.entries(defaults)) if (!Deno.env.has(name)) Deno.env.set(name, value);
  if (Deno.env.get("SUBTAXA_DETERMINISTIC") === "1") {
    for (const [name, value] of Object.entries(deterministic)) Deno.env.set(name, value);
  }

  const require = createRequire(import.meta.url);
  restoreRemovedHelpers(require);
  try {
    const binding = require(build.addon);
    const tf: TensorFlow = require("@tensorflow/tfjs");
    require("@tensorflow/tfjs-node-gpu/dist/register_all_kernels.js");
    const { NodeJSKernelBackend: Backend } = require(
      "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js",
    );
    tf.registerBackend("tensorflow", () => new Backend(binding, "@tensorflow/tfjs-node-gpu"), 3);
    tf.setBackend("tensorflow");
    return tf;
  } catch (cause) {
    throw TensorFlowError.of({
      _tag: "LoadFailed",
      addon: build.addon,
      detail: cause instanceof Error ? cause.message : String(cause),
    });
  }
};

let loaded: TensorFlow | undefined;

/**
 * TensorFlow.js on the native TensorFlow library; loads it on the first call (about a second), returns the same object
 * afterwards. Throws a TensorFlowError when set-up has not run.
 */
export const loadTensorFlow = (): TensorFlow => loaded ??= load();

/**
 * The same object as `loadTensorFlow()` gives, loaded when first used: `tf.matMul(a, b)` anywhere, and importing this
 * module costs nothing where no tensor is made.
 */
export const tf: TensorFlow = new Proxy({} as TensorFlow, {
  get: (_, name) => Reflect.get(loadTensorFlow(), name),
  has: (_, name) => Reflect.has(loadTensorFlow(), name),
});

/** The native backend, which can run any TensorFlow operation by name. */
export const nativeBackend = (): NodeJSKernelBackend => loadTensorFlow().backend() as NodeJSKernelBackend;
