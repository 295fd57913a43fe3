// A service for the supervisor's tests: says where it listens, becomes ready, and ends as FAKE_MODE tells.
const mode = Deno.env.get("FAKE_MODE");
const say = (message: string, annotations: Record<string, unknown> = {}) =>
  console.log(JSON.stringify({ message, level: "INFO", annotations }));

if (mode === "broken") {
  say("no weights found");
  Deno.exit(3);
}

const since = Date.now();
Deno.serve({
  hostname: "127.0.0.1",
  port: Number(Deno.env.get(mode === "gateway" ? "SUBTAXA_PORT" : "SUBTAXA_PROBE_PORT")),
  onListen: ({ port }) => say("listening", { port }),
}, () => new Response(null, { status: Date.now() - since > 150 ? 200 : 503 }));

Deno.addSignalListener("SIGTERM", async () => {
  if (mode === "stubborn") return say("not listening to that");
  // Draining takes a moment and needs NATS.
  await new Promise((resolve) => setTimeout(resolve, 200));
  const { hostname, port } = new URL(Deno.env.get("NATS_URL")!);
  const nats = await Deno.connect({ hostname, port: Number(port) }).then(() => "there", () => "gone");
  say(`drained while NATS was ${nats}`);
  Deno.exit(0);
});
