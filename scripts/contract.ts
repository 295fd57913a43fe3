/** `deno task contract`: writes shared/contracts/generated/ anew. */
import { dirname, join } from "node:path";
import { folder, generated } from "./contract/mod.ts";
import { task } from "./task.ts";

if (import.meta.main) {
  task("contract", "Writes shared/contracts/generated anew, after a change of an event or a table.")
    .parse(Deno.args, { from: "user" });
  await Deno.remove(folder, { recursive: true }).catch(() => undefined); // the first time there is none
  for (const [path, text] of generated()) {
    await Deno.mkdir(dirname(join(folder, path)), { recursive: true });
    await Deno.writeTextFile(join(folder, path), text);
  }
  console.log(`${generated().size} files in ${folder}`);
}
