import { BUCKET, DEAD, EXHAUSTED, FACTS } from "@subtaxa/bus";
import {
  CONTRACT_VERSION,
  discoverySubject,
  type EventType,
  progressSubject,
  reservedRoutes,
  subjects,
} from "@subtaxa/contracts";

const taken = ["run.requested", "backbone.extracted", "epoch.validated", "features.extracted"] as const;
const filters = taken.map((type) => `    ${subjects.of(type, "<name>")}`).join("\n");

/** What a clusterer tells the others, and what else its user in the chart's NATS may publish on; the chart's test compares. */
const told = [
  "adaptation.planned",
  "dataset.relabelled",
  "run.failed",
] as const satisfies readonly EventType[];
const own = `${FACTS}.clusterer-<name>`;
const objects = `OBJ_${BUCKET}`;
const calls = (stream: string, verbs: readonly string[]) => verbs.map((verb) => `$JS.API.${verb}.${stream}`);
const reading = ["STREAM.INFO", "STREAM.CREATE", "STREAM.UPDATE", "STREAM.MSG.GET", "DIRECT.GET"];
const consuming = ["INFO", "CREATE", "DURABLE.CREATE", "MSG.NEXT"].map((verb) => `CONSUMER.${verb}`);
/** In lines that belong together. */
const common = [
  ["dead.>", "progress.>", `$O.${BUCKET}.>`, `$JS.ACK.${own}.>`, `$JS.FC.${objects}.>`],
  ["$JS.API.INFO", "$JS.API.STREAM.NAMES"],
  ...[FACTS, objects].map((stream) => [...calls(stream, reading), `$JS.API.DIRECT.GET.${stream}.>`]),
  ...[DEAD, EXHAUSTED].map((stream) => calls(stream, reading.slice(0, 3))),
  [...calls(objects, ["STREAM.PURGE", "CONSUMER.CREATE"]), `$JS.API.CONSUMER.*.${objects}.>`],
  [...calls(own, consuming), `$JS.API.CONSUMER.CREATE.${own}.>`],
];
const discovery = discoverySubject.clusterer.replace(/[^.]+$/, ">");
const quoted = (subject: string) => `\`${subject}\``;

