// @ts-types="@types/cli-progress"
import progress from "cli-progress";
import { Effect, type Scope } from "effect";

/** One progress bar. */
export interface Gauge {
  readonly label: string;
  readonly done: number;
  readonly total: number;
  readonly details: string;
}

/** Where a command tells how it goes on: lines that stay, and gauges that move. */
export interface Screen {
  readonly line: (text: string) => void;
  /** Shows a gauge, or moves the one of the same key. */
  readonly gauge: (key: string, gauge: Gauge) => void;
  readonly remove: (key: string) => void;
}

/** Without a terminal, a gauge becomes a line at most this often. */
const plainInterval = 10_000;

export const makePlainScreen = (write: (text: string) => void, now: () => number = Date.now): Screen => {
  const shown = new Map<string, number>();
  return {
    line: write,
    gauge: (key, { label, done, total, details }) => {
      if (now() - (shown.get(key) ?? -Infinity) < plainInterval) return;
      shown.set(key, now());
      write(`${label} ${done}/${total}${details ? `  ${details}` : ""}`);
    },
    remove: (key) => void shown.delete(key),
  };
};

const makeTerminalScreen = (): { screen: Screen; stop: () => void } => {
  const bars = new progress.MultiBar({
    format: "{label} {bar} {value}/{total}  {details}",
    barsize: 24,
    hideCursor: true,
    linewrap: false,
    clearOnComplete: true,
    gracefulExit: false,
  }, progress.Presets.shades_classic);
  const shown = new Map<string, progress.SingleBar>();
  return {
    screen: {
      line: (text) => (shown.size > 0 ? bars.log(`${text}\n`) : console.log(text)),
      gauge: (key, { label, done, total, details }) => {
        const bar = shown.get(key) ?? bars.create(total, done, { label, details });
        shown.set(key, bar);
        bar.setTotal(total);
        bar.update(done, { label, details });
      },
      remove: (key) => {
        const bar = shown.get(key);
        if (bar) bars.remove(bar);
        shown.delete(key);
      },
    },
    stop: () => {
      bars.update(); // lines that wait for the next redraw
      bars.stop();
    },
  };
};

/**
 * Bars in a terminal; elsewhere lines on standard output, or on standard error (without gauges) when standard output is
 * for a script to read.
 */
export const makeScreen = (
  { json }: { readonly json: boolean },
): Effect.Effect<Screen, never, Scope.Scope> => {
  if (json) {
    return Effect.succeed({
      line: (text) => console.error(text),
      gauge: () => undefined,
      remove: () => undefined,
    });
  }
  if (!Deno.stdout.isTerminal()) return Effect.succeed(makePlainScreen((text) => console.log(text)));
  return Effect.map(
    Effect.acquireRelease(Effect.sync(makeTerminalScreen), ({ stop }) => Effect.sync(stop)),
    ({ screen }) => screen,
  );
};
