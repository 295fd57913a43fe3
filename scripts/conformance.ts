/** `deno task conformance clusterer <name>`: holds any running implementation to the contract. */
import { main } from "./conformance/mod.ts";

if (import.meta.main) Deno.exit(await main(Deno.args));
