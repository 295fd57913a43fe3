import { DatasetRequest, RunRequest } from "@subtaxa/contracts";
import { Command, InvalidArgumentError, Option } from "commander";
import { Effect } from "effect";
import { z } from "zod";
import { type StackError, workers } from "../stack/mod.ts";
import type { Target } from "./api.ts";
import { address, userPath, wholeNumber } from "./arguments.ts";
import { describeClusterers, listClusterers } from "./clusterers.ts";
import { datasetTable, datasetView, describeDataset, importFolder, listDatasets } from "./datasets.ts";
import { type CliError, exitCode } from "./error.ts";
import { flagsOf } from "./flags.ts";
import { dataFolder, down, processes, processTable, up } from "./machine.ts";
import {
  cancelRun,
  describeAbsence,
  listRuns,
  openFile,
  reportName,
  runTable,
  saveReport,
  startRun,
} from "./runs.ts";
import { describeTop, look, showTop } from "./top.ts";
import { describeRun, runView, watchRun } from "./watch.ts";

/** What a command line asks for: ends with an exit code. */
export interface Job {
  readonly effect: Effect.Effect<number, CliError | StackError>;
  /** Exit code when it is interrupted. */
  readonly interrupted: number;
}

const done = (text: string): Effect.Effect<number> =>
  Effect.sync(() => {
    console.log(text);
    return exitCode.ok;
  });

const Instances = z.partialRecord(z.enum(workers), z.number());

/** `trainer=2,extractor=2` */
const instances = (list: string): z.infer<typeof Instances> =>
  Object.fromEntries(
    list.split(",").map((entry) => {
      const [name = "", count = ""] = entry.split("=").map((part) => part.trim());
      const worker = workers.find((worker) => worker === name);
      if (worker === undefined) {
        throw new InvalidArgumentError(
          `"${entry}" is none of ${workers.map((w) => `${w}=<number>`).join(", ")}.`,
        );
      }
      return [worker, wholeNumber(1)(count)];
    }),
  );

const isPort = (text: string): boolean => /^\d+$/.test(text) && Number(text) <= 65_535;

const port = (text: string): number => {
  if (!isPort(text)) throw new InvalidArgumentError("It is no port from 0 to 65535.");
  return Number(text);
};

/** Commands that don't ask the gateway. */
const local = new Set(["up", "down", "ps", "top", "doctor"]);

const Values = z.record(z.string(), z.unknown());
const Common = z.object({ url: z.string(), token: z.string().optional(), json: z.boolean().default(false) });

