import { messageId, subjectOf } from "@subtaxa/contracts";
import type { Seen } from "./wire.ts";

/** W3C Trace Context of a run's messages, so that it can be told whether it is handed on. */
export const traceparentOf = (trace: string): string => `00-${trace}-00f067aa0ba902b7-01`;

/** In what subject, message id and headers of a message differ from what the contract says. */
export const messageFaults = ({ event, subject, id, headers }: Seen, trace: string | null): string[] => {
  if (!event) return [`the message on ${subject} doesn't fit its schema`];
  const { type } = event;
  const faults: string[] = [];
  if (subject !== subjectOf(event)) faults.push(`${type} is on ${subject} instead of ${subjectOf(event)}`);
  const said = (value: string | undefined) => (value ? `is '${value}'` : "is missing");
  if (id !== messageId(event)) {
    faults.push(`the header Nats-Msg-Id of ${type} ${said(id)}: it must be '${messageId(event)}'`);
  }
  const wanted: Readonly<Record<string, string>> = {
    "ce-specversion": "1.0",
    "ce-id": messageId(event),
    "ce-type": `subtaxa.${type}.v${event.v}`,
    "ce-time": event.at,
    "content-type": "application/json",
  };
  for (const [header, value] of Object.entries(wanted)) {
    const found = headers[header];
    if (found !== value) faults.push(`the header ${header} of ${type} ${said(found)}: it must be '${value}'`);
  }
  const source = headers["ce-source"];
  if (!/^\/subtaxa\/clusterer[\w.-]*$/.test(source ?? "")) {
    faults.push(`the header ce-source of ${type} ${said(source)}: it must be '/subtaxa/clusterer-<name>'`);
  }
  const handedOn = headers.traceparent;
  if (trace !== null && handedOn?.split("-")[1] !== trace) {
    faults.push(
      `the header traceparent of ${type} ${said(handedOn)}: it must be of the message's trace, ${trace}`,
    );
  }
  return faults;
};

/** In what a dead letter differs from what the contract says. */
export const deadLetterFaults = (
  letter: Seen,
  { subject, data, consumer, sequence }: {
    readonly subject: string;
    readonly data: Uint8Array;
    readonly consumer: string;
    readonly sequence: number;
  },
): string[] => {
  const faults: string[] = [];
  if (letter.subject !== `dead.${subject}`) {
    faults.push(`the dead letter is on ${letter.subject} instead of dead.${subject}`);
  }
  if (letter.data.length !== data.length || letter.data.some((byte, i) => byte !== data[i])) {
    faults.push("the dead letter has other bytes than the message");
  }
  const wanted: Readonly<Record<string, string>> = {
    "nats-msg-id": `dead:${consumer}:${sequence}`,
    "subtaxa-consumer": consumer,
    "subtaxa-sequence": String(sequence),
  };
  for (const [header, value] of Object.entries(wanted)) {
    const found = letter.headers[header];
    if (found !== value) {
      faults.push(
        `the dead letter's header ${header} is ${found ? `'${found}'` : "missing"}: it must be '${value}'`,
      );
    }
  }
  for (const header of ["subtaxa-error", "subtaxa-reason"]) {
    if (!letter.headers[header]) faults.push(`the dead letter's header ${header} is missing`);
  }
  return faults;
};
