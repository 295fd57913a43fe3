export {
  cpuBuild,
  currentPlatform,
  type Flavour,
  gpuBuild,
  NATS_SERVER_VERSION,
  natsServerPath,
  type Platform,
  subtaxaHome,
  TENSORFLOW_VERSION,
  type TensorFlowBuild,
} from "./home.ts";
export { hasNvidiaDriver } from "./gpu.ts";
export { TensorFlowError, type TensorFlowReason } from "./errors.ts";
export { installedBuild, loadTensorFlow, nativeBackend, type TensorFlow, tf } from "./load.ts";
export * from "./graph/mod.ts";
export * from "./ops/mod.ts";
export * from "./worker/mod.ts";
