import { DatasetRequest, Method, RunRequest } from "@subtaxa/contracts";
import { Command, InvalidArgumentError, Option } from "commander";
import { z } from "zod";
import { address, flagsOf, wholeNumber } from "../cli/mod.ts";
import { allMethods, type Plan, withPaperDefaults } from "./plan.ts";

/** The paper's (section 4.1). */
const paperFolds = 5;

const methodList = (text: string): Method[] => {
  const names = [...new Set(text.split(",").map((name) => name.trim()).filter((name) => name !== ""))];
  const parsed = z.array(Method).min(1).safeParse(names);
  if (!parsed.success) throw new InvalidArgumentError(`Allowed are ${allMethods.join(", ")}.`);
  return parsed.data;
};

const notEmpty = (text: string): string => {
  if (text === "") throw new InvalidArgumentError("It is empty.");
  return text;
};

const Own = z.looseObject({
  dataset: z.string(),
  methods: z.array(Method),
  folds: z.number(),
  trainers: z.number(),
  retry: z.boolean().default(false),
  importAgain: z.boolean().default(false),
  url: z.string().optional(),
  token: z.string().optional(),
  out: z.string().optional(),
  groups: z.string().optional(),
  maxSide: z.number().optional(),
  minClassImages: z.number().optional(),
});

/** The command line's grammar; parsing calls `choose`. */
export const makeProgram = (choose: (plan: Plan) => void): Command => {
  const program = new Command("reproduce")
    .description(
      "Repeats the paper's experiment on a data set: five methods, cross-validated, their tables and figures beside the " +
        "paper's. Killed and started again with the same arguments, it goes on where it was.",
    )
    .requiredOption("--dataset <name|folder>", "an imported dataset, or a folder of class folders", notEmpty)
    .option("--methods <list>", "separated by commas (default: all)", methodList, [...allMethods])
    .option("--folds <integer>", "of the cross-validation (1 to 20)", wholeNumber(1, 20), paperFolds)
    .option(
      "--groups <separator>",
      "the part of a file's name before it is a known group: compare the sub-classes",
      notEmpty,
    )
    .option("--trainers <number>", "trainers to start; with --url, how many there are", wholeNumber(1, 64), 1)
    .option("--retry", "start runs anew that have failed or were cancelled")
    .option(
      "--import-again",
      "import the folder anew if it has changed, and begin anew with what is there now",
    )
    .option("--url <address>", "a running gateway (default: everything is started here)", address)
    .addOption(
      new Option("--token <token>", "bearer token, where that gateway wants one").env("SUBTAXA_TOKEN"),
    )
    .option("--out <folder>", "where the results go (default: below SUBTAXA_DATA, by the settings)", notEmpty)
    .showHelpAfterError("(--help shows what it takes)")
    .addHelpText(
      "after",
      "\nThe paper's networks start from --weights imagenet and see --image-size 256 (with --freeze backbone: 224) unless " +
        "told otherwise; images are imported at no smaller side.",
    )
    .addHelpText("after", "\nExit codes: 0 done, 1 a method has no result, 2 wrong usage, 130 interrupted.")
    .exitOverride();
  for (const flag of flagsOf(DatasetRequest, ["name", "path"])) program.addOption(flag);
  for (const flag of flagsOf(RunRequest, ["dataset", "method", "folds"])) program.addOption(flag);
  return program.allowExcessArguments(false).action((_options, command: Command) => {
    const { dataset, methods, trainers, retry, importAgain, url, token, out, groups, ...rest } = Own.parse(
      command.opts(),
    );
    const { maxSide, minClassImages, ...fields } = rest;
    choose({
      dataset,
      methods: allMethods.filter((method) => methods.includes(method)),
      fields: withPaperDefaults(fields),
      imports: { maxSide, minClassImages },
      trainers,
      retry,
      importAgain,
      target: url === undefined ? undefined : { url, token },
      out,
      groups,
    });
  });
};
