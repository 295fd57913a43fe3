import { main } from "./reproduce/mod.ts";

if (import.meta.main) Deno.exit(await main(Deno.args));
