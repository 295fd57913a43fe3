import { expect } from "expect";
import { resolve } from "node:path";
import config from "../deno.json" with { type: "json" };

const root = resolve(import.meta.dirname!, "..");

Deno.test("every task says what it does, and does nothing else; wrong usage is code 2", async () => {
  for (const [name, command] of Object.entries(config.tasks)) {
    const [, ...args] = command.split(" ");
    const run = (...more: string[]) =>
      new Deno.Command(Deno.execPath(), {
        args: [...args, ...more],
        cwd: root,
        env: { NO_COLOR: "1" },
        stdin: "null",
      }).output();
    const { stdout } = await run("--help");
    const text = new TextDecoder().decode(stdout);
    expect([name, text]).toEqual([name, expect.stringMatching(/^Usage: /)]);
    expect(text.split("\n").length).toBeGreaterThan(4);
    if (name === "test") continue; // it hands what it doesn't know on to Deno's own
    expect([name, (await run("--no-such-option")).code]).toEqual([name, 2]);
  }
});
