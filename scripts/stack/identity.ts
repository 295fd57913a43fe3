import { Effect, Schedule } from "effect";

/**
 * When a process began, in the operating system's own words; undefined when there is none with this pid (one that
 * ended but was not collected yet counts as none). Pids are used again: only pid and beginning together name a process.
 */
export const beganAt = (pid: number): string | undefined => {
  if (pid <= 0) return undefined;
  if (Deno.build.os === "linux") {
    try {
      // "pid (name) state ppid …": the name may hold spaces and brackets. The beginning is field 22 (proc(5)).
      const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ") ?? [];
      return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
    } catch {
      return undefined; // no such process
    }
  }
  const ps = new Deno.Command("ps", { args: ["-o", "stat=,lstart=", "-p", String(pid)] }).outputSync();
  const [state, ...began] = new TextDecoder().decode(ps.stdout).trim().split(/\s+/);
  return !state || state.startsWith("Z") ? undefined : began.join(" ");
};

/** A process as it is remembered: its pid, and when it began. */
export interface Remembered {
  readonly pid: number;
  readonly began: string;
}

export const remember = (pid: number): Remembered => ({ pid, began: beganAt(pid) ?? "" });

export const isAlive = ({ pid, began }: Remembered): boolean => began !== "" && beganAt(pid) === began;

const signal = (process: Remembered, name: Deno.Signal) =>
  Effect.sync(() => {
    if (!isAlive(process)) return;
    try {
      Deno.kill(process.pid, name);
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) throw cause; // it ended meanwhile
    }
  });

const untilGone = (process: Remembered, millis: number) =>
  Effect.sync(() => isAlive(process)).pipe(
    Effect.repeat({ schedule: Schedule.spaced("50 millis"), while: (alive) => alive }),
    Effect.timeoutOption(millis),
  );

/** Ends a process that is not a child of this one: SIGTERM, and SIGKILL after the grace. Never another one of the same pid. */
export const stopProcess = (process: Remembered, graceMillis: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* signal(process, "SIGTERM");
    yield* untilGone(process, graceMillis);
    yield* signal(process, "SIGKILL");
    yield* untilGone(process, 5_000);
  });
