import type { Context, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { type ParseError, parseTree, printParseErrorCode } from "jsonc-parser";
import { problem } from "../problem.ts";

/** Largest body of a request, bytes. */
export const MAX_BODY = 1024 * 1024;

const tooLarge = () =>
  problem(
    "body-too-large",
    `the body is larger than ${MAX_BODY} bytes, which is more than any request needs`,
  );

const onlyJson: MiddlewareHandler = async (c, next) => {
  const type = c.req.header("content-type") ?? "";
  if (/^multipart\//i.test(type)) {
    throw problem(
      "unsupported-type",
      'uploading a .zip is not offered yet: unpack it below one of SUBTAXA_DATA_ROOTS and send {"name", "path"} as ' +
        "application/json",
    );
  }
  if (!/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type)) {
    throw problem("unsupported-type", `the body is ${type || "of no stated type"}: send application/json`);
  }
  await next();
};

const firstFault = (text: string): ParseError | undefined => {
  const errors: ParseError[] = [];
  try {
    parseTree(text, errors, { disallowComments: true, allowTrailingComma: false, allowEmptyContent: false });
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause; // nested too deeply for it
  }
  return errors[0];
};

/** Where and why the text is no JSON, by line and column from 1; null if it is. */
export const jsonFault = (text: string): string | null => {
  try {
    JSON.parse(text);
    return null;
  } catch (cause) {
    // V8 leaves the position out of some messages
    const first = firstFault(text);
    if (!first) return cause instanceof Error ? cause.message : String(cause);
    const before = text.slice(0, first.offset).split("\n");
    const what = printParseErrorCode(first.error).replaceAll(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
    return `line ${before.length}, column ${before.at(-1)!.length + 1} (position ${first.offset}): ${what}`;
  }
};

const wellFormed = async (c: Context, next: () => Promise<void>) => {
  const fault = jsonFault(await c.req.text()); // Hono keeps the text for the validator
  if (fault) throw problem("malformed-json", `the body is no JSON: ${fault}`);
  await next();
};

/** Before a JSON body is validated: its type, its size (whether or not it is announced), its syntax. */
export const jsonBody: MiddlewareHandler[] = [
  onlyJson,
  bodyLimit({
    maxSize: MAX_BODY,
    onError: () => {
      throw tooLarge();
    },
  }),
  wellFormed,
];
