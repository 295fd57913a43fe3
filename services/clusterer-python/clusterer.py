"""A clusterer by the contract in shared/contracts/generated/CLUSTERER.md: Gaussian mixtures, chosen by BIC."""
import asyncio, contextlib, hashlib, itertools, json, os, signal, time, uuid
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the matrices are small: threads would only wait for one another
import nats, numpy as np, pyarrow as pa
from nats.js import api, errors
from scipy.optimize import linear_sum_assignment
from sklearn import decomposition, metrics, mixture, preprocessing
NAME = os.environ.get("SUBTAXA_CLUSTERER_NAME") or "gmm"
SELF, DURABLE = {"name": NAME, "version": "0.1.0"}, f"clusterer-{NAME}"
NUMBER, UNIT = os.environ.get("SUBTAXA_ACK_WAIT", "30 seconds").split()
ACK_WAIT = float(NUMBER) * {"milli": 0.001, "minut": 60, "hour": 3600, "hours": 3600}.get(UNIT[:5], 1)
MAX_DELIVER = int(os.environ.get("SUBTAXA_MAX_DELIVER", 5))
TAKEN = ("run.requested", "backbone.extracted", "epoch.validated", "features.extracted")
AXES = {"type": "integer", "minimum": 1, "maximum": 256, "default": 16, "description": "principal axes in use"}
ANNOUNCEMENT = json.dumps({
    "v": 1, **SELF, "instance": str(uuid.uuid4()),
    "description": "Gaussian mixture on the principal axes, with as many components as BIC likes best",
    "parameters": {"type": "object", "properties": {"axes": AXES}, "additionalProperties": False}}).encode()
class Final(Exception): """What doing the same again can't mend."""
OF_THE_MESSAGE = (Final, ArithmeticError, LookupError, TypeError, ValueError)

def axes_of(spec):
    given = {"axes": AXES["default"], **spec.get("parameters", {})}
    if len(given) > 1 or type(given["axes"]) is not int or not 1 <= given["axes"] <= AXES["maximum"]:
        raise Final(f"the clusterer '{NAME}' can't work with the run's parameters {spec['parameters']}")
    return given["axes"]

def adapt(event):
    """Algorithm 1: how many clusters each class may have from now on."""
    spec, classes = event["spec"], [dict(one) for one in event["state"]["classes"]]
    for one, missed in zip(classes, event.get("falseNegatives", [0] * len(classes)), strict=True):
        if missed > spec["confusionThreshold"]:
            up, now = one["flag"] == 0, one["allowedClusters"]
            now = min(now + 1, spec["maxClusters"]) if up else max(now - 1, 1)
            one |= {"allowedClusters": now, "flag": int(now == spec["maxClusters"] if up else now > 1)}
    return classes

