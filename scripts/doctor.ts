/** `deno task doctor [--json]`: what was found on this machine, and whether it works. */
import { Effect } from "effect";
import { currentPlatform, installedBuild, natsServerPath, subtaxaHome } from "@subtaxa/tensorflow";
import * as environment from "./doctor/environment.ts";
import * as native from "./doctor/native.ts";
import { task } from "./task.ts";
import { broken, type DoctorReport, renderReport } from "./doctor/report.ts";

export { type Check, type DoctorReport, renderReport } from "./doctor/report.ts";

/** Looks at everything Subtaxa needs and tries it out; takes a few seconds and changes nothing. */
export const doctor = (): Effect.Effect<DoctorReport> =>
  Effect.gen(function* () {
    const home = subtaxaHome();
    const platform = currentPlatform();
    if (platform === undefined) {
      const found = `${Deno.build.os} on ${Deno.build.arch}`;
      const advice = "use Linux on x86_64 or aarch64, or macOS on Apple silicon";
      return { ok: false, checks: [environment.deno(), broken("Platform", found, advice)] };
    }
    const build = installedBuild(home);
    const server = natsServerPath(home, platform);
    const isSetUp = build !== undefined;
    const checks = [
      environment.deno(),
      yield* environment.python(isSetUp),
      yield* environment.compiler(isSetUp),
      yield* environment.disk("Native parts", home),
      yield* environment.disk("Data", Deno.env.get("SUBTAXA_DATA") ?? ".subtaxa"),
      native.tensorFlow(home, build),
      yield* environment.gpu(build),
      yield* native.tensorProgram(build),
      yield* native.natsServer(server),
      yield* native.natsRoundTrip(server),
    ];
    return { ok: checks.every(({ state }) => state !== "broken"), checks };
  });

if (import.meta.main) {
  const { json } = task("doctor", "Checks what Subtaxa needs: TensorFlow, GPU, NATS, disk.")
    .option("--json", "print JSON").parse(Deno.args, { from: "user" }).opts();
  const report = await Effect.runPromise(doctor());
  console.log(json ? JSON.stringify(report, null, 2) : renderReport(report));
  Deno.exit(report.ok ? 0 : 1);
}