/** The command line's grammar. Parsing calls `choose` with the job of the command that was named. */
export const makeProgram = (choose: (job: Job) => void): Command => {
  const gatewayPort = Deno.env.get("SUBTAXA_PORT") || "8080";
  const program = new Command("subtaxa")
    .description("Trains image classifiers that split the classes they miss into visual sub-classes.")
    .addOption(
      new Option("--url <address>", "the gateway's address")
        .argParser(address)
        .default(`http://127.0.0.1:${gatewayPort}`, "this machine, port SUBTAXA_PORT or 8080"),
    )
    .addOption(
      new Option("--token <token>", "bearer token, where the gateway wants one").env("SUBTAXA_TOKEN"),
    )
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .showHelpAfterError("(--help after a command shows what it takes)")
    .addHelpText("after", "\nExit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.")
    .exitOverride()
    .hook("preAction", (program, command) => {
      if (local.has(command.name()) || program.getOptionValueSource("url") !== "default") return;
      if (!isPort(gatewayPort)) {
        program.error(`error: SUBTAXA_PORT is "${gatewayPort}", which is no port from 0 to 65535`);
      }
    });

  const target = (command: Command): Target => {
    const { url, token } = Common.parse(command.optsWithGlobals());
    return { url, token };
  };
  const isJson = (command: Command): boolean => Common.parse(command.optsWithGlobals()).json;
  const valuesOf = (command: Command) => Values.parse(command.opts());
  const run = (effect: Job["effect"], interrupted: number = exitCode.interrupted) =>
    choose({ effect, interrupted });
  /** Prints the answer as JSON, or in words. */
  const tell = (command: Command, answer: unknown, words: string) =>
    done(isJson(command) ? JSON.stringify(answer, null, 2) : words);

  program.command("up")
    .description("Run NATS and every service on this machine until Ctrl-C")
    .option("--port <port>", "the gateway's port (default: SUBTAXA_PORT, else 8080)", port)
    .option(
      "--nats-port <port>",
      "the port of the NATS server that is started, for services of your own (default: a free one, which is told)",
      port,
    )
    .option(
      "--workers <list>",
      `instances side by side, such as trainer=2,extractor=2 (of ${
        workers.join(", ")
      }; default: one of each)`,
      instances,
      {},
    )
    .option("--json", "print one JSON line when everything is ready")
    .action((_options, command: Command) => {
      const { port, natsPort, workers } = z.object({
        port: z.number().optional(),
        natsPort: z.number().optional(),
        workers: Instances,
      }).parse(command.opts());
      run(up({ port, natsPort, workers, json: isJson(command) }), exitCode.ok);
    });

  program.command("down")
    .description("Stop what `up` started")
    .action(() =>
      run(Effect.flatMap(
        down((line) => console.log(line)),
        (stopped) => done(stopped ? "stopped" : "nothing is running"),
      ))
    );

  program.command("ps")
    .description("What `up` started: service, process, port, state")
    .option("--json", "print JSON")
    .action((_options, command: Command) =>
      run(
        Effect.flatMap(processes(), (all) =>
          tell(command, all, all.length > 0 ? processTable(all) : "nothing is running")),
      )
    );

  program.command("top")
    .description(
      "Services, runs and consumer lag of what `up` started, or without services of what is at --url, every second until Ctrl-C",
    )
    .option("--once", "show it once")
    .option("--json", "print JSON, a line each time")
    .action((_options, command: Command) => {
      const { token } = target(command);
      const url = program.getOptionValueSource("url") === "default" ? undefined : target(command).url;
      const frame = Effect.map(
        look({ dataFolder: dataFolder(), url, token }),
        (view) => isJson(command) ? JSON.stringify(view) : describeTop(view),
      );
      run(valuesOf(command).once === true ? Effect.flatMap(frame, done) : showTop(frame), exitCode.ok);
    });

  const imports = program.command("import <folder>")
    .description("Import a folder of class folders as a dataset")
    .option("--name <name>", "the dataset's name (default: the folder's)");
  for (const flag of flagsOf(DatasetRequest, ["name", "path"])) imports.addOption(flag);
  imports
    .option(
      "--show <number>",
      "rejected files to name per reason, and pictures in several classes",
      wholeNumber(0),
      5,
    )
    .option("--json", "print the dataset as JSON")
    .action((folder: string, _options, command: Command) => {
      const { name, show, ...fields } = z.looseObject({ name: z.string().optional(), show: z.number() })
        .parse(command.opts());
      const json = isJson(command);
      run(Effect.gen(function* () {
        const view = yield* importFolder(target(command), { folder: userPath(folder), name, fields, json });
        yield* tell(command, view, describeDataset(view, show));
        return view.state === "ready" ? exitCode.ok : exitCode.failed;
      }));
    });

  program.command("datasets [name]")
    .description("Datasets, or the classes, warnings and rejected files of one")
    .option(
      "--show <number>",
      "rejected files to name per reason, and pictures in several classes",
      wholeNumber(0),
      5,
    )
    .option("--json", "print JSON")
    .action((name: string | undefined, _options, command: Command) => {
      const { show } = z.object({ show: z.number() }).parse(command.opts());
      run(
        name === undefined
          ? Effect.flatMap(
            listDatasets(target(command)),
            (all) => tell(command, all, all.length > 0 ? datasetTable(all) : "there are no datasets yet"),
          )
          : Effect.flatMap(
            datasetView(target(command), name),
            (view) => tell(command, view, describeDataset(view, show)),
          ),
      );
    });

  program.command("clusterers")
    .description("Clusterers that runs can ask for: version, live instances, parameters")
    .option("--json", "print JSON")
    .action((_options, command: Command) =>
      run(
        Effect.flatMap(listClusterers(target(command)), (all) =>
          tell(command, all, all.length > 0 ? describeClusterers(all) : "there are no clusterers yet")),
      )
    );

  /** Watches to the end; prints how it ended. */
  const watch = (command: Command, id: string): Effect.Effect<number, CliError> =>
    Effect.gen(function* () {
      const view = yield* watchRun(target(command), id, { json: isJson(command) });
      yield* tell(command, view, describeRun(view));
      return view.state === "completed" ? exitCode.ok : exitCode.failed;
    }).pipe(Effect.onInterrupt(() =>
      Effect.sync(() =>
        console.error(
          `run ${id} goes on: "subtaxa watch ${id}" shows it again, "subtaxa cancel ${id}" stops it`,
        )
      )
    ));

  const runs = program.command("run").description("Start a run");
  for (const flag of flagsOf(RunRequest)) runs.addOption(flag);
  runs
    .option("--watch", "show its progress until it has ended")
    .option("--json", "print the run's id as JSON; with --watch, the run as it ended")
    .action((_options, command: Command) =>
      run(Effect.gen(function* () {
        const id = yield* startRun(target(command), valuesOf(command));
        const absence = yield* runView(target(command), id).pipe(
          Effect.flatMap((view) => describeAbsence(target(command), view)),
          Effect.orElseSucceed(() => undefined), // the run has been started, whether or not this can be told
        );
        if (absence) console.error(absence);
        if (valuesOf(command).watch === true) return yield* watch(command, id);
        return yield* tell(
          command,
          { id },
          `run ${id} is queued: "subtaxa watch ${id}" shows how it goes on`,
        );
      }))
    );

  program.command("watch <run>")
    .description("Show a run's progress until it has ended")
    .option("--json", "print the run as it ended as JSON")
    .action((id: string, _options, command: Command) => run(watch(command, id)));

  program.command("runs")
    .description("Runs, newest first")
    .option("--limit <number>", "at most so many", wholeNumber(1), 50)
    .option("--json", "print JSON, without the epochs")
    .action((_options, command: Command) => {
      const { limit } = z.object({ limit: z.number() }).parse(command.opts());
      run(
        Effect.flatMap(
          listRuns(target(command), limit),
          (all) => tell(command, all, all.length > 0 ? runTable(all) : "there are no runs yet"),
        ),
      );
    });

  program.command("cancel <run>")
    .description("Stop a run within one batch")
    .option("--json", "print the run as JSON")
    .action((id: string, _options, command: Command) =>
      run(
        Effect.flatMap(cancelRun(target(command), id), (view) =>
          tell(command, view, `run ${id} is ${view.state}`)),
      )
    );

  program.command("report <run>")
    .description("Save the report of a completed run, one HTML file")
    .option("--output <file|folder>", "where to (default: subtaxa-<run>.html)")
    .option("--open", "show it in the browser")
    .option("--json", "print the file's path as JSON")
    .action((id: string, _options, command: Command) => {
      const { output, open } = z.object({ output: z.string().optional(), open: z.boolean().default(false) })
        .parse(command.opts());
      run(Effect.gen(function* () {
        const path = yield* saveReport(target(command), id, userPath(output ?? reportName(id)));
        yield* tell(command, { run: id, path }, `the report is at ${path}`);
        if (open) yield* openFile(path);
        return exitCode.ok;
      }));
    });

  program.command("doctor")
    .description("Check what Subtaxa needs: TensorFlow, GPU, NATS, disk")
    .option("--json", "print JSON")
    .action((_options, command: Command) =>
      run(Effect.gen(function* () {
        // Loaded only here: it brings TensorFlow along.
        const { doctor, renderReport } = yield* Effect.promise(() => import("../doctor.ts"));
        const report = yield* doctor();
        yield* tell(command, report, renderReport(report));
        return report.ok ? exitCode.ok : exitCode.failed;
      }))
    );

  return program;
};
