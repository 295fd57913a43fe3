import { CONTRACT_VERSION, type Event, initialFoldState, RunRequest, specOf } from "@subtaxa/contracts";
import { join } from "node:path";
import { TextLineStream } from "./lines.ts";

const classes = ["a", "b"];
/** A run of two classes and no clustering is asked for. */
export const runRequested = (runId: string): Event => ({
  type: "run.requested",
  v: CONTRACT_VERSION,
  at: new Date().toISOString(),
  runId,
  fold: 0,
  epoch: 0,
  spec: specOf(RunRequest.parse({ dataset: "d", method: "standard" }), {
    manifest: { key: "k", sha256: "0".repeat(64), bytes: 0 },
    classes,
  }),
  state: initialFoldState(classes),
});

interface Line {
  message: unknown;
  annotations: Record<string, unknown>;
}

/** A service of the tests as a process of its own: its log lines and its probes. */
export const startService = (env: Record<string, string>, file: string) => {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", join(import.meta.dirname!, file)],
    env: { SUBTAXA_PROBE_PORT: "0", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines = process.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
    .getReader();
  const seen: string[] = [];
  return {
    process,
    until: async (found: (line: Line) => boolean) => {
      for (;;) {
        const { value, done } = await lines.read();
        if (done) {
          throw new Error(`the service ended before it logged the line; it logged\n${seen.join("\n")}`);
        }
        seen.push(value);
        const line = JSON.parse(value) as Line;
        if (found(line)) return line;
      }
    },
    drain: async () => {
      while (!(await lines.read()).done);
    },
  };
};
