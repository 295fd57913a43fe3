/** Moves a folder that is ready to its place, where it replaces one that is there. */
export const replaceFolder = async (ready: string, target: string): Promise<void> => {
  await Deno.remove(target, { recursive: true }).catch((cause) => {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  });
  await Deno.rename(ready, target);
};
