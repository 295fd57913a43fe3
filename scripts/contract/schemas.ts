import { ClustererAnnouncement, Event, type EventType, RunProgress, Subclass } from "@subtaxa/contracts";
import { z } from "zod";

/** Schemas are open: a field more is no new version. */
export const opened: Parameters<typeof z.toJSONSchema>[1] = {
  io: "output",
  override: ({ jsonSchema }) => {
    const { additionalProperties } = jsonSchema;
    const says = typeof additionalProperties === "object" && Object.keys(additionalProperties).length > 0;
    if (!says) delete jsonSchema.additionalProperties; // false, or anything
  },
};

/** The schemas of every event, by its type. */
export const eventSchemas: ReadonlyMap<EventType, z.ZodType> = new Map(
  Event.options.map((option) => [option.shape.type.value, option]),
);

/** What an event's type is as the name of a message: `features.extracted` → `FeaturesExtracted`. */
export const messageName = (type: string): string =>
  type.split(".").map((word) => word[0]!.toUpperCase() + word.slice(1)).join("");

/** Metadata under the key `subtaxa` of an artifact's Arrow schema. */
const metadataOf = (artifact: string, more: z.ZodRawShape = {}) =>
  z.object({ artifact: z.literal(artifact), v: z.literal(1), ...more });

export const artifactMetadata = {
  images: metadataOf("images"),
  features: metadataOf("features"),
  views: metadataOf("views", { views: z.number().int().min(1) }),
  labels: metadataOf("labels", {
    subclasses: z.array(Subclass),
    highestIds: z.array(z.number().int().min(0)),
  }),
  predictions: metadataOf("predictions"),
};

/** Every JSON Schema that is generated, by its file's name. */
export const jsonSchemas = (): Record<string, unknown> => {
  const named = (title: string, schema: z.ZodType) => ({
    title,
    ...z.toJSONSchema(schema, { ...opened, target: "draft-2020-12" }),
  });
  return {
    ...Object.fromEntries(
      [...eventSchemas].map((
        [type, schema],
      ) => [`events/${type}.schema.json`, named(messageName(type), schema)]),
    ),
    ...Object.fromEntries(
      Object.entries(artifactMetadata).map(([name, schema]) => [
        `artifacts/${name}.metadata.schema.json`,
        named(`Metadata of the ${name} table`, schema),
      ]),
    ),
    "discovery/clusterer.schema.json": named("ClustererAnnouncement", ClustererAnnouncement),
    "progress/run.schema.json": named("RunProgress", RunProgress),
  };
};
