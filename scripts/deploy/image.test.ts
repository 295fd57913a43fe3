import Ajv from "ajv/2020";
import { Effect } from "effect";
import { expect } from "expect";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { composeSchema, hadolint, output, toolsMissing } from "./tools.ts";

const missing = toolsMissing();
if (missing) console.warn(`Dockerfiles and compose file are not checked: ${missing}`);
const test = (name: string, body: () => Promise<void>) =>
  Deno.test({ name, ignore: missing !== undefined, fn: body });

const root = resolve(import.meta.dirname!, "../..");
const folder = join(root, "deploy/image");
const dockerfiles = readdirSync(folder).filter((name) => name.endsWith("Dockerfile")).sort();
const instructions = (name: string) =>
  readFileSync(join(folder, name), "utf8").replaceAll("\\\n", " ").split("\n")
    .filter((line) => /^[A-Z]/.test(line)).map((line) => line.replace(/\s+/g, " "));

test("hadolint has nothing to say about the Dockerfiles, and something about a bad one", async () => {
  const program = await Effect.runPromise(hadolint);
  const lint = (paths: readonly string[]) =>
    Effect.runPromise(
      output(program, ["--no-color", ...paths]).pipe(Effect.catch((error) => Effect.succeed(error.message))),
    );
  expect(dockerfiles).toEqual(["clusterer-python.Dockerfile", "cpu.Dockerfile", "cuda.Dockerfile"]);
  expect(await lint(dockerfiles.map((name) => join(folder, name)))).toBe("");
  const bad = await Deno.makeTempFile({ prefix: "subtaxa-Dockerfile-" });
  await Deno.writeTextFile(bad, "FROM debian\nRUN cd /tmp && apt-get install curl\nCMD gateway\n");
  expect(await lint([bad])).toMatch(/DL3006[^]*DL3025/);
  await Deno.remove(bad);
});

for (const name of dockerfiles) {
  Deno.test(`${name}: pinned bases, no root, no step that isn't a script of this project or an install by hash`, () => {
    const lines = instructions(name);
    for (const line of lines.filter((line) => line.startsWith("ARG "))) {
      // the tag tells people which one the digest is
      expect(line).toMatch(/^ARG \w+_IMAGE=[\w./-]+:\S*(\d+\.\d+\.\d+|\d{8})\S*@sha256:[0-9a-f]{64}$/);
    }
    expect(lines.filter((line) => line.startsWith("USER "))).toEqual(["USER 10001:10001"]);
    const runs = lines.filter((line) => line.startsWith("RUN ")).flatMap((line) =>
      line.slice(4).split(" && ")
    );
    const staged = (flags: string) => [
      "/build/fetch-deno.sh /opt/subtaxa",
      "/opt/subtaxa/deno install --frozen",
      `/opt/subtaxa/deno run -A scripts/deploy.ts stage /opt/subtaxa${flags}`,
      "install -m 0755 deploy/image/entry.sh /opt/subtaxa/entry.sh",
      "install -d -o 10001 -g 10001 /data /datasets",
    ];
    const steps: Readonly<Record<string, readonly string[]>> = {
      "cpu.Dockerfile": staged(""),
      "cuda.Dockerfile": staged(" --gpu"),
      "clusterer-python.Dockerfile": [
        "pip install --no-cache-dir --require-hashes --only-binary=:all: --requirement /opt/clusterer/requirements.txt",
      ],
    };
    expect(runs.map((step) => step.trim())).toEqual(steps[name]);
  });
}

Deno.test({
  name: "fetch-deno.sh fetches the Deno that is pinned, which runs",
  ignore: `${Deno.build.os}-${Deno.build.arch}` !== "linux-x86_64",
  fn: async () => {
    const target = await Deno.makeTempDir({ prefix: "subtaxa-deno-" });
    try {
      await Effect.runPromise(output(join(folder, "fetch-deno.sh"), [target]));
      const said = await Effect.runPromise(output(join(target, "deno"), ["--version"]));
      const [, pinned] = /^version=(.*)$/m.exec(readFileSync(join(folder, "fetch-deno.sh"), "utf8"))!;
      expect(said).toMatch(new RegExp(`^deno ${pinned!.replaceAll(".", "\\.")} `));
      expect(readFileSync(join(root, ".ci/run"), "utf8")).toContain(`deno@${pinned} `);
    } finally {
      await Deno.remove(target, { recursive: true });
    }
  },
});

/** `${NAME:-default}` and `${NAME:?message}` as Compose replaces them. */
const interpolated = (text: string, env: Readonly<Record<string, string>>) =>
  text.replace(
    /\$\{(\w+)(?::([-?])([^}]*))?\}/g,
    (_, name: string, operator: string | undefined, rest: string) => {
      const value = env[name];
      if (value) return value;
      if (operator === "-") return rest;
      throw new Error(`${name}: ${rest}`);
    },
  );

const Compose = z.looseObject({
  services: z.record(
    z.string(),
    z.looseObject({
      image: z.string(),
      command: z.array(z.string()).optional(),
      read_only: z.boolean().optional(),
      environment: z.record(z.string(), z.string()).optional(),
      ports: z.array(z.string()).optional(),
    }),
  ),
});

test("the compose file keeps to the Compose specification, and says what .env must hold", async () => {
  const text = await Deno.readTextFile(join(root, "deploy/compose/compose.yaml"));
  const example = await Deno.readTextFile(join(root, "deploy/compose/.env.example"));
  const env = { NATS_TOKEN: "abc", SUBTAXA_TOKEN: "def", DATASETS: "/srv/datasets" };
  for (const name of Object.keys(env)) {
    expect(example).toContain(`${name}=`);
    expect(() => interpolated(text, { ...env, [name]: "" })).toThrow(name);
  }
  const schema = JSON.parse(await Deno.readTextFile(await Effect.runPromise(composeSchema)));
  const valid = new Ajv.default({ strict: false, validateFormats: false, allErrors: true }).compile(schema);
  const compose: unknown = parse(interpolated(text, env), { merge: true });
  expect([valid(compose), valid.errors]).toEqual([true, null]);
  const { services } = Compose.parse(compose);

  const folders = readdirSync(join(root, "services")).filter((name) =>
    readdirSync(join(root, "services", name)).includes("main.ts")
  );
  for (const name of folders) {
    const service = services[name];
    expect([name, service?.command, service?.read_only]).toEqual([name, [name], true]);
    expect(service?.environment?.NATS_URL).toBe("nats://abc@nats:4222");
    expect(service?.image).toBe(`subtaxa:0.1.0-${"deploy" in service! ? "cuda" : "cpu"}`);
  }
  expect(Object.keys(services).filter((name) => "deploy" in services[name]!).sort())
    .toEqual(["evaluator", "extractor", "trainer"]);
  expect(Object.keys(services).filter((name) => services[name]?.ports)).toEqual(["gateway"]);

  const wrong = { services: { ...services, trainer: { ...services.trainer, restarts: "always" } } };
  expect(valid(wrong)).toBe(false);
});