/** How to write a clusterer from these files alone, in any language. */
export const clustererProse = (): string =>
  `# Writing a clusterer

A clusterer divides the images of a class into visual sub-classes. Subtaxa trains a network for an epoch, asks the
run's clusterer how many sub-classes each class may have, extracts the embeddings of the images of those classes,
asks the clusterer to divide them, and trains on with the sub-classes as labels. A run chooses its clusterer by
name (\`"clusterer": "<name>"\`). A clusterer is a process that speaks NATS; it needs no part of Subtaxa's code.
"May" is left to you, "must" is examined.

The files beside this one are the contract, generated from the code: \`asyncapi.json\` (AsyncAPI 3.0: every
message with its headers), \`events/*.schema.json\` (JSON Schema of every event), \`artifacts/*.metadata.schema.json\`
and \`arrow.json\` (the tables), \`discovery/\` and \`progress/\`.

    npx deno@2.9.6 task conformance clusterer <name> --start "<command>"

examines a clusterer: it starts a NATS server and your command, several times, with \`NATS_URL\` in its environment. To serve
an installation, start it with that installation's address: \`NATS_URL=nats://127.0.0.1:4222 <command>\` (\`up\` prints the
one of its server; user and password may be part of it). \`SUBTAXA_CLUSTERER_NAME\`, where it is set, must be the name that you
serve instead of your own, so that two versions can serve different runs.

**Unknown fields.** The schemas are open: a later version may add fields without another \`v\`. Ignore those that you don't
know, and hand on all that is in \`spec\` and \`state\`, down to each of \`state.classes\`: copy them as they came and change what
is yours. Fields at the top level of a message are not handed on.

## 1. Take messages

Connect to \`NATS_URL\`, and reconnect for ever. The stream is \`${FACTS}\`, the Object Store bucket \`${BUCKET}\`; Subtaxa
makes both, so wait until they are there. Create the durable pull consumer \`clusterer-<name>\`, or update it if it exists,
because configuration changes otherwise never arrive:

    durable_name    clusterer-<name>
    deliver_policy  all
    ack_policy      explicit
    ack_wait        30 s           (SUBTAXA_ACK_WAIT where the installation sets it)
    max_deliver     5              (SUBTAXA_MAX_DELIVER)
    filter_subjects
${filters.replaceAll(/^/gm, "    ")}

\`SUBTAXA_ACK_WAIT\` is a number, a space and a unit: millis, seconds, minutes or hours, with or without the s ("500 millis",
"1.5 seconds", "2 minutes"). What holds for you is in the consumer's info (\`$JS.API.CONSUMER.INFO.${FACTS}.clusterer-<name>\`,
asked after you have created or updated it: the reply to an update may still show what was before).

All instances of the clusterer share this consumer; each message goes to one of them. Take one message at a time.
Where the consumer is gone, create it anew and go on; while the server
still removes the files of the old one, it may refuse updates of the new one (code 500): take messages all the same. A name has 1 to 64 letters, digits, \`-\` and
\`_\`, begins with a letter or digit, and is none of the fixed steps (${reservedRoutes.join(", ")}).

A subject is \`subtaxa.<event>.<route>.<run>.<fold>\`; the event has two tokens, so the run is the fifth. The route
of what you take is your name. The body is JSON; \`v\` must be ${CONTRACT_VERSION}.

Which messages come, in each fold:

| \`spec.method\`                                    | before the first epoch (\`epoch\` 0)                | after every epoch but the last               |
| ------------------------------------------------ | ------------------------------------------------- | -------------------------------------------- |
| clustering, clustering+triplet                   | nothing, whatever the weights                     | \`epoch.validated\`, then \`features.extracted\` |
| gs-trs, \`spec.pretrained\` null (random weights)  | nothing                                           | the same                                     |
| gs-trs, pretrained, \`freeze\` other than backbone | \`run.requested\`, then \`features.extracted\`      | the same                                     |
| gs-trs, pretrained, \`freeze\` backbone            | \`backbone.extracted\`, then \`features.extracted\` | the same                                     |
| standard, triplet                                | nothing                                           | nothing                                      |

You need not look at \`spec.method\`: it says which losses the network is trained with. The paper's gs-trs has the same number
of sub-classes, \`spec.fixedClusters\`, in every class; that is what the clusterer \`kmeans\` does, which is its default. A run
with gs-trs and another clusterer has the losses of gs-trs and the sub-classes that this clusterer decides on.
\`spec.fixedClusters\` is for clusterers with a fixed number; others ignore it.

## 2. Know what is new

Messages come more than once: after a crash, after a lost acknowledgement, and some long after they were acted
on. Before you act, look up in the stream (\`$JS.API.STREAM.MSG.GET.${FACTS}\`, \`last_by_subj\`, wildcards allowed)

1. the newest message on \`${
    subjects.fold("<run>", "<fold>" as unknown as number)
  }\`: if its sequence is higher than your message's, that was
   answered already;
2. the newest message on \`${
    subjects.end("<run>")
  }\`: if there is one, before or after your message, the run has
   ended (completed, failed or cancelled).

In both cases acknowledge the message and do nothing. Otherwise act.

Before you publish an answer and before you end a run (section 6), repeat both look-ups, and act by the same rule. You may
have stalled beyond the ack wait, and another instance may have answered meanwhile and deleted the features: the message is
then dealt with, and what you miss is no reason to fail a healthy run.

The same message must give the same labels again: seed your random numbers from \`spec.seed\`, \`fold\`, \`epoch\` and the
class. Break ties as you like, but always in the same way.

While you work, extend the deadline (\`+WPI\`, "in progress") every half ack wait; take it from the consumer's info, it may
be short. After the run's end nothing may be published for the run: the look-up before the answer sees it; a subscription
to the second subject sees it sooner, and saves the work. Acknowledge last, after your answer is stored by the stream.

On SIGTERM stop within ten seconds, with the exit code 0. Hand the message that you work on back (\`-NAK\`), so that another
instance gets it at once. But each delivery counts: when it is the last one (the delivery count in the message's reply
subject has reached the consumer's \`max_deliver\`), a message that is handed back never comes again and its run fails, so
finish it first, even if that takes longer. To divide one large class may take minutes: look in the middle of it, too, whether you
should stop. A pull that is still open may bring one more message: let it run out (pull for two seconds at a time) and treat
that message in the same way.

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

on \`subtaxa.adaptation.planned.extract.<run>.<fold>\`. Set in \`state.classes\`, which is in the
order of \`spec.classes\`, class by class, \`allowedClusters\` (how many sub-classes it may have from now on, from 1) and \`flag\` (0
or 1, for you alone, if you need it), and leave name, order and \`clusters\`. \`classes\` lists the names of those with \`allowedClusters\` above 1, in their order.

\`epoch.validated\` tells in \`falseNegatives\`, in the order of \`spec.classes\`, which share of each class's validation images was missed. The paper's
rule for a class above \`spec.confusionThreshold\`: with flag 0 one more, up to \`spec.maxClusters\`, where the flag
becomes 1; with flag 1 one fewer, down to 1, where it becomes 0. The other two come before the first epoch: leave
every class as it is, unless your limits need no validation; \`features.extracted\` then comes with a table without rows.

### To features.extracted: dataset.relabelled

on \`subtaxa.dataset.relabelled.train.<run>.<fold>\`.

- \`images\` is a table of all training images of the fold with their classes. No image but these gets a label, and
  every one of them does. You need no manifest and no split.
- \`features\` is a table of the embeddings of at least the images of classes with \`allowedClusters\` above 1. With
  \`spec.normalisation\` "l2" rows are scaled to length 1 first (a zero row stays zero), with "none" they are taken as they
  are. Divide each such class into \`allowedClusters\` sub-classes at most, none empty, no more than it has different
  embeddings (after that scaling). \`spec.minClusterSize\` is the least number of images
  that a sub-class should have; \`spec.parameters\` are your own settings (section 5), with your defaults for those left out.
- A class with \`allowedClusters\` 1, or one that you find no structure in, is whole: one sub-class.
- If \`state.labels\` is null, all former ids are 0 and so are the \`highestIds\`. Otherwise it is the labels table in force:
  former ids are its \`cluster\` (0 for an image that is not in it), and \`highestIds\` are in its metadata.

Write the new labels table (\`arrow.json\`) with one row per training image in any order: image, class, \`cluster\`
(the sub-class's id) and \`distance\`: the Euclidean distance of the image's embedding, scaled as \`spec.normalisation\` says, to
the mean of those of its sub-class, in whatever space you have clustered; 0 in a class of one sub-class. Its metadata
list \`subclasses\`, those that have images, sorted by class, then id, and \`highestIds\`, one per class in the order of
\`spec.classes\`.

**Ids stay.** Pair the new clusters of a class with its former sub-classes one to one such that the most images
keep their id (the assignment problem: with 30 and 25 images of two former sub-classes in one cluster, and 28 of the first
in the other, the best pairing keeps 25 + 28 images and not 30). A cluster that shares images with its partner takes its id, and \`from\` is
the same. Any other is new: its id is the highest that the class has ever had plus 1 (the next one plus 2), and \`from\` the
former id with which it shares most images, because the network's row for it starts there. \`highestIds\` never falls, so no id is
given twice. A class that becomes whole keeps the id of its largest former sub-class. A class without training
images has no sub-class, and its highest id stays.

Then set \`state.labels\` to the table's reference and in \`state.classes\` each \`clusters\` to the number of the class's
sub-classes (1 for one without images), limits and flags unchanged. \`changes\` lists the classes whose number changed,
\`{class, from, to}\` with the class's name and the two numbers; \`agreement\` is the normalised mutual information (arithmetic mean of the entropies) between the former
and the new pairs (class, id) of all training images, 1 where both entropies are zero. \`clusterer\` may tell
who you are, \`{name, version, parameters}\`, the parameters with your defaults for those left out: reports show it. After publishing, you may delete the features' object: nobody
needs it any more.

## 4. Tables and blobs

Events carry references \`{key, sha256, bytes}\` to objects in the bucket \`${BUCKET}\`. Check the hash of what you get. Put
your labels under \`sha256-<hex digest>\`: equal content is one object, and whoever has it already need not put it.
Objects with something before \`sha256-\` belong to the step of a run that made them. Tables are Arrow IPC streams, not compressed, columns
not nullable; the schema's metadata hold one JSON text under \`subtaxa\`, with \`artifact\` and \`v\`. Before you give bytes to an
Arrow library, check that the first four are FF FF FF FF and the next four a length (little-endian) within the bytes that you
have: some libraries believe any length, and ask for gigabytes.

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
can't be mended by doing it again (no JSON, another version, a blob that is missing, has another hash or is no such table, a
missing embedding, values that are not finite, parameters that don't fit), and the last delivery, must end the run. Repeat
the look-ups of section 2; if the message is still the newest fact of its fold and the run goes on,

1. publish the message's bytes on \`dead.<its subject>\` (stream \`${DEAD}\`) with the headers \`subtaxa-error\` (a tag
   of your own choice such as \`ClustererError/NotFinite\`), \`subtaxa-reason\` (a sentence that names the culprit), \`subtaxa-consumer\`,
   \`subtaxa-sequence\` and \`Nats-Msg-Id: dead:<consumer>:<sequence>\`;
2. publish \`run.failed\` on \`subtaxa.run.failed.end.<run>.all\`, message id \`<run>:end\`, other headers as above; the run is
   the one in the message's subject, which can be read also where the body can't:
   \`{"type": "run.failed", "v": ${CONTRACT_VERSION}, "at", "runId", "error": {"tag", "message"}}\`;
3. terminate the message (\`+TERM\`), and take the next one.

## 7. Where it runs

A clusterer is one process that connects to NATS. Nothing connects to it, and its environment is all that it is told:

- \`NATS_URL\`, with user and password (\`nats://user:password@host:4222\`) or a token (\`nats://token@host:4222\`) in it where the
  server wants them. Nothing else holds credentials that you need.
- \`SUBTAXA_ACK_WAIT\`, \`SUBTAXA_MAX_DELIVER\` and \`SUBTAXA_CLUSTERER_NAME\`, each with the defaults above where it isn't set.
- Other variables that begin with \`SUBTAXA_\` or \`OTEL_\` are settings of Subtaxa's own services: ignore those that you don't know.

It may be started several times, and killed at any time: nothing that the next message needs may be kept in it alone. Who stops it
on purpose sends SIGTERM first (section 2). In a container it is mostly process 1, for which SIGTERM does nothing by itself: have
a handler from the start, also before NATS is reached.

**In a cluster**, the Helm chart (\`deploy/helm/subtaxa\`) starts your image under the name that its values give it (at most 20
lower-case letters, digits and \`-\`), and sets \`SUBTAXA_CLUSTERER_NAME\` to that name, \`NATS_URL\` and the other two. The
process runs as user 10001 on a read-only root, may write to \`/tmp\` and \`/data\`, both empty at its start, and reaches NATS and DNS alone. No probe is asked of it, unless the values say
\`probes: true\`: then it answers HTTP on \`SUBTAXA_PROBE_PORT\`, all addresses: \`/healthz\` with 200 while the process is well, else it
is started again, and \`/readyz\` with 200 while it takes messages. Within two minutes of its start it must be well.

Its user in NATS is \`clusterer-<name>\`, and may do no more than

- publish on ${told.map((type) => quoted(`subtaxa.${type}.>`)).join(", ")},
  ${common.map((line) => line.map(quoted).join(", ")).join(",\n  ")},
  and answer requests. So of the JetStream API it has what reads streams and blobs, what keeps blobs, and its own consumer;
- subscribe to ${
    ["_INBOX.>", "subtaxa.>", "progress.>", discovery].map(quoted).join(", ")
  }: leave your library's inbox
  prefix as it is.

A server that \`up\` or the conformance examination starts knows no users and refuses nothing.
`;
