import { Validator } from "@seriousme/openapi-schema-validator";
import { expect } from "expect";
import { withGateway } from "./testing.ts";

interface Operation {
  readonly summary?: string;
  readonly responses: Record<
    string,
    { description: string; content?: Record<string, { schema: { $ref?: string } }> }
  >;
}
interface Description {
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, unknown> };
}

Deno.test(
  "the API's description is valid OpenAPI 3.1, complete, and every operation has problems",
  withGateway(async (gateway) => {
    const api = await gateway.json<Description & Record<string, unknown>>("/openapi.json");
    const { valid, errors } = await new Validator().validate(structuredClone(api));
    expect([errors, valid]).toEqual([undefined, true]);

    const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, operation }))
    );
    expect(operations.map(({ name }) => name).sort()).toEqual([
      "delete /session",
      "get /v1/clusterers",
      "get /v1/datasets",
      "get /v1/datasets/{name}",
      "get /v1/datasets/{name}/events",
      "get /v1/datasets/{name}/rejected.csv",
      "get /v1/runs",
      "get /v1/runs/{id}",
      "get /v1/runs/{id}/events",
      "get /v1/runs/{id}/labels.csv",
      "get /v1/runs/{id}/metrics",
      "get /v1/runs/{id}/predictions.csv",
      "get /v1/runs/{id}/report",
      "post /session",
      "post /v1/datasets",
      "post /v1/runs",
      "post /v1/runs/{id}/cancel",
    ]);
    for (const { name, operation } of operations) {
      expect([name, operation.summary]).toEqual([name, expect.stringMatching(/./)]);
      const failures = Object.entries(operation.responses).filter(([status]) => Number(status) >= 400);
      expect([name, failures.length > 0]).toEqual([name, true]);
      for (const [, { content }] of failures) {
        expect(Object.keys(content!)).toEqual(["application/problem+json"]);
        expect(content!["application/problem+json"]!.schema.$ref).toBe("#/components/schemas/Problem");
      }
    }
    const starting = Object.values(api.paths["/v1/runs"]!["post"]!.responses).map(({ description }) =>
      description
    );
    for (
      const kind of ["path-not-importable", "unusable-weights", "weights-not-fetched", "too-many-classes"]
    ) {
      expect(starting.join()).toContain(kind);
    }
    expect(Object.keys(api.components.schemas)).toEqual(expect.arrayContaining([
      "Dataset",
      "DatasetEvent",
      "DatasetProgress",
      "DatasetRequest",
      "Problem",
      "Run",
      "RunEvent",
      "RunMetrics",
      "RunProgress",
      "RunRequest",
    ]));
  }),
);

Deno.test(
  "page and API browser are served from here and load nothing from elsewhere",
  withGateway(async (gateway) => {
    for (const start of ["/", "/docs"]) {
      const page = await gateway.get(start);
      const html = await page.text();
      expect(page.headers.get("content-security-policy")).toMatch(/^default-src 'none'; script-src 'self'/);
      expect(html).not.toMatch(/https?:|\/\/cdn/);
      const parts = [...html.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, path]) => path!);
      expect(parts.length).toBeGreaterThan(1);
      for (const path of parts) {
        if (path.startsWith("data:")) continue;
        const part = await gateway.get(path);
        await part.body?.cancel();
        expect([path, part.status]).toEqual([path, 200]);
      }
    }
  }),
);
