import { existsSync } from "node:fs";

/**
 * Whether an NVIDIA driver is there. `CUDA_VISIBLE_DEVICES` set to nothing or -1 hides GPUs from every CUDA program,
 * and so from this one.
 */
export const hasNvidiaDriver = (): boolean => {
  const visible = Deno.env.get("CUDA_VISIBLE_DEVICES");
  if (visible === "" || visible === "-1") return false;
  return ["/proc/driver/nvidia/version", "/dev/nvidia0", "/dev/nvidiactl"].some((path) => existsSync(path));
};
