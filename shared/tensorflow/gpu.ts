import { existsSync } from "node:fs";
import { join } from "node:path";

/** What an NVIDIA driver leaves on Linux, the last one in Windows' Linux subsystem. */
const traces = [
  "/proc/driver/nvidia/version",
  "/dev/nvidia0",
  "/dev/nvidiactl",
  "/usr/lib/wsl/lib/libcuda.so.1",
];

/**
 * Whether an NVIDIA driver is there. `CUDA_VISIBLE_DEVICES` set to nothing or -1 hides GPUs from every CUDA program,
 * and so from this one.
 */
export const hasNvidiaDriver = (): boolean => {
  const visible = Deno.env.get("CUDA_VISIBLE_DEVICES");
  if (visible === "" || visible === "-1") return false;
  const onPath = (Deno.env.get("PATH") ?? "").split(":").map((folder) => join(folder, "nvidia-smi"));
  return [...traces, ...onPath].some((path) => existsSync(path));
};
