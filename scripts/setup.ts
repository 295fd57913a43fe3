/** `deno task setup [--gpu]`: fetches and builds the native parts. */
import { Effect } from "effect";
import { parseArgs } from "node:util";
import { ensureNative } from "./setup/mod.ts";

const { values } = parseArgs({ args: Deno.args, options: { gpu: { type: "boolean" } } });

const program = ensureNative(values.gpu ? { gpu: true } : {}).pipe(
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
