import { startNatsServer } from "@subtaxa/bus";
import { cpuBuild, currentPlatform, natsServerPath, subtaxaHome } from "@subtaxa/tensorflow";
import { Effect } from "effect";
import { expect } from "expect";
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { until } from "../../tests/support.ts";
import { stage } from "./stage.ts";

const uid = 10001;
/** Only root can become the image's user; anyone else is not root already. */
const asRoot = Deno.uid() === 0;
const entry = resolve(import.meta.dirname!, "../../deploy/image/entry.sh");

/** Every file and folder below, with the time of its last change. */
const changes = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name)).map((path) => `${path} ${statSync(path).mtimeMs}`)
    .sort();

const scenario = (target: string, data: string) =>
  Effect.gen(function* () {
    // what set-up has fetched for this user stands for what a build fetches: set-up has tests of its own
    const { folder: tensorflow, addon } = cpuBuild(subtaxaHome(), currentPlatform()!);
    const natsServer = natsServerPath(subtaxaHome(), currentPlatform()!);
    yield* Effect.promise(async () => {
      await Deno.mkdir(join(target, "native"), { recursive: true });
      for (const part of [tensorflow, dirname(addon), dirname(natsServer)]) {
        const into = join(target, "native", basename(part));
        // links where that goes, for it has 800 MB
        for (const how of [["--archive", "--link"], ["--archive"]]) {
          const { success } = await new Deno.Command("cp", { args: [...how, part, into], stderr: "null" })
            .output();
          if (success) break;
          await Deno.remove(into, { recursive: true }).catch(() => undefined);
        }
      }
    });
    yield* stage({ target, native: "cpu" });
    yield* Effect.promise(async () => {
      await Deno.copyFile(entry, join(target, "entry.sh"));
      await Deno.copyFile(Deno.execPath(), join(target, "deno"));
      for (const name of ["entry.sh", "deno"]) await Deno.chmod(join(target, name), 0o755);
      await Deno.writeTextFile(
        join(target, "app/add.ts"),
        `import { tf } from "@subtaxa/tensorflow"; console.log(tf.add(40, 2).dataSync()[0]);`,
      );
    });
    // no server of its own, nothing that only compiling needs, and a place for weights that may be written
    const native = readdirSync(join(target, "native"));
    expect(native.sort()).toEqual([basename(tensorflow), basename(dirname(addon)), "weights"].sort());
    expect(existsSync(join(target, "native", basename(tensorflow), "tensorflow/include"))).toBe(false);
    expect(existsSync(join(tensorflow, "tensorflow/include"))).toBe(true);
    expect(Deno.readLinkSync(join(target, "native/weights"))).toBe("/data/weights");
    const staged = changes(target);
    const own = staged.filter((path) => /\/app\/(services|shared)\//.test(path));
    expect(own.length).toBeGreaterThan(100);
    expect(own.filter((path) => /\.test\.tsx?|fixture|testing/.test(path))).toEqual([]);
    const packages = readdirSync(join(target, "app/node_modules/.deno"));
    expect(packages.some((name) => name.startsWith("effect@"))).toBe(true);
    expect(packages.filter((name) => /^(playwright-core|fast-check|expect)@/.test(name))).toEqual([]);
    const services = readdirSync(join(target, "app/services")).filter((name) =>
      existsSync(join(target, "app/services", name, "main.ts"))
    ).sort();
    expect(services).toContain("trainer");

    const nats = yield* startNatsServer({
      binary: natsServerPath(subtaxaHome(), currentPlatform()!),
      folder: join(data, "nats"),
    });
    const folder = join(data, "service");
    yield* Effect.promise(async () => {
      await Deno.mkdir(join(folder, "tmp"), { recursive: true });
      if (asRoot) { for (const path of [folder, join(folder, "tmp")]) await Deno.chown(path, uid, uid); }
    });
    /** As in a container: nothing of this environment, another user, one folder to write to. */
    const run = (program: string, args: readonly string[], env: Record<string, string> = {}) =>
      new Deno.Command(join(target, program), {
        args: [...args],
        clearEnv: true,
        env: {
          PATH: "/usr/bin:/bin",
          HOME: join(folder, "tmp"),
          TMPDIR: join(folder, "tmp"),
          SUBTAXA_HOME: join(target, "native"),
          SUBTAXA_DATA: folder,
          DENO_DIR: join(target, "cache"),
          NATS_URL: nats.url,
          ...env,
        },
        stdout: "piped",
        stderr: "piped",
        ...(asRoot ? { uid, gid: uid } : {}),
      }).spawn();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

    const flags = ["--allow-all", "--cached-only", "--no-lock", "--node-modules-dir=manual"];
    const sum = yield* Effect.promise(() =>
      run("deno", ["run", ...flags, "--config", join(target, "app/deno.json"), join(target, "app/add.ts")])
        .output()
    );
    expect([sum.code, text(sum.stdout), text(sum.stderr).match(/TensorFlowError.*/)]).toEqual([
      0,
      "42\n",
      null,
    ]);

    for (const service of services) {
      const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = probe.addr;
      probe.close();
      const child = run("entry.sh", [service], {
        SUBTAXA_PORT: String(port),
        SUBTAXA_PROBE_PORT: String(port),
      });
      const ended = child.output();
      let over = false;
      ended.then(() => over = true);
      const answer = yield* until(
        `${service} is ready`,
        () => fetch(`http://127.0.0.1:${port}/readyz`).then((response) => response.text(), () => ""),
        (text) => over || text === "ready\n",
        "60 seconds",
      );
      if (!over) child.kill("SIGTERM");
      const { code, stdout, stderr } = yield* Effect.promise(() => ended);
      const said = text(stdout) + text(stderr);
      expect([service, answer, code, said.includes("ERROR")]).toEqual([service, "ready\n", 0, false]);
    }
    const unknown = yield* Effect.promise(() => run("entry.sh", ["nothing"]).output());
    expect(unknown.code).toBe(64);
    const [, named = ""] = /^name a service: (.*)\n$/.exec(text(unknown.stderr)) ?? [];
    expect(named.split(" ").sort()).toEqual(services);

    // what was staged was only read
    expect(changes(target)).toEqual(staged);
    expect(existsSync(join(folder, "weights"))).toBe(true);
  });

Deno.test({
  name: "the staged files run every service as a user who can write to SUBTAXA_DATA alone",
  ignore: currentPlatform() === undefined,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "subtaxa-stage-" });
    await Deno.chmod(folder, 0o755);
    try {
      await Effect.runPromise(Effect.scoped(scenario(join(folder, "image"), join(folder, "data"))));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
