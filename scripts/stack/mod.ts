/** NATS and the services of one machine, kept running: used by `subtaxa up`, the demo and the end-to-end tests. */
export { StackError, type StackReason } from "./error.ts";
export { isAlive, remember, type Remembered, stopProcess } from "./identity.ts";
export { sweep } from "./leftovers.ts";
export { reachLoopbackDirectly } from "./loopback.ts";
export { readPidFile, type Running, runningOn } from "./pid_file.ts";
export { ProcessView } from "./process_view.ts";
export { root, runArguments, type ServiceDefinition, servicesOf, type Worker, workers } from "./services.ts";
export { type Stack, type StackOptions, startOwnStack, startStack } from "./stack.ts";
export { patience, type Timing } from "./timing.ts";
