import { BUCKET, DEAD, FACTS } from "@subtaxa/bus";
import {
  CONTRACT_VERSION,
  discoverySubject,
  progressSubject,
  reservedRoutes,
  subjects,
} from "@subtaxa/contracts";

const taken = ["run.requested", "backbone.extracted", "epoch.validated", "features.extracted"] as const;
const filters = taken.map((type) => `    ${subjects.of(type, "<name>")}`).join("\n");

/** How to write a clusterer from these files alone, in any language. */
export const clustererProse = (): string =>
  `# Writing a clusterer

A clusterer divides the images of a class into visual sub-classes. Subtaxa trains a network for an epoch, asks the
run's clusterer how many sub-classes each class may have, extracts the embeddings of the images of those classes,
asks the clusterer to divide them, and trains on with the sub-classes as labels. A run chooses its clusterer by
name (\`"clusterer": "<name>"\`). A clusterer is a process that speaks NATS; it needs no part of Subtaxa's code.

The files beside this one are the contract, generated from the code: \`asyncapi.json\` (AsyncAPI 3.0: every
message with its headers), \`events/*.schema.json\` (JSON Schema of every event), \`artifacts/*.metadata.schema.json\`
and \`arrow.json\` (the tables), \`discovery/\` and \`progress/\`. "Must" is examined by

    deno task conformance clusterer <name> --start "<command>"

which starts a NATS server and your command, with \`NATS_URL\` in its environment.

## 1. Take messages

Connect to \`NATS_URL\`, and reconnect for ever. The stream is \`${FACTS}\`, the Object Store bucket \`${BUCKET}\`; Subtaxa
makes both, so wait until they are there. Create the durable pull consumer \`clusterer-<name>\`, or bind to it if
it exists:

    ack_policy  explicit
    ack_wait    30 s           (SUBTAXA_ACK_WAIT where the installation sets it: "3 seconds", "2 minutes")
    max_deliver 5              (SUBTAXA_MAX_DELIVER)
    filter_subjects
${filters.replaceAll(/^/gm, "    ")}

All instances of the clusterer share this consumer; each message goes to one of them. Take one message at a time.
Where the consumer is gone, create it anew and go on. A name has 1 to 64 letters, digits, \`-\` and
\`_\`, begins with a letter or digit, and is none of the fixed steps (${reservedRoutes.join(", ")}).

A subject is \`subtaxa.<event>.<route>.<run>.<fold>\`; the event has two tokens, so the run is the fifth. The route
of what you take is your name. The body is JSON; \`v\` must be ${CONTRACT_VERSION}. Fields that you don't know must be handed on.

## 2. Know what is new

Messages come more than once: after a crash, after a lost acknowledgement, and some long after they were acted
on. Before you act, look up in the stream (\`$JS.API.STREAM.MSG.GET.${FACTS}\`, \`last_by_subj\`, wildcards allowed)

1. the newest message on \`${
    subjects.fold("<run>", "<fold>" as unknown as number)
  }\`: if its sequence is higher than your message's, that was
   answered already;
2. the newest message on \`${
    subjects.end("<run>")
  }\`: if there is one, the run has ended (completed, failed or cancelled).

In both cases acknowledge the message and do nothing. Otherwise act. The same message must give the same labels
again: seed your random numbers from \`spec.seed\`, \`fold\`, \`epoch\` and the class.

While you work, extend the deadline (\`+WPI\`, "in progress") every half ack wait. Subscribe to the run's end, or
look it up again when you are done: after it, nothing may be published for the run. Acknowledge last, after your
answer is stored by the stream. On SIGTERM hand the message back (\`-NAK\`) and exit with 0.

## 3. Answer

Every answer is an event with \`type\`, \`v\`, \`at\` (now, ISO 8601, UTC, ending in Z) and, from the message that you
answer, unchanged: \`runId\`, \`fold\`, \`epoch\`, \`spec\` and, but for what is said below, \`state\`. Publish it through
JetStream with these headers and wait for the stream's answer ("duplicate" is fine):

    Nats-Msg-Id      <run>:<fold>:<epoch>:<type>
    ce-id            the same
    ce-specversion   1.0
    ce-type          subtaxa.<type>.v${CONTRACT_VERSION}
    ce-source        /subtaxa/clusterer-<name>
    ce-time          the event's at
    content-type     application/json
    traceparent      that of the message, if it has one

### To run.requested, backbone.extracted, epoch.validated: adaptation.planned

on \`subtaxa.adaptation.planned.extract.<run>.<fold>\`. Set in \`state.classes\`, class by class, \`allowedClusters\` (how
many sub-classes it may have from now on, from 1) and \`flag\` (0 or 1, for you alone, if you need it), and leave
name, order and \`clusters\`. \`classes\` lists the names of those with \`allowedClusters\` above 1, in their order.

\`epoch.validated\` tells in \`falseNegatives\` which share of each class's validation images was missed. The paper's
rule for a class above \`spec.confusionThreshold\`: with flag 0 one more, up to \`spec.maxClusters\`, where the flag
becomes 1; with flag 1 one fewer, down to 1, where it becomes 0. The other two come before the first epoch: leave
every class as it is, unless your limits need no validation.

### To features.extracted: dataset.relabelled

on \`subtaxa.dataset.relabelled.train.<run>.<fold>\`.

- \`images\` is a table of all training images of the fold with their classes. No image but these gets a label, and
  every one of them does. You need no manifest and no split.
- \`features\` is a table of the embeddings of the images of classes with \`allowedClusters\` above 1. Divide each such
  class into \`allowedClusters\` sub-classes at most, none empty, no more than it has different embeddings.
  \`spec.normalisation\` "l2" means that rows are scaled to length 1 first (a zero row stays zero); \`spec.minClusterSize\`
  is the least number of images that a sub-class should have; \`spec.parameters\` are your own settings (section 5).
- A class with \`allowedClusters\` 1, or one that you find no structure in, is whole: one sub-class.
- \`state.labels\`, unless null, is the labels table in force. An image that is not in it has id 0, and a class without
  one has the sub-class 0 and the highest id 0.

Write the new labels table (\`arrow.json\`) with one row per training image in any order: image, class, \`cluster\`
(the sub-class's id) and \`distance\` (to the mean of its sub-class, as clustered; 0 in a whole class). Its metadata
list \`subclasses\`, those that have images, sorted by class, then id, and per class \`highestIds\`.

**Ids stay.** Pair the new clusters of a class with its former sub-classes one to one such that the most images
keep their id (the assignment problem). A cluster that shares images with its partner takes its id, and \`from\` is
the same. Any other is new: its id is the highest that the class has ever had plus 1, and \`from\` the former id with
which it shares most images, because the network's row for it starts there. \`highestIds\` never falls, so no id is
given twice. A class that becomes whole keeps the id of its largest former sub-class. A class without training
images has no sub-class, and its highest id stays.

Then set \`state.labels\` to the table's reference and in \`state.classes\` each \`clusters\` to the number of the class's
sub-classes (1 for one without images), limits and flags unchanged. \`changes\` lists the classes whose number changed,
\`{class, from, to}\`; \`agreement\` is the normalised mutual information (arithmetic mean) between former and new
sub-classes of all training images. After publishing, you may delete the features' object: nobody needs it any more.

## 4. Tables and blobs

Events carry references \`{key, sha256, bytes}\` to objects in the bucket \`${BUCKET}\`. Check the hash of what you get. Put
your labels under \`sha256-<hex digest>\`: equal content is one object, and whoever has it already need not put it.
Objects with something before \`sha256-\` belong to the step of a run that made them. Tables are Arrow IPC streams, not compressed, columns
not nullable; the schema's metadata hold one JSON text under \`subtaxa\`, with \`artifact\` and \`v\`.

## 5. Announce yourself

Subscribe (without a queue group) to \`${discoverySubject.clusterer}\` once you take messages and answer every request, also while you work:

    {"v": ${CONTRACT_VERSION}, "name": "<name>", "version": "1.4.0", "instance": "<unique>", "description": "<a sentence>",
     "parameters": {"type": "object", "properties": {"depth": {"type": "integer", "minimum": 1, "default": 3}},
                    "additionalProperties": false}}

\`parameters\` is a JSON Schema (2020-12); \`{}\` must fit it. Users see it at \`GET /v1/clusterers\`, and a run's
\`parameters\` are checked against it when the run is started, if you are alive then. Check them again: they may
come from elsewhere. While nobody of your name answers, runs that wait for you say so, and fail after
SUBTAXA_CLUSTERER_TIMEOUT (10 minutes). To replace a version, start the new one and stop the old one, in any order.

You may tell how far you are by core NATS on \`${progressSubject.run("<run>")}\`:
\`{"runId", "fold", "epoch", "step": "cluster", "done": <classes>, "total": <classes>}\`, at most ten times a second.

## 6. When it goes wrong

What may pass (the server is away, memory is short): \`-NAK\` with a delay (1 s, 4 s, 16 s, at most a minute). What
can't be mended by doing it again (no JSON, another version, a blob that is missing or no such table, a missing
embedding, values that are not finite, parameters that don't fit), and the last delivery, must end the run:

1. publish the message's bytes on \`dead.<its subject>\` (stream \`${DEAD}\`) with the headers \`subtaxa-error\` (a tag such
   as \`ClustererError/NotFinite\`), \`subtaxa-reason\` (a sentence that names the culprit), \`subtaxa-consumer\`,
   \`subtaxa-sequence\` and \`Nats-Msg-Id: dead:<consumer>:<sequence>\`;
2. publish \`run.failed\` on \`subtaxa.run.failed.end.<run>.all\`, message id \`<run>:end\`, other headers as above:
   \`{"type": "run.failed", "v": ${CONTRACT_VERSION}, "at", "runId", "error": {"tag", "message"}}\`;
3. terminate the message (\`+TERM\`), and take the next one.
`;
