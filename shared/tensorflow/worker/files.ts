/** A file in one buffer of its size: `Deno.readFile` takes twice the memory. */
export const readOnce = (path: string): Uint8Array => {
  using file = Deno.openSync(path);
  const bytes = new Uint8Array(file.statSync().size);
  for (let at = 0; at < bytes.length;) {
    const read = file.readSync(bytes.subarray(at, at + 2 ** 22));
    if (read === null) throw new Error(`${path} became shorter while it was read`);
    at += read;
  }
  return bytes;
};

/** Writes chunks one after the other, and copies none as a whole. */
export const writeChunks = async (path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> => {
  using file = Deno.openSync(path, { write: true, create: true, truncate: true });
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) at += file.writeSync(chunk.subarray(at, at + 2 ** 22));
  }
};
