import { expect } from "expect";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as tfjs from "@tensorflow/tfjs";
import { hasNvidiaDriver } from "./gpu.ts";
import {
  cpuBuild,
  currentPlatform,
  gpuBuild,
  subtaxaHome,
  TENSORFLOW_VERSION,
  type TensorFlowBuild,
} from "./home.ts";
import { installedBuild, loadTensorFlow, nativeBackend, tf } from "./load.ts";

const platform = currentPlatform() ?? "linux-x86_64";

/** Runs the body with these environment variables and puts the old ones back. */
const withEnv = (values: Record<string, string>, body: () => void): void => {
  const before = Object.keys(values).map((name) => [name, Deno.env.get(name)] as const);
  try {
    for (const [name, value] of Object.entries(values)) Deno.env.set(name, value);
    body();
  } finally {
    for (const [name, value] of before) {
      value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
    }
  }
};

/** What a fresh process prints that runs this code after importing the public module as `subtaxa`. */
const runFresh = async (code: string, env: Record<string, string>): Promise<string> => {
  const url = new URL("./mod.ts", import.meta.url);
  // without what loading TensorFlow has set in this process
  const inherited = Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("TF_"));
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", `import * as subtaxa from "${url}"; ${code}`],
    cwd: import.meta.dirname ?? ".",
    clearEnv: true,
    env: { ...Object.fromEntries(inherited), ...env },
  }).output();
  return new TextDecoder().decode(stdout).trim();
};

Deno.test("the native library computes, also where tfjs needs helpers that Node has dropped", () => {
  const version: string = nativeBackend().binding.TF_Version;
  expect(version).toBe(TENSORFLOW_VERSION);
  expect(tf.getBackend()).toBe("tensorflow");
  tf.tidy(() => {
    expect([...tf.matMul(tf.tensor2d([[1, 2], [3, 4]]), tf.tensor2d([[5], [6]])).dataSync()]).toEqual([
      17,
      39,
    ]);
    expect(tf.sum(tf.range(0, 5)).dataSync()[0]).toBe(10);
  });
});

Deno.test("a tensor keeps its values when the array that they came in is filled anew, wherever that lies", () => {
  // this memory begins with a page: one array on a boundary of 64 bytes, which TensorFlow could share, one off it
  const { buffer } = new WebAssembly.Memory({ initial: 1 });
  for (const offset of [64, 80]) {
    const array = new Float32Array(buffer, offset, 4).fill(7);
    const tensor = tf.tidy(() => tf.reshape(tf.tensor1d(array), [2, 2]));
    array.fill(8);
    expect([...tensor.dataSync()]).toEqual([7, 7, 7, 7]);
    tensor.dispose();
  }
});

Deno.test("there is one TensorFlow.js in the process, however it is imported", () => {
  expect(loadTensorFlow()).toBe(loadTensorFlow());
  expect(tfjs.engine()).toBe(tf.engine());
});

Deno.test("oneDNN, growing GPU memory and quiet logs are asked for before the library loads", () => {
  tf.ready();
  const names = ["TF_ENABLE_ONEDNN_OPTS", "TF_FORCE_GPU_ALLOW_GROWTH", "TF_CPP_MIN_LOG_LEVEL"];
  for (const name of names) expect(Deno.env.get(name)).toBeTruthy();
});

Deno.test("what the user has set stays", async () => {
  const code = `subtaxa.loadTensorFlow(); console.log(Deno.env.get("TF_ENABLE_ONEDNN_OPTS"))`;
  expect(await runFresh(code, { TF_ENABLE_ONEDNN_OPTS: "0" })).toBe("0");
});

