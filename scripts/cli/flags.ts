import { InvalidArgumentError, Option } from "commander";
import { Effect } from "effect";
import { z } from "zod";
import { type CliError, usageError } from "./error.ts";

/** What a flag is made from: the JSON Schema of one field. */
const Field = z.object({
  type: z.enum(["string", "integer", "number", "boolean", "object"]),
  description: z.string().optional(),
  default: z.union([z.string(), z.number(), z.boolean(), z.record(z.string(), z.unknown())]).optional(),
  /** An object is given as JSON, unless its fields are known: those would be flags of their own. */
  properties: z.never().optional(),
  enum: z.array(z.union([z.string(), z.number()])).optional(),
  minimum: z.number().optional(),
  exclusiveMinimum: z.number().optional(),
  maximum: z.number().optional(),
  multipleOf: z.number().optional(),
});
type Field = z.infer<typeof Field>;
const Fields = z.object({
  properties: z.record(z.string(), Field),
  required: z.array(z.string()).default([]),
});

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** What a value may be. */
const range = ({ type, minimum, exclusiveMinimum, maximum, multipleOf, enum: choices }: Field): string[] => {
  if (choices) return [choices.join(" | ")];
  if (type === "boolean") return ["true | false"];
  const least = minimum ?? (exclusiveMinimum === undefined ? undefined : `above ${exclusiveMinimum}`);
  return [
    ...(least === undefined || maximum === undefined ? [] : [`${least} to ${maximum}`]),
    ...(multipleOf === undefined ? [] : [`a multiple of ${multipleOf}`]),
  ];
};

const toNumber = (type: "integer" | "number") => (text: string): number => {
  const value = text.trim() === "" ? NaN : Number(text);
  if (type === "integer" ? !Number.isSafeInteger(value) : !Number.isFinite(value)) {
    throw new InvalidArgumentError(type === "integer" ? "It is no whole number." : "It is no number.");
  }
  return value;
};

const toObject = (text: string): unknown => {
  const expected = 'It is no JSON object such as {"restarts": 8}.';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InvalidArgumentError(expected);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InvalidArgumentError(expected);
  }
  return value;
};

/** The choice that is written so. */
const oneOf = <A extends string | number | boolean>(choices: readonly A[]) => (text: string): A => {
  const chosen = choices.find((choice) => String(choice) === text);
  if (chosen === undefined) throw new InvalidArgumentError(`Allowed choices are ${choices.join(", ")}.`);
  return chosen;
};

/**
 * One option per field of a request's schema, except those in `without`: name, meaning, range and default come from it.
 * `requestOf` says which required one is missing, so that a misspelt one is reported as that.
 */
export const flagsOf = (schema: z.ZodObject, without: readonly string[] = []): Option[] => {
  const { properties, required } = Fields.parse(z.toJSONSchema(schema, { io: "input" }));
  return Object.entries(properties).filter(([name]) => !without.includes(name)).map(([name, field]) => {
    const facts = [
      ...range(field),
      ...(field.default === undefined
        ? []
        : [`default: ${typeof field.default === "object" ? JSON.stringify(field.default) : field.default}`]),
      ...(required.includes(name) ? ["required"] : []),
    ];
    const description = [field.description, facts.length > 0 ? `(${facts.join("; ")})` : ""].filter(Boolean);
    const value = field.enum
      ? "choice"
      : { string: "name", object: "json" }[field.type as string] ?? field.type;
    const option = new Option(`--${kebab(name)} <${value}>`, description.join(" "));
    if (field.enum) return option.argParser(oneOf(field.enum));
    if (field.type === "boolean") return option.argParser(oneOf([true, false]));
    if (field.type === "object") return option.argParser(toObject);
    return field.type === "string" ? option : option.argParser(toNumber(field.type));
  });
};

/** The given fields, checked by the schema; what was not given is left to the server's defaults. */
export const requestOf = (
  schema: z.ZodObject,
  values: Readonly<Record<string, unknown>>,
): Effect.Effect<Record<string, unknown>, CliError> => {
  const given = Object.fromEntries(
    Object.keys(schema.shape).flatMap((name) => values[name] === undefined ? [] : [[name, values[name]]]),
  );
  const { error } = schema.safeParse(given);
  if (!error) return Effect.succeed(given);
  const problems = error.issues.map(({ path, message }) =>
    path.join(".") in given
      ? `--${kebab(path.join("."))}: ${message}`
      : `--${kebab(path.join("."))} is required`
  );
  return Effect.fail(usageError(problems.join("\n")));
};
