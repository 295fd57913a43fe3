/** What the tests of set-up share: a small wheelhouse for pip, and processes to watch. */
import { readdirSync } from "node:fs";
import { join } from "node:path";

const here = import.meta.dirname ?? ".";

/** Runs `body` with a temporary folder that is removed afterwards. */
export const withFolder = async (body: (folder: string) => Promise<void>): Promise<void> => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-setup-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

const makeWheel = `
import sys, zipfile
for name in sys.argv[2:]:
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(f"{sys.argv[1]}/{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"nvidia/{name}/lib/lib{name}.so", name * 100_000)
        wheel.writestr(f"nvidia/{name}/include/{name}.h", "not wanted")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
`;

const python = async (...args: string[]): Promise<string> => {
  const { success, stdout, stderr } = await new Deno.Command("python3", { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
};

/** The pins of every wheel in a folder, as a requirements file. */
export const writePins = async (wheelhouse: string): Promise<string> => {
  const wheels = readdirSync(wheelhouse).filter((name) => name.endsWith(".whl")).sort();
  const path = join(wheelhouse, "pins.txt");
  const pins = await python(join(here, "wheel.py"), "pin", ...wheels.map((name) => join(wheelhouse, name)));
  await Deno.writeTextFile(path, pins);
  return path;
};

/** Makes small wheels of these names, each with one library and one header; returns the requirements file's path. */
export const makeWheelhouse = async (folder: string, ...names: string[]): Promise<string> => {
  await Deno.mkdir(folder, { recursive: true });
  await python("-c", makeWheel, folder, ...names);
  return await writePins(folder);
};

export interface Watched {
  readonly pid: number;
  /** Everything printed so far. */
  readonly output: () => string;
  /** Resolves once the text has been printed. */
  readonly printed: (text: string) => Promise<void>;
  readonly kill: () => void;
  /** The exit code. */
  readonly ended: Promise<number>;
}

/** Starts a Deno script and collects what it prints on either stream. */
export const start = (script: string, args: readonly string[], env: Record<string, string> = {}): Watched => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", join(here, script), ...args],
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let output = "";
  let changed = Promise.withResolvers<void>();
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      output += text;
      changed.resolve();
      changed = Promise.withResolvers<void>();
    }
  };
  const ended = Promise.all([child.status, collect(child.stdout), collect(child.stderr)]).then(([{ code }]) =>
    code
  );
  return {
    pid: child.pid,
    output: () => output,
    printed: async (text) => {
      while (!output.includes(text)) {
        const over = await Promise.race([changed.promise, ended]);
        if (over !== undefined && !output.includes(text)) {
          throw new Error(`"${text}" was never printed:\n${output}`);
        }
      }
    },
    kill: () => child.kill("SIGKILL"),
    ended,
  };
};

/** Environment in which pip sees this folder and no index. */
export const offline = (wheelhouse: string): Record<string, string> => ({
  PIP_NO_INDEX: "1",
  PIP_FIND_LINKS: wheelhouse,
});
