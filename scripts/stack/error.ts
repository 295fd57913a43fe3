import type { Failure } from "@subtaxa/contracts";
import { Data } from "effect";

/** Why the processes of an installation can't be started or kept running. */
export type StackReason =
  | {
    readonly _tag: "BadSetting";
    readonly name: string;
    readonly value: string;
    readonly expected: string;
  }
  | { readonly _tag: "Unguarded"; readonly host: string }
  | { readonly _tag: "NatsSilent"; readonly address: string }
  | { readonly _tag: "AlreadyRunning"; readonly folder: string; readonly pid: number; readonly url: string }
  /** `setting`: what names the port. */
  | { readonly _tag: "PortTaken"; readonly port: number; readonly setting: string }
  | {
    readonly _tag: "PortRefused";
    readonly port: number;
    readonly setting: string;
    readonly detail: string;
  }
  | { readonly _tag: "FolderUnusable"; readonly folder: string; readonly detail: string }
  | { readonly _tag: "SetupFailed"; readonly detail: string }
  | { readonly _tag: "NatsFailed"; readonly detail: string }
  | {
    readonly _tag: "ServiceGaveUp";
    readonly service: string;
    readonly attempts: number;
    /** How its last process ended: `ended with code 1`. */
    readonly ended: string;
    readonly logFile: string;
    readonly lastLines: readonly string[];
  }
  | { readonly _tag: "NotReady"; readonly services: readonly string[]; readonly seconds: number };

const describe = (reason: StackReason): string => {
  switch (reason._tag) {
    case "BadSetting":
      return `${reason.name} is "${reason.value}", but must be ${reason.expected}.`;
    case "Unguarded":
      return `SUBTAXA_HOST is ${reason.host}, so others can reach the API, but SUBTAXA_TOKEN is not set: ` +
        `set it to a secret, or listen on 127.0.0.1.`;
    case "NatsSilent":
      return `Nothing answers at NATS_URL (${reason.address}): start it, or unset NATS_URL and "up" starts one.`;
    case "AlreadyRunning":
      return `Subtaxa is already running on ${reason.folder} (process ${reason.pid}, ${reason.url}): use that one, ` +
        `stop it with "subtaxa down", or set SUBTAXA_DATA to another folder.`;
    case "PortTaken":
      return `Port ${reason.port} is already in use: stop what listens there, or set ${reason.setting} to a free port.`;
    case "PortRefused":
      return `Port ${reason.port} can't be listened on (${reason.detail}): set ${reason.setting} to another port.`;
    case "FolderUnusable":
      return `${reason.folder} can't be used (${reason.detail}): make it writable, or set SUBTAXA_DATA to a folder that is.`;
    case "SetupFailed":
      return reason.detail;
    case "NatsFailed":
      return `NATS did not start: ${reason.detail}`;
    case "ServiceGaveUp":
      return `The ${reason.service} ${reason.ended} at each of ${reason.attempts} starts; its last words ` +
        `(all of them are in ${reason.logFile}):\n${reason.lastLines.map((line) => `  ${line}`).join("\n")}`;
    case "NotReady":
      return `Not ready after ${reason.seconds} seconds: ${reason.services.join(", ")}; see the logs.`;
  }
};

/** The one error of the supervisor; its message says what to do. */
export class StackError extends Data.TaggedError("StackError")<{
  readonly reason: StackReason;
  readonly message: string;
}> implements Failure {
  readonly retryable = false;

  static of(reason: StackReason): StackError {
    return new StackError({ reason, message: describe(reason) });
  }
}
