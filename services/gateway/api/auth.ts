import { createRoute, z } from "@hono/zod-openapi";
import type { Context, MiddlewareHandler } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { createHmac, timingSafeEqual } from "node:crypto";
import { jsonBody } from "./json_body.ts";
import { problem, problemResponses } from "../problem.ts";
import { isLoopback } from "../settings.ts";
import { routes, withBody } from "./routes.ts";

/**
 * Two ways to show the token: `Authorization: Bearer <token>` for programs, and a session cookie for the page, since neither
 * an EventSource nor a link can carry a header. `POST /session` with the token gives the cookie: HttpOnly, SameSite=Strict,
 * holding a code derived from the token, not the token.
 */
const COOKIE = "subtaxa_session";

const codeOf = (token: string) => createHmac("sha256", token).update("subtaxa session").digest("hex");

/** Compares in a time that tells nothing about either. */
const same = (a: string, b: string) => {
  const digest = (text: string) => createHmac("sha256", "compare").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
};

const isGuarded = (path: string) => /^\/(?:v1|docs|openapi\.json)(?:\/|$)/.test(path);

const refusal = (message: string) =>
  problem("unauthorized", message, { headers: { "www-authenticate": 'Bearer realm="subtaxa"' } });

/** Lets nobody at the API and its description who doesn't show the token; everybody when there is none. */
export const guard = (token: string | null): MiddlewareHandler => async (c, next) => {
  if (token !== null && isGuarded(c.req.path)) {
    const bearer = /^Bearer +(\S+) *$/i.exec(c.req.header("authorization") ?? "")?.[1];
    const session = getCookie(c, COOKIE);
    const shown = (bearer !== undefined && same(bearer, token)) ||
      (session !== undefined && same(session, codeOf(token)));
    if (!shown) {
      throw refusal(
        bearer ?? session
          ? "the token is wrong: it must be the gateway's SUBTAXA_TOKEN"
          : "send the gateway's SUBTAXA_TOKEN as 'Authorization: Bearer <token>'",
      );
    }
  }
  await next();
};

/**
 * Without a token, everybody who reaches the gateway is let in, and that is who sits at this machine. Another site's page gets
 * here too by making its own name lead to 127.0.0.1 (DNS rebinding); the name in the request tells it.
 */
export const ownName = (token: string | null): MiddlewareHandler => async (c, next) => {
  const host = URL.parse(c.req.url)?.hostname ?? "";
  if (token === null && !isLoopback(host.replace(/^\[(.*)\]$/, "$1"))) {
    throw problem(
      "foreign-host",
      `the request is for '${host}', and a gateway without SUBTAXA_TOKEN answers to localhost, 127.0.0.1 and [::1] only: ` +
        "use one of these, or set SUBTAXA_TOKEN",
    );
  }
  await next();
};

/** A browser says where a request comes from; what another site sends changes nothing here. */
export const sameSite: MiddlewareHandler = async (c, next) => {
  const from = c.req.header("sec-fetch-site") ?? "none";
  const safe = c.req.method === "GET" || c.req.method === "HEAD";
  if (!safe && from !== "same-origin" && from !== "none") {
    throw problem("cross-site", `the request comes from another site (${from}): use the gateway's own page`);
  }
  await next();
};

const cookieOptions = (c: Context) => ({
  httpOnly: true,
  sameSite: "Strict",
  path: "/",
  // an ingress ends TLS, and says so
  secure: (c.req.header("x-forwarded-proto")?.split(",")[0]?.trim() ?? new URL(c.req.url).protocol)
    .startsWith("https"),
} as const);

const login = createRoute({
  method: "post",
  path: "/session",
  tags: ["session"],
  summary: "Exchange the token for a session cookie",
  description: "For the page: neither an EventSource nor a link can carry a header.",
  middleware: jsonBody,
  request: {
    body: {
      required: true,
      content: { "application/json": { schema: z.strictObject({ token: z.string() }) } },
    },
  },
  responses: {
    204: { description: "The cookie is set, if a token is needed at all" },
    ...problemResponses("unauthorized", ...withBody),
  },
});
const logout = createRoute({
  method: "delete",
  path: "/session",
  tags: ["session"],
  summary: "Take the session cookie away",
  responses: { 204: { description: "It is gone" }, ...problemResponses("cross-site") },
});

export const sessionRoutes = (token: string | null) => {
  const api = routes();
  api.openapi(login, (c) => {
    if (token !== null) {
      if (!same(c.req.valid("json").token, token)) {
        throw refusal("the token is wrong: it must be the gateway's SUBTAXA_TOKEN");
      }
      setCookie(c, COOKIE, codeOf(token), cookieOptions(c));
    }
    return c.body(null, 204);
  });
  api.openapi(logout, (c) => {
    deleteCookie(c, COOKIE, cookieOptions(c));
    return c.body(null, 204);
  });
  return api;
};