Deno.test("deterministic mode fixes the number of threads and asks for operations of a fixed order", async () => {
  const code = `subtaxa.loadTensorFlow();
    console.log(["TF_DETERMINISTIC_OPS", "TF_NUM_INTRAOP_THREADS"].map((name) => Deno.env.get(name) ?? "-").join(" "))`;
  expect(await runFresh(code, { SUBTAXA_DETERMINISTIC: "1" })).toBe("1 4");
  expect(await runFresh(code, { SUBTAXA_DETERMINISTIC: "0" })).toBe("- -");
  const others = { TF_DETERMINISTIC_OPS: "0", TF_NUM_INTRAOP_THREADS: "1" };
  expect(await runFresh(code, { SUBTAXA_DETERMINISTIC: "1", ...others })).toBe("1 4");
  expect(await runFresh(code, others)).toBe("0 1");
});

Deno.test("before set-up, the first use says what to run, and an import is still fine", async () => {
  const home = await Deno.makeTempDir();
  const code = `try { subtaxa.tf.zeros([1]) } catch ({ _tag, reason, message, retryable }) {
    console.log(JSON.stringify({ _tag, reason, message, retryable })) }`;
  expect(JSON.parse(await runFresh(code, { SUBTAXA_HOME: home }))).toEqual({
    _tag: "TensorFlowError",
    reason: { _tag: "NotSetUp", home },
    message: `TensorFlow is not set up in ${home}: run "npx deno@${Deno.version.deno} task setup" once.`,
    retryable: false,
  });
  await Deno.remove(home, { recursive: true });
});

Deno.test("a library that can't be loaded is named", async () => {
  const home = await Deno.makeTempDir();
  install(cpuBuild(home, platform));
  const code =
    `try { subtaxa.loadTensorFlow() } catch (error) { console.log(error.reason._tag, error.message) }`;
  const printed = await runFresh(code, { SUBTAXA_HOME: home, CUDA_VISIBLE_DEVICES: "" });
  expect(printed).toContain(
    `LoadFailed TensorFlow could not be loaded from ${cpuBuild(home, platform).addon}`,
  );
  await Deno.remove(home, { recursive: true });
});

/** Makes a build look installed. */
const install = (build: TensorFlowBuild): void => {
  mkdirSync(build.folder, { recursive: true });
  mkdirSync(dirname(build.addon), { recursive: true });
  writeFileSync(build.addon, "not a library");
};

Deno.test("the GPU build is chosen where there is a driver, the CPU build elsewhere, either for want of the other", () => {
  const home = Deno.makeTempDirSync();
  const gpu = gpuBuild(home, "linux-x86_64");
  if (platform !== "linux-x86_64" || gpu === undefined) return;
  const driver = { CUDA_VISIBLE_DEVICES: "0", PATH: join(home, "bin") };
  const noDriver = { CUDA_VISIBLE_DEVICES: "-1" };
  mkdirSync(driver.PATH);
  writeFileSync(join(driver.PATH, "nvidia-smi"), "");
  const flavour = () => installedBuild(home)?.flavour;

  expect(flavour()).toBeUndefined();
  install(gpu);
  withEnv(noDriver, () => expect([hasNvidiaDriver(), flavour()]).toEqual([false, "gpu"]));
  install(cpuBuild(home, platform));
  withEnv(noDriver, () => expect(flavour()).toBe("cpu"));
  withEnv(driver, () => expect([hasNvidiaDriver(), flavour()]).toEqual([true, "gpu"]));
  Deno.removeSync(home, { recursive: true });
});

Deno.test("the home is SUBTAXA_HOME, else the user's cache folder", () => {
  const home = (env: Record<string, string>) => subtaxaHome((name) => env[name]);
  expect(home({ SUBTAXA_HOME: "/opt/subtaxa", HOME: "/home/ada" })).toBe("/opt/subtaxa");
  if (Deno.build.os === "darwin") {
    return expect(home({ HOME: "/Users/ada" })).toBe("/Users/ada/Library/Caches/subtaxa");
  }
  expect(home({ HOME: "/home/ada" })).toBe("/home/ada/.cache/subtaxa");
  expect(home({ HOME: "/home/ada", XDG_CACHE_HOME: "/var/cache/ada" })).toBe("/var/cache/ada/subtaxa");
});
