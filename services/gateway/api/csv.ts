import { z } from "@hono/zod-openapi";

/** Query of every route that answers with a table. */
export const csvQuery = z.strictObject({
  spreadsheet: z.enum(["true", "false"]).default("false").describe(
    "true: for a spreadsheet, in UTF-8 with a byte order mark, and with an apostrophe before text that begins with = + - @, " +
      "a tab or a carriage return, which a spreadsheet would take for a formula; false: names exactly as they are",
  ),
});

export const csvOptions = ({ spreadsheet }: z.infer<typeof csvQuery>) => ({
  spreadsheet: spreadsheet === "true",
});

/** A table of text as a download, made while it is sent. */
export const csvResponse = (pieces: AsyncIterable<string>, file: string) =>
  new Response(ReadableStream.from(pieces).pipeThrough(new TextEncoderStream()), {
    headers: {
      "content-type": "text/csv; charset=utf-8",
      "content-disposition": `attachment; filename="${file}"`,
    },
  });
