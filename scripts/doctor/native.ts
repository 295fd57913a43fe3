/** Whether the native parts are there and do their work. */
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { Effect, Option } from "effect";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { startNatsServer } from "@subtaxa/bus";
import type { TensorFlowBuild } from "@subtaxa/tensorflow";
import { run } from "../setup/mod.ts";
import { taskCommand } from "../task.ts";
import { broken, type Check, ok, warning } from "./report.ts";

const setUp = `run "${taskCommand("setup")}"`;

export const tensorFlow = (home: string, build: TensorFlowBuild | undefined): Check =>
  build === undefined
    ? broken("TensorFlow", `not set up in ${home}`, setUp)
    : ok("TensorFlow", `${build.version}, ${build.flavour.toUpperCase()} build in ${build.folder}`);

const expectedValues = [90, 20, 56, 28, 80];

const programOutput = z.object({
  version: z.string(),
  device: z.enum(["CPU", "GPU"]),
  values: z.array(z.number()),
  gigaflops: z.number(),
});

/** The sentence of the error that ended a Deno program, else the last thing it printed. */
const uncaughtError = (stderr: string): string => {
  const lines = stderr.trim().split("\n");
  const error = lines.find((text) => text.startsWith("error: "));
  return error?.replace(/^error: (Uncaught )?(\(in promise\) )?/, "") ??
    (lines.at(-1) || "it ended without a word");
};

/** A product of matrices and its gradient, against values worked out by hand. */
export const tensorProgram = (build: TensorFlowBuild | undefined): Effect.Effect<Check> =>
  Effect.gen(function* () {
    const name = "Tensor program";
    if (build === undefined) return broken(name, "not run", setUp);
    const remake = `remove ${build.folder} and ${dirname(build.addon)}, then ${setUp}`;
    const script = join(import.meta.dirname ?? "", "tensor_program.ts");
    const finished = yield* run(Deno.execPath(), ["run", "-A", "--no-check", script], {
      env: { NO_COLOR: "1" },
    });
    const output = yield* Effect.option(
      Effect.try(() => programOutput.parse(JSON.parse(finished?.stdout.trim().split("\n").at(-1) ?? ""))),
    );
    if (Option.isNone(output)) {
      return broken(name, uncaughtError(finished?.stderr ?? ""), remake);
    }
    const { version, device, values, gigaflops } = output.value;
    if (values.join() !== expectedValues.join()) {
      return broken(
        name,
        `computed ${values.join(", ")} for ${expectedValues.join(", ")}`,
        remake,
      );
    }
    const found =
      `TensorFlow ${version} on the ${device}: matrix product and gradient are right, ${gigaflops} GFLOP/s`;
    return build.flavour === "gpu" && device === "CPU"
      ? warning(name, found, "the GPU build found no usable GPU: check nvidia-smi and the driver's version")
      : ok(name, found);
  });

export const natsServer = (binary: string): Effect.Effect<Check> =>
  Effect.gen(function* () {
    const finished = existsSync(binary) ? yield* run(binary, ["--version"]) : undefined;
    return finished?.success
      ? ok("nats-server", `${finished.stdout.trim().replace("nats-server: ", "")} in ${binary}`)
      : broken("nats-server", `not set up in ${binary}`, setUp);
  });

const publishAndConsume = async (url: string): Promise<string> => {
  const connection = await connect({ servers: url, timeout: 5000 });
  try {
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: "DOCTOR", subjects: ["doctor"] });
    await manager.consumers.add("DOCTOR", { durable_name: "doctor", ack_policy: AckPolicy.Explicit });
    const client = jetstream(connection);
    await client.publish("doctor", "how are you?");
    const message = await (await client.consumers.get("DOCTOR", "doctor")).next({ expires: 5000 });
    await message?.ackAck();
    return message?.string() ?? "nothing";
  } finally {
    await connection.close();
  }
};

/** Starts the pinned server on a free port, publishes, consumes, acknowledges, stops it. */
export const natsRoundTrip = (binary: string): Effect.Effect<Check> => {
  const name = "NATS round trip";
  if (!existsSync(binary)) return Effect.succeed(broken(name, "not run", setUp));
  const trip = Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => Deno.makeTempDir({ prefix: "subtaxa-doctor-" })),
      (path) => Effect.promise(() => Deno.remove(path, { recursive: true })),
    );
    const started = performance.now();
    const server = yield* startNatsServer({ binary, folder });
    const received = yield* Effect.tryPromise({
      try: () => publishAndConsume(server.url),
      catch: (cause) => cause instanceof Error ? cause : new Error(String(cause)),
    });
    const millis = Math.round(performance.now() - started);
    return received === "how are you?"
      ? ok(name, `started, published, consumed and acknowledged in ${millis} ms`)
      : broken(name, `received ${received}`, "see whether a firewall filters 127.0.0.1");
  });
  const failed = (cause: { readonly message: string }) =>
    broken(
      name,
      cause.message,
      "see whether a firewall filters 127.0.0.1 and the temporary folder can be written",
    );
  return Effect.scoped(trip).pipe(Effect.catch((cause) => Effect.succeed(failed(cause))));
};
