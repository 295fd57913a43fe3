import { parse } from "yaml";
import { z } from "zod";

type Schema = { [key: string]: unknown };

const isSchema = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** What OpenAPI leaves to words: `format: int-or-string`, and quantities, which may be numbers. */
const widened: Record<string, Schema> = {
  "io.k8s.apimachinery.pkg.util.intstr.IntOrString": { type: ["string", "integer"] },
  "io.k8s.apimachinery.pkg.api.resource.Quantity": { type: ["string", "number"] },
};

/** The same schema without room for what it doesn't name. */
const strict = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(strict);
  if (!isSchema(schema)) return schema;
  const { "x-kubernetes-int-or-string": either, "x-kubernetes-preserve-unknown-fields": open, ...rest } =
    schema;
  if (either) return { type: ["string", "integer"] };
  const out: Schema = {};
  for (const [key, value] of Object.entries(rest)) {
    if (key === "description" || key.startsWith("x-kubernetes-")) continue;
    // names of fields are no keywords
    out[key] = key === "properties" && isSchema(value)
      ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, strict(inner)]))
      : strict(value);
  }
  if (isSchema(out.properties) && out.additionalProperties === undefined && !open) {
    out.additionalProperties = false;
  }
  return out;
};

const Kind = z.object({ group: z.string(), version: z.string(), kind: z.string() });
const Swagger = z.object({
  definitions: z.record(
    z.string(),
    z.looseObject({ "x-kubernetes-group-version-kind": z.array(Kind).optional() }),
  ),
});
const Crd = z.object({
  spec: z.object({
    group: z.string(),
    names: z.object({ kind: z.string() }),
    versions: z.array(
      z.object({ name: z.string(), schema: z.object({ openAPIV3Schema: z.looseObject({}) }) }),
    ),
  }),
});

/** As kubeconform's `{{.ResourceKind}}{{.KindSuffix}}`: the kind, the group's first part, the version. */
const fileName = ({ group, version, kind }: z.infer<typeof Kind>): string =>
  [kind, ...(group ? [group.split(".")[0]] : []), version].join("-").toLowerCase();

const refs = (value: unknown): string[] => {
  if (Array.isArray(value)) return value.flatMap(refs);
  if (!isSchema(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === "$ref" && typeof inner === "string" ? [inner.slice("#/definitions/".length)] : refs(inner)
  );
};

/** An object of this kind says so. */
const withKind = (schema: Schema, { group, version, kind }: z.infer<typeof Kind>): Schema => ({
  ...schema,
  required: [...new Set(["apiVersion", "kind", ...(Array.isArray(schema.required) ? schema.required : [])])],
  properties: {
    ...(isSchema(schema.properties) ? schema.properties : {}),
    apiVersion: { const: group ? `${group}/${version}` : version },
    kind: { const: kind },
  },
});

/**
 * JSON schemas that refuse what they don't name: one for each kind of Kubernetes' swagger.json and of the given
 * CustomResourceDefinitions (YAML), self-contained, by the name of its file without extension.
 */
export const strictSchemas = (swagger: string, crds: readonly string[]): ReadonlyMap<string, Schema> => {
  const { definitions } = Swagger.parse(JSON.parse(swagger));
  const all = new Map(
    Object.entries(definitions).map(([name, schema]) => [name, widened[name] ?? strict(schema) as Schema]),
  );
  const out = new Map<string, Schema>();
  for (const [name, { "x-kubernetes-group-version-kind": kinds = [] }] of Object.entries(definitions)) {
    const schema = all.get(name);
    // shared ones such as DeleteOptions are of many kinds, and nobody's manifest
    const [kind, ...others] = kinds;
    if (!kind || others.length > 0 || !schema) continue;
    const needed = new Set<string>();
    const visit = (from: unknown) => {
      for (const ref of refs(from)) {
        if (needed.has(ref)) continue;
        needed.add(ref);
        visit(all.get(ref));
      }
    };
    visit(schema);
    out.set(fileName(kind), {
      ...withKind(schema, kind),
      definitions: Object.fromEntries([...needed].map((ref) => [ref, all.get(ref)])),
    });
  }
  const metadata = all.get("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta") ?? {};
  for (const text of crds) {
    const { spec: { group, names, versions } } = Crd.parse(parse(text));
    for (const { name: version, schema: { openAPIV3Schema } } of versions) {
      const kind = { group, version, kind: names.kind };
      const schema = withKind(strict(openAPIV3Schema) as Schema, kind);
      const properties = { ...(isSchema(schema.properties) ? schema.properties : {}), metadata };
      out.set(fileName(kind), { ...schema, properties, definitions: Object.fromEntries(all) });
    }
  }
  return out;
};
