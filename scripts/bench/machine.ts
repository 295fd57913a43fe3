import { currentPlatform, gpuBuild, hasNvidiaDriver, subtaxaHome } from "@subtaxa/tensorflow";

/** What every process may compute with, ours and the peers'. Only pyclustering's core takes all cores, whatever one says. */
export const THREADS = 2;

const platform = currentPlatform();

/** Whether our side runs on a GPU, as set-up and the loader choose. */
export const onGpu = hasNvidiaDriver() && platform !== undefined &&
  gpuBuild(subtaxaHome(), platform) !== undefined;

/** For this process, its threads and all that it starts: to be called before anything is loaded. */
export const divideMachine = (): void => {
  const environment = {
    TF_NUM_INTRAOP_THREADS: THREADS,
    TF_NUM_INTEROP_THREADS: THREADS,
    OMP_NUM_THREADS: THREADS, // PyTorch, scikit-learn and numpy's BLAS
    SUBTAXA_BENCH_DEVICE: onGpu ? "cuda" : "cpu", // PyTorch's
  };
  for (const [name, value] of Object.entries(environment)) Deno.env.set(name, String(value));
};
