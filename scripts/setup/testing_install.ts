/**
 * A small set-up for tests, run as a process of its own so that it can be killed: installs the wheels pinned in a
 * file into `<home>/part` and prints what it reports, one JSON value a line. With a folder of gates, the wheel `x` is
 * fetched only once the file `x` lies there.
 */
import { Effect } from "effect";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parsePins } from "./pins.ts";
import { findPython } from "./prerequisites.ts";
import { runSteps } from "./steps.ts";
import { type FetchWheel, fetchWithPip, installWheels } from "./wheels.ts";

const [home = "", pinsFile = "", gates] = Deno.args;
const folder = join(home, "part");
const pins = parsePins(Deno.readTextFileSync(pinsFile));
const report = (value: unknown) => console.log(JSON.stringify(value));

const install = Effect.gen(function* () {
  const python = (yield* findPython).command;
  const fromPip = fetchWithPip(python, "linux-x86_64");
  const fetchWheel: FetchWheel = (pin, into, onBytes) => {
    report({ fetch: pin.name });
    const opened = () => gates === undefined || existsSync(join(gates, pin.name));
    const gate = Effect.repeat(Effect.sleep(20), { until: opened });
    return Effect.andThen(gate, fromPip(pin, into, onBytes));
  };
  yield* installWheels({ folder, pins, python, fetchWheel, report });
});

const program = Effect.match(runSteps(home, [{ isDone: () => existsSync(folder), run: install }], report), {
  onSuccess: () => 0,
  onFailure: ({ reason, message, retryable }) => {
    report({ reason, message, retryable });
    return 1;
  },
});
Deno.exit(await Effect.runPromise(program));
