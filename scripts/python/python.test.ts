import { expect } from "expect";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { hasPip } from "./mod.ts";

const program = (requirements: string, home: string) => `
  import { Effect } from "effect";
  import { pythonWith } from ${JSON.stringify(import.meta.resolve("./mod.ts"))};
  console.log(await Effect.runPromise(pythonWith(${JSON.stringify(requirements)}, "none", ${
  JSON.stringify(home)
})));
`;

Deno.test("two processes make an environment once, and anew what was left half made", {
  ignore: !await hasPip(),
}, async () => {
  const home = await Deno.makeTempDir();
  try {
    const requirements = join(home, "requirements.txt");
    await Deno.writeTextFile(requirements, ""); // an environment without a package needs no connection
    const folder = join(home, `none-${createHash("sha256").digest("hex").slice(0, 12)}`);
    const rubbish = join(folder, "venv", "rubbish");
    await Deno.mkdir(join(folder, "venv"), { recursive: true });
    await Deno.writeTextFile(rubbish, "");
    const decoder = new TextDecoder();
    const answers = await Promise.all([1, 2].map(async () => {
      const args = ["eval", "--quiet", program(requirements, home)];
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
      return { python: decoder.decode(stdout).trim(), notes: decoder.decode(stderr) };
    }));
    const python = join(folder, "venv", "bin", "python");
    expect(answers.map((answer) => answer.python)).toEqual([python, python]);
    expect(answers.filter(({ notes }) => notes.includes("installing"))).toHaveLength(1);
    await expect(Deno.stat(rubbish)).rejects.toThrow(Deno.errors.NotFound);
    expect((await new Deno.Command(python, { args: ["--version"] }).output()).success).toBe(true);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
