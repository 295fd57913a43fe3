// The one entry of the command line: `deno task subtaxa --help`.
import { main } from "./cli/mod.ts";

Deno.exit(await main(Deno.args));
