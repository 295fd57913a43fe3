/**
 * Keeps the latest thing that was made, by its key, so that whoever asks for the same again need not make it anew. What is kept is
 * let go before another is made; so is a promise that is rejected.
 */
export const keepLatest = <A>(
  release: (kept: A) => void = () => undefined,
): (key: string, make: () => A) => A => {
  let latest: { readonly key: string; readonly value: A } | undefined;
  return (key, make) => {
    if (latest?.key === key) return latest.value;
    if (latest) release(latest.value);
    latest = undefined;
    const made = { key, value: make() };
    latest = made;
    if (made.value instanceof Promise) {
      made.value.catch(() => {
        if (latest === made) latest = undefined;
      });
    }
    return made.value;
  };
};
