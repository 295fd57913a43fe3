import { Effect } from "effect";

export interface Finished {
  readonly success: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Called with every chunk of standard output, as it comes. */
  readonly onOutput?: (text: string) => void;
}

const collect = async (
  stream: ReadableStream<Uint8Array>,
  onText?: (text: string) => void,
): Promise<string> => {
  let all = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    all += text;
    onText?.(text);
  }
  return all;
};

/** Runs a program to its end and kills it when interrupted. `undefined` when there is no such program. */
export const run = (
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Effect.Effect<Finished | undefined> =>
  Effect.callback<Finished | undefined>((resume, signal) => {
    const start = async (): Promise<Finished | undefined> => {
      let child: Deno.ChildProcess;
      try {
        child = new Deno.Command(command, {
          args: [...args],
          stdin: "null",
          stdout: "piped",
          stderr: "piped",
          ...(options.env ? { env: { ...options.env } } : {}),
        }).spawn();
      } catch (cause) {
        if (
          cause instanceof Deno.errors.NotFound || cause instanceof Deno.errors.PermissionDenied
        ) return undefined;
        throw cause;
      }
      const kill = () => child.kill("SIGKILL");
      signal.addEventListener("abort", kill, { once: true });
      const [stdout, stderr, status] = await Promise.all([
        collect(child.stdout, options.onOutput),
        collect(child.stderr),
        child.status,
      ]);
      signal.removeEventListener("abort", kill);
      return { success: status.success, stdout, stderr };
    };
    start().then((finished) => resume(Effect.succeed(finished)), (cause) => resume(Effect.die(cause)));
  });
