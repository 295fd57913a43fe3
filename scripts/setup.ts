/** `deno task setup [--gpu]`: fetches and builds the native parts. */
import { Effect } from "effect";
import { z } from "zod";
import { ensureNative } from "./setup/mod.ts";
import { task } from "./task.ts";

const { gpu } = z.object({ gpu: z.literal(true).optional() }).parse(
  task("setup", "Fetches and builds the native parts, once per user: TensorFlow and nats-server.")
    .option("--gpu", "TensorFlow for NVIDIA GPUs (default: where there is one)")
    .parse(Deno.args, { from: "user" }).opts(),
);

const program = ensureNative(gpu ? { gpu } : {}).pipe(
  Effect.match({
    onSuccess: ({ home, tensorflow, natsServer }) => {
      console.log(`SUBTAXA_HOME  ${home}`);
      console.log(
        `TensorFlow    ${tensorflow.version}, ${tensorflow.flavour.toUpperCase()} build in ${tensorflow.folder}`,
      );
      console.log(`nats-server   ${natsServer}`);
      return 0;
    },
    onFailure: (error) => {
      console.error(error.message);
      return 1;
    },
  }),
);
Deno.exit(await Effect.runPromise(program));
