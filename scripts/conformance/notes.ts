import { Effect } from "effect";
import type { Bench } from "./bench.ts";
import type { Check } from "./check.ts";
import { broken } from "./error.ts";
import type { Rule } from "./labels.ts";

const several = (found: readonly string[]) =>
  found[0] === undefined
    ? Effect.succeed("")
    : Effect.fail(broken(`${found[0]}${found.length > 1 ? ` (and ${found.length - 1} more)` : ""}`));

/** Reports what the tables of all runs so far break. */
const tables = (rule: Rule, name: string): Check => ({
  name,
  run: ({ faults, tables }) =>
    tables.count === 0
      ? Effect.fail(broken("no labels table was seen"))
      : several(faults.filter((fault) => fault.rule === rule).map(({ message }) => message)),
});

/** Reports what was noted down about messages; where there were none, nothing speaks for the candidate. */
const noted = (
  about: keyof Bench["complaints"],
  name: string,
  anyOf: (bench: Bench) => readonly unknown[],
): Check => ({
  name,
  run: (bench) =>
    anyOf(bench).length === 0
      ? Effect.fail(broken("none was seen"))
      : several([...new Set(bench.complaints[about])]),
});

/** What was seen of all runs. */
export const notes: readonly Check[] = [
  noted(
    "messages",
    "messages: subject, message id and headers are those of the event",
    ({ seen, isOwn }) => seen.filter(isOwn),
  ),
  noted(
    "settling",
    "settling: acknowledged after the answer is published, terminated when the run is failed",
    ({ wire }) => wire.settlements,
  ),
  noted(
    "deadLetters",
    "dead letters: the message's bytes, on its subject, with the reason",
    ({ seen }) => seen.filter(({ subject }) => subject.startsWith("dead.")),
  ),
  tables("images", "labels: every training image once, in its own class"),
  tables("limits", "labels: never more sub-classes than are allowed"),
  tables("subclasses", "labels: the sub-classes that are used are listed once, sorted"),
  tables("state", "labels: the state counts the sub-classes and changes no limit"),
  tables("layout", "labels: columns as in arrow.json, under the key sha256-<digest>"),
  tables("distance", "labels: distances are those to the mean of the sub-class"),
  tables("summary", "summary: changes and agreement are those of the tables"),
];
