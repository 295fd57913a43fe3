import { ClustererAnnouncement, discoverySubject } from "@subtaxa/contracts";
import { Ajv2020 } from "ajv/2020";
import { Effect, type Scope } from "effect";
import type { Bench } from "./bench.ts";
import { broken, type ConformanceError } from "./error.ts";

/** One thing that the contract demands. It ends with a remark for the report, or null where it does not apply. */
export interface Check {
  readonly name: string;
  readonly run: (bench: Bench) => Effect.Effect<string | null, ConformanceError, Scope.Scope>;
}

/** Who answers on the discovery subject: the candidate's instances. */
export const announcementsOf = ({ bus, name }: Bench) =>
  bus.ask(discoverySubject.clusterer, ClustererAnnouncement).pipe(
    Effect.mapError(({ message }) => broken(message)),
    Effect.map((all) => ({
      mine: all.filter((one) => one.name === name),
      others: [...new Set(all.map((one) => one.name))].filter((other) => other !== name),
    })),
  );

export const announcementOf = (bench: Bench) =>
  Effect.flatMap(announcementsOf(bench), ({ mine }) =>
    mine[0] ? Effect.succeed(mine[0]) : Effect.fail(
      broken(`nobody named '${bench.name}' answers on ${discoverySubject.clusterer} as the schema says`),
    ));

export const parametersOf = (announcement: ClustererAnnouncement) =>
  Effect.try({
    try: () => new Ajv2020({ strict: false, validateFormats: false }).compile(announcement.parameters),
    catch: (cause) => broken(`its parameters are no JSON Schema: ${cause}`),
  });
