import { join, resolve } from "node:path";

/**
 * Where the native parts lie: one folder per user (`SUBTAXA_HOME`), shared by every clone. A part's folder carries its
 * version and a digest of the pinned wheels it was unpacked from, so clones with different pins live side by side.
 */

export type Platform = "linux-x86_64" | "linux-aarch64" | "darwin-aarch64";
export type Flavour = "cpu" | "gpu";

export const TENSORFLOW_VERSION = "2.21.0";
export const NATS_SERVER_VERSION = "2.15.1";

/** Raised whenever the way the add-on is compiled changes, so that no clone loads one built the old way. */
const ADDON = "tfjs-addon-4.22.0-r4";

/** Folder names; a test in scripts/setup compares the digests with the requirement files. */
const folders: Record<Platform, { cpu: string; gpu?: string; natsServer: string }> = {
  "linux-x86_64": {
    cpu: "tensorflow-cpu-2.21.0-0a993c30847e",
    gpu: "tensorflow-gpu-2.21.0-31a2b2a31ec3",
    natsServer: "nats-server-2.15.1-51a04a881555",
  },
  "linux-aarch64": {
    cpu: "tensorflow-cpu-2.21.0-19a2383ea2a2",
    natsServer: "nats-server-2.15.1-e78ed11d0908",
  },
  "darwin-aarch64": {
    cpu: "tensorflow-cpu-2.21.0-361b562c577d",
    natsServer: "nats-server-2.15.1-cb7ee94029ba",
  },
};

/** One TensorFlow build below a home. `folder` exists only when every file in it does: it is renamed into place. */
export interface TensorFlowBuild {
  readonly flavour: Flavour;
  readonly version: string;
  readonly folder: string;
  readonly libraries: readonly string[];
  readonly includeFolder: string;
  /** The compiled N-API add-on, `…/tfjs_binding.node`. */
  readonly addon: string;
}

/** `SUBTAXA_HOME`, else `subtaxa` in the user's cache folder. */
export const subtaxaHome = (env: (name: string) => string | undefined = Deno.env.get): string => {
  const chosen = env("SUBTAXA_HOME");
  if (chosen) return resolve(chosen);
  const user = env("HOME") ?? ".";
  if (Deno.build.os === "darwin") return join(user, "Library", "Caches", "subtaxa");
  return join(env("XDG_CACHE_HOME") || join(user, ".cache"), "subtaxa");
};

/** This machine's platform, or undefined where TensorFlow publishes no library for it. */
export const currentPlatform = (): Platform | undefined => {
  const name = `${Deno.build.os}-${Deno.build.arch}`;
  return name in folders ? (name as Platform) : undefined;
};

const build = (home: string, platform: Platform, flavour: Flavour, name: string): TensorFlowBuild => {
  const folder = join(home, name);
  const suffix = platform === "darwin-aarch64" ? ".2.dylib" : ".so.2";
  return {
    flavour,
    version: TENSORFLOW_VERSION,
    folder,
    libraries: ["cc", "framework"].map((part) =>
      join(folder, "tensorflow", `libtensorflow_${part}${suffix}`)
    ),
    includeFolder: join(folder, "tensorflow", "include"),
    addon: join(home, `${ADDON}-${name}`, "tfjs_binding.node"),
  };
};

export const cpuBuild = (home: string, platform: Platform): TensorFlowBuild =>
  build(home, platform, "cpu", folders[platform].cpu);

/** The CUDA build; undefined where TensorFlow has none. */
export const gpuBuild = (home: string, platform: Platform): TensorFlowBuild | undefined => {
  const name = folders[platform].gpu;
  return name === undefined ? undefined : build(home, platform, "gpu", name);
};

/** The pinned nats-server binary. */
export const natsServerPath = (home: string, platform: Platform): string =>
  join(home, folders[platform].natsServer, "nats-server");
