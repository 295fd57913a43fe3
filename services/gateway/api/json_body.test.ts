import { expect } from "expect";
import { jsonFault } from "./json_body.ts";

Deno.test("malformed JSON is located by line and column", () => {
  expect(jsonFault('{"a": [1, 2.5e3, null, "x"]}')).toBe(null);
  for (
    const [text, where] of [
      ["", "line 1, column 1 (position 0)"],
      ["nope", "line 1, column 1 (position 0)"],
      ['{"a": nope}', "line 1, column 7 (position 6)"],
      ['{"a": 1,}', "line 1, column 9 (position 8)"],
      ['{\n  "a": 1\n  "b": 2\n}', "line 3, column 3 (position 13)"],
      ['{"a": 1} x', "line 1, column 10 (position 9)"],
      ['{"a": "open', "line 1, column 7 (position 6)"],
      ["{'a': 1}", "line 1, column 2 (position 1)"],
      ["/* no */ {}", "line 1, column 1 (position 0)"],
    ] as const
  ) expect([text, jsonFault(text)]).toEqual([text, expect.stringContaining(where)]);
  expect(jsonFault("[".repeat(500_000))).not.toBe(null);
});
