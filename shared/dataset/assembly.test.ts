import { expect } from "expect";
import { Assembly, type Portion } from "./assembly.ts";
import { noStatistics } from "./depth.ts";
import { DatasetError } from "./error.ts";

const found = {
  root: "/data",
  classes: ["a"],
  subfolders: new Map(),
  candidates: [],
  rejected: [],
  hidden: [],
};

Deno.test("a portion whose images have another length than was stored is refused", () => {
  const hash = "0".repeat(64);
  const image = {
    candidate: { path: "a/1.png", class: "a" },
    side: 4,
    channels: 1,
    crc32: 0,
    width: 4,
    height: 4,
    fileHash: hash,
    pixelHash: hash,
    deep: 0,
    clipped: 0,
    isStack: false,
  } as const;
  const portion = (bytes: number): Portion => ({
    outcomes: [image, { candidate: { path: "a/2.png", class: "a" }, reason: "is empty" }],
    bytes,
    compressed: new Uint8Array(8),
  });
  const add = (bytes: number) =>
    new Assembly({ found, depth: { bits: 16, offset: 0 }, seen: noStatistics, isDepthGiven: false })
      .add(portion(bytes), () => undefined);
  expect(add(16 + 16)).toBeUndefined();
  for (const bytes of [31, 33, 16 + 3 * 16]) {
    const error = add(bytes);
    expect(error).toBeInstanceOf(DatasetError);
    expect(error).toMatchObject({
      reason: { _tag: "PixelsMiscounted" },
      message: expect.stringMatching(
        /^the images from a\/1.png on have 32 bytes of pixels, but \d+ were stored/,
      ),
    });
  }
});