def divide(points, most, least, axes, random):
    """Number of every row's cluster, 0 … k − 1, by the mixture of `most` components at most that BIC likes best."""
    best, found = np.inf, np.zeros(len(points), int)
    most = min(most, len(points) // least, len(np.unique(points, axis=0)))
    if most < 2: return found
    reduced = decomposition.PCA(min(axes, *points.shape), svd_solver="full").fit_transform(points)
    reduced /= reduced[:, 0].std()
    for k in range(1, most + 1):
        fitted = mixture.GaussianMixture(k, covariance_type="diag", n_init=2, random_state=random).fit(reduced)
        assigned = np.unique(fitted.predict(reduced), return_inverse=True)[1]
        if np.bincount(assigned).min() >= least and fitted.bic(reduced) < best:
            best, found = fitted.bic(reduced), assigned
    return found

def keep_names(former, assigned, highest):
    """Each cluster's id and the id it starts from; those that share the most images keep theirs. And the highest id."""
    old, count = np.unique(former), assigned.max(initial=-1) + 1
    shared = np.zeros((count, len(old)), int)
    np.add.at(shared, (assigned, np.searchsorted(old, former)), 1)
    pairs = {int(a): int(old[b]) for a, b in zip(*linear_sum_assignment(shared, maximize=True)) if shared[a, b] > 0}
    fresh = itertools.count(highest + 1)
    ids = [pairs[row] if row in pairs else next(fresh) for row in range(count)]
    origins = [pairs.get(row, int(old[shared[row].argmax()])) for row in range(count)]
    return np.array(ids, int), origins, max(highest, *ids, 0)

def table(data, artifact):
    read = pa.ipc.open_stream(data).read_all().combine_chunks()
    about = json.loads(read.schema.metadata[b"subtaxa"])
    if (about["artifact"], about["v"]) != (artifact, 1): raise Final(f"not a {artifact} table: it says {about}")
    return read, about

def relabel(event, features, images, previous):
    """The labels table, the classes as they are now, what changed, and how far both assignments agree."""
    spec, state = event["spec"], event["state"]["classes"]
    (features, _), (images, _) = table(features, "features"), table(images, "images")
    image, of_class = (images[name].to_numpy().astype(int) for name in ("image", "class"))
    column, row_of = features["embedding"], {one: row for row, one in enumerate(features["image"].to_pylist())}
    values = column.combine_chunks().flatten().to_numpy().reshape(len(column), column.type.list_size)
    former, highest = np.zeros(len(image), int), [0] * len(state)
    if previous is not None:
        labels, about = table(previous, "labels")
        known, highest = dict(zip(labels["image"].to_pylist(), labels["cluster"].to_pylist())), about["highestIds"]
        former = np.array([known.get(one, 0) for one in image], int)
    cluster, distance, subclasses, classes = np.zeros(len(image), int), np.zeros(len(image)), [], []
    for index, one in enumerate(state):
        assigned = np.zeros(len(members := np.flatnonzero(of_class == index)), int)
        if one["allowedClusters"] > 1 and len(members) > 0:
            if missing := [one for one in image[members] if one not in row_of]:
                raise Final(f"class {one['name']}: image {missing[0]} has no embedding")
            points = values[[row_of[one] for one in image[members]]].astype(float)
            points = preprocessing.normalize(points) if spec["normalisation"] == "l2" else points
            random = np.random.RandomState([spec["seed"], event["fold"], event["epoch"], index])
            assigned = divide(points, one["allowedClusters"], spec["minClusterSize"], axes_of(spec), random)
            centres = np.array([points[assigned == k].mean(0) for k in range(assigned.max() + 1)])
            distance[members] = np.linalg.norm(points - centres[assigned], axis=1) * (len(centres) > 1)
        ids, origins, highest[index] = keep_names(former[members], assigned, highest[index])
        cluster[members] = ids[assigned]
        subclasses += [{"class": index, "id": int(id), "from": origin} for id, origin in sorted(zip(ids, origins))]
        classes.append({**one, "clusters": max(1, len(ids))})
    kinds = {"image": pa.uint32(), "class": pa.uint16(), "cluster": pa.uint16(), "distance": pa.float32()}
    about = json.dumps({"artifact": "labels", "v": 1, "subclasses": subclasses, "highestIds": highest})
    schema = pa.schema([pa.field(*kind, nullable=False) for kind in kinds.items()], {"subtaxa": about})
    labels = pa.table([image, of_class, cluster, distance], list(kinds)).cast(schema)
    with pa.ipc.new_stream(sink := pa.BufferOutputStream(), schema) as writer: writer.write_table(labels)
    changes = [{"class": a["name"], "from": a["clusters"], "to": b["clusters"]} for a, b in zip(state, classes) if a != b]
    before, now = (of_class * (max(highest) + 1) + ids for ids in (former, cluster))
    return sink.getvalue().to_pybytes(), classes, changes, float(metrics.normalized_mutual_info_score(before, now))

class Clusterer:
    working, stopping = None, False
    def stop(self):
        self.stopping = True
        if self.working: self.working.cancel()
    async def is_over(self, message):  # answered, perhaps by another instance meanwhile, or its run has ended
        (run, fold), own = message.subject.split(".")[4:], message.metadata.sequence.stream
        for subject, after in (f"subtaxa.*.*.*.{run}.{fold}", own), (f"subtaxa.run.*.end.{run}.all", 0):
            with contextlib.suppress(errors.NotFoundError):
                if (await self.js.get_last_msg("SUBTAXA", subject)).seq > after: return True
        return False
    async def blob(self, ref):
        with contextlib.suppress(errors.NotFoundError):
            data = (await self.store.get(ref["key"])).data
            if hashlib.sha256(data).hexdigest() == ref["sha256"]: return data
        raise Final(f"the object store has no blob {ref['key']} with that hash")
    async def publish(self, message, type, route, fold, id, fields):
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        run, trace = message.subject.split(".")[4], (message.headers or {}).get("traceparent")
        headers = {"Nats-Msg-Id": f"{run}:{id}", "ce-id": f"{run}:{id}", "ce-specversion": "1.0", "ce-time": at,
                   "ce-type": f"subtaxa.{type}.v1", "ce-source": f"/subtaxa/{DURABLE}",
                   "content-type": "application/json"} | ({"traceparent": trace} if trace else {})
        body = json.dumps({"type": type, "v": 1, "at": at, "runId": run, **fields}).encode()
        await self.js.publish(f"subtaxa.{type}.{route}.{run}.{fold}", body, headers=headers)
    async def work(self, message):
        if await self.is_over(message): return
        event = json.loads(message.data)
        if event["v"] != 1 or event["type"] not in TAKEN: raise Final(f"{event['type']} of version {event['v']}")
        fold, epoch, spec, state = (event[key] for key in ("fold", "epoch", "spec", "state"))
        me = {**SELF, "parameters": {"axes": axes_of(spec)}}
        if event["type"] != "features.extracted":
            type, route, classes = "adaptation.planned", "extract", adapt(event)
            more = {"classes": [one["name"] for one in classes if one["allowedClusters"] > 1]}
        else:
            tables = [one and await self.blob(one) for one in (event["features"], event["images"], state["labels"])]
            data, classes, changes, nmi = await asyncio.to_thread(relabel, event, *tables)
            digest = hashlib.sha256(data).hexdigest()
            await self.store.put(f"sha256-{digest}", data)
            state = {**state, "labels": {"key": f"sha256-{digest}", "sha256": digest, "bytes": len(data)}}
            type, route, more = "dataset.relabelled", "train", {"changes": changes, "agreement": nmi, "clusterer": me}
        fields = {"fold": fold, "epoch": epoch, "spec": spec, "state": {**state, "classes": classes}, **more}
        if await self.is_over(message): return
        await self.publish(message, type, route, fold, f"{fold}:{epoch}:{type}", fields)
        if event["type"] == "features.extracted":
            with contextlib.suppress(errors.NotFoundError): await self.store.delete(event["features"]["key"])
    async def give_up(self, message, failure):
        if await self.is_over(message): return await message.ack_sync()
        tag, reason = f"ClustererError/{type(failure).__name__}", f"{message.subject}: {failure}"
        sequence = str(message.metadata.sequence.stream)
        await self.js.publish(f"dead.{message.subject}", message.data, headers={
            "Nats-Msg-Id": f"dead:{DURABLE}:{sequence}", "subtaxa-consumer": DURABLE,
            "subtaxa-sequence": sequence, "subtaxa-error": tag, "subtaxa-reason": " ".join(reason.split())})
        await self.publish(message, "run.failed", "end", "all", "end", {"error": {"tag": tag, "message": reason}})
        await message.term()
    async def handle(self, message):
        last = message.metadata.num_delivered >= self.limits.max_deliver
        if self.stopping and not last: return await message.nak()  # it came with the last pull
        working = asyncio.create_task(self.work(message))
        self.working = None if last else working  # handed back at the last delivery it would be lost
        try:
            while not (await asyncio.wait([working], timeout=self.limits.ack_wait / 2))[0]: await message.in_progress()
            working.result()
            await message.ack_sync()
        except asyncio.CancelledError: await message.nak()
        except Exception as failure:
            if last or isinstance(failure, OF_THE_MESSAGE): await self.give_up(message, failure)
            else: await message.nak(delay=min(60, 4 ** (message.metadata.num_delivered - 1)))

async def serve(nc, clusterer):
    js, filters = nc.jetstream(), [f"subtaxa.{type}.{NAME}.*.*" for type in TAKEN]
    config = api.ConsumerConfig(None, DURABLE, filter_subjects=filters, ack_wait=ACK_WAIT, max_deliver=MAX_DELIVER)
    async def announce(asked): await asked.respond(ANNOUNCEMENT)
    await nc.subscribe("discover.clusterer", cb=announce)
    while not clusterer.stopping:
        try:  # again whenever the stream or the consumer is gone, or the server away
            clusterer.js, clusterer.store = js, await js.object_store("subtaxa-blobs")
            await js.add_consumer("SUBTAXA", config)  # or bring it up to date; the reply would tell its former limits
            clusterer.limits = (await js.consumer_info("SUBTAXA", DURABLE)).config
            pulled = await js.pull_subscribe_bind(DURABLE, "SUBTAXA")
            while not clusterer.stopping:
                with contextlib.suppress(nats.errors.TimeoutError):
                    await clusterer.handle((await pulled.fetch(1, timeout=2))[0])
        except nats.errors.Error as trouble:
            print(json.dumps({"level": "WARN", "message": repr(trouble)}), flush=True)
            await asyncio.sleep(0.5)

async def main():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # until it is connected; process 1 would take no notice
    nc = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"), max_reconnect_attempts=-1)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, (clusterer := Clusterer()).stop)
    await serve(nc, clusterer)
    await nc.flush()
    os._exit(0)  # a mixture that is still fitted in its thread is not waited for

asyncio.run(main())
