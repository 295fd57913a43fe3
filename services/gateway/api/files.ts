import { Effect } from "effect";
import { Hono } from "hono";
import { getMimeType } from "hono/utils/mime";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { GatewayError } from "../error.ts";
import type { Env } from "./routes.ts";

/** Nothing but this origin's own scripts, styles and data. */
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/** Swagger UI sets styles from its script. */
const docsPolicy = pagePolicy.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'");

const swaggerFiles = ["swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"];

const docsPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Subtaxa: API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<div id="api"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</html>
`;
const docsStart =
  `SwaggerUIBundle({ url: "/openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null });
`;

interface Asset {
  readonly path: string;
  readonly type: string;
  readonly body: Uint8Array<ArrayBuffer> | string;
  readonly policy: string;
}

const read = async (folder: string, name: string, path: string, policy: string): Promise<Asset> => ({
  path,
  type: getMimeType(name) ?? "application/octet-stream",
  body: await Deno.readFile(join(folder, name)),
  policy,
});

const readAll = async (): Promise<Asset[]> => {
  const page = join(import.meta.dirname!, "..", "page");
  const swagger = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
  const names = (await Array.fromAsync(Deno.readDir(page))).filter((entry) => entry.isFile).map(({ name }) =>
    name
  );
  return await Promise.all([
    ...names.map((name) => read(page, name, name === "index.html" ? "/" : `/page/${name}`, pagePolicy)),
    ...swaggerFiles.map((name) => read(swagger, name, `/docs/${name}`, docsPolicy)),
    { path: "/docs", type: "text/html; charset=utf-8", body: docsPage, policy: docsPolicy },
    { path: "/docs/start.js", type: "text/javascript; charset=utf-8", body: docsStart, policy: docsPolicy },
  ]);
};

/** The page at `/` and the API's description at `/docs`: a handful of files, read once. */
export const fileRoutes: Effect.Effect<Hono<Env>, GatewayError> = Effect.map(
  Effect.tryPromise({
    try: readAll,
    catch: (cause) =>
      new GatewayError({
        reason: { _tag: "Storage", path: "services/gateway/page" },
        message: `could not read the files of the page: ${cause}; install the project again`,
        cause,
      }),
  }),
  (assets) => {
    const api = new Hono<Env>();
    for (const { path, type, body, policy } of assets) {
      api.get(path, (c) =>
        c.body(body, 200, {
          "content-type": type,
          "cache-control": "no-cache",
          "content-security-policy": policy,
        }));
    }
    return api;
  },
);
