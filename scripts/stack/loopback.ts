/**
 * Lets `fetch` reach this machine's own ports without the proxy that the environment may name: for this process, before its
 * first request, and for those that it starts.
 */
export const reachLoopbackDirectly = (): void => {
  const except = new Set(
    (Deno.env.get("NO_PROXY") ?? Deno.env.get("no_proxy") ?? "").split(",").filter(Boolean),
  );
  except.add("127.0.0.1").add("localhost");
  Deno.env.set("NO_PROXY", [...except].join(","));
};
