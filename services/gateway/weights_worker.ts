import type { Backbone } from "@subtaxa/contracts";
import { encodePretrained, fetchPublished, publishedFor, readPretrained } from "@subtaxa/model";
import { serveTensorWork, type WorkContext } from "@subtaxa/tensorflow";

export interface ConvertInput {
  readonly backbone: Backbone;
  /** Null: the weights that are published for the network. */
  readonly file: string | null;
  /** Gets the `pretrained` artifact. */
  readonly outputFile: string;
}

const operations = {
  /** Reads, or fetches, weights of any supported kind and writes them in Subtaxa's own form. */
  convert: async (
    { backbone, file, outputFile }: ConvertInput,
    { progress }: WorkContext<{ done: number; total: number }>,
  ): Promise<void> => {
    const path = file ?? await fetchPublished(publishedFor(backbone), {
      onProgress: (done, total) => progress({ done, total }),
    });
    await Deno.writeFile(outputFile, encodePretrained(await readPretrained(path, backbone)));
  },
};

export type WeightsWork = typeof operations;
serveTensorWork(operations);
