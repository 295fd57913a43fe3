import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname!, "..");

// oneDNN is away on GPUs, on macOS and where it is switched off; TensorFlow reads that once, so it takes a process of its own.
Deno.test("without oneDNN the operations, and a compiled training step made of them, compute the same", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["test", "--allow-all", "--no-check", "--quiet", "--config", join(root, "deno.json")],
      ...["shared/tensorflow/ops", "services/trainer/trainee.test.ts"],
    ],
    cwd: root,
    env: { TF_ENABLE_ONEDNN_OPTS: "0" },
  }).output();
  if (!success) throw new Error([stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("\n"));
});
