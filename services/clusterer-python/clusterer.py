"""A clusterer in Python, by the contract in shared/contracts/generated/CLUSTERER.md: Gaussian mixtures, chosen by BIC."""
import asyncio, contextlib, hashlib, json, os, signal, uuid
from datetime import datetime, timezone

import nats
import numpy as np
import pyarrow as pa
from nats.js import api, errors
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import PCA
from sklearn.metrics import normalized_mutual_info_score
from sklearn.mixture import GaussianMixture

NAME, STREAM = os.environ.get("SUBTAXA_CLUSTERER_NAME") or "gmm", "SUBTAXA"
NUMBER, UNIT = os.environ.get("SUBTAXA_ACK_WAIT", "30 seconds").split()
ACK_WAIT = float(NUMBER) * {"milli": 0.001, "minut": 60}.get(UNIT[:5], 1)
MAX_DELIVER = int(os.environ.get("SUBTAXA_MAX_DELIVER", 5))
PLANNING = ("run.requested", "backbone.extracted", "epoch.validated")
PARAMETERS = {
    "axes": {"type": "integer", "minimum": 1, "maximum": 256, "default": 16,
             "description": "principal axes on which the mixtures are fitted"},
    "restarts": {"type": "integer", "minimum": 1, "maximum": 100, "default": 2, "description": "fits per mixture"},
}
ANNOUNCEMENT = {
    "v": 1, "name": NAME, "version": "0.1.0", "instance": str(uuid.uuid4()),
    "description": "Gaussian mixture on the principal axes, with as many components as BIC likes best",
    "parameters": {"type": "object", "properties": PARAMETERS, "additionalProperties": False},
}


class Final(Exception):
    """What doing the same again can't mend."""


def settings(spec):
    for key, value in spec.get("parameters", {}).items():
        rule = PARAMETERS.get(key)
        if rule is None or type(value) is not int or not rule["minimum"] <= value <= rule["maximum"]:
            raise Final(f"the clusterer '{NAME}' can't work with the run's parameters: {key} can't be {value!r}")
    return {key: rule["default"] for key, rule in PARAMETERS.items()} | spec.get("parameters", {})


def adapt(event):
    """Algorithm 1: how many clusters each class may have from now on."""
    spec, classes = event["spec"], [dict(one) for one in event["state"]["classes"]]
    for one, missed in zip(classes, event.get("falseNegatives", [0] * len(classes)), strict=True):
        if missed > spec["confusionThreshold"] and one["flag"] == 0:
            one["allowedClusters"] = min(one["allowedClusters"] + 1, spec["maxClusters"])
            one["flag"] = int(one["allowedClusters"] == spec["maxClusters"])
        elif missed > spec["confusionThreshold"]:
            one["allowedClusters"] = max(one["allowedClusters"] - 1, 1)
            one["flag"] = int(one["allowedClusters"] > 1)
    return classes


def divide(points, most, least, chosen, seed):
    """Number of every row's cluster, 0 … k − 1, by the mixture of `most` components at most that BIC likes best."""
    best, found = np.inf, np.zeros(len(points), int)
    most = min(most, len(points) // least, len(np.unique(points, axis=0)))
    if most < 2:
        return found
    axes = PCA(min(chosen["axes"], *points.shape), svd_solver="full").fit_transform(points)
    axes /= axes[:, 0].std()
    for k in range(1, most + 1):
        mixture = GaussianMixture(k, covariance_type="diag", n_init=chosen["restarts"], random_state=seed)
        assigned = np.unique(mixture.fit_predict(axes), return_inverse=True)[1]
        if np.bincount(assigned).min() >= least and mixture.bic(axes) < best:
            best, found = mixture.bic(axes), assigned
    return found


def keep_names(former, assigned, highest):
    """Each cluster's id and the id it starts from; those that share the most images keep theirs. And the highest id."""
    old, count = np.unique(former), assigned.max(initial=-1) + 1
    shared = np.zeros((count, len(old)), int)
    np.add.at(shared, (assigned, np.searchsorted(old, former)), 1)
    ids, origins = [-1] * count, [int(old[row.argmax()]) for row in shared]
    for cluster, column in zip(*linear_sum_assignment(shared, maximize=True)):
        if shared[cluster, column] > 0:
            ids[cluster] = origins[cluster] = int(old[column])
    for cluster in range(count):
        if ids[cluster] < 0:
            highest = ids[cluster] = highest + 1
    return np.array(ids, int), origins, highest


def table(data, artifact):
    try:
        read = pa.ipc.open_stream(data).read_all().combine_chunks()
        about = json.loads(read.schema.metadata[b"subtaxa"])
        if about["artifact"] == artifact and about["v"] == 1:
            return read, about
    except (pa.ArrowException, KeyError, TypeError, ValueError) as cause:
        raise Final(f"not a {artifact} table: {cause!r}") from cause
    raise Final(f"not a {artifact} table: its metadata say {about}")


def relabel(event, features, images, previous, progress):
    """The labels table, the classes as they are now, what changed, and how far both assignments agree."""
    spec, chosen = event["spec"], settings(event["spec"])
    (features, _), (images, _) = table(features, "features"), table(images, "images")
    image, of_class = images["image"].to_numpy(), images["class"].to_numpy()
    column, row_of = features["embedding"], {int(one): row for row, one in enumerate(features["image"].to_numpy())}
    values = column.combine_chunks().flatten().to_numpy().reshape(len(column), column.type.list_size)
    former, highest = np.zeros(len(image), int), [0] * len(spec["classes"])
    if previous is not None:
        labels, about = table(previous, "labels")
        known, highest = dict(zip(labels["image"].to_pylist(), labels["cluster"].to_pylist())), about["highestIds"]
        former = np.array([known.get(int(one), 0) for one in image], int)
    cluster, distance = np.zeros(len(image), int), np.zeros(len(image), np.float32)
    subclasses, classes, changes = [], [], []
    for index, one in enumerate(event["state"]["classes"]):
        members = np.flatnonzero(of_class == index)
        assigned = np.zeros(len(members), int)
        if one["allowedClusters"] > 1 and len(members) > 0:
            rows = [row_of.get(int(image[member]), -1) for member in members]
            points = values[rows].astype(float)
            if min(rows) < 0 or not np.isfinite(points).all():
                raise Final(f"class {one['name']}: an image's embedding is missing or not finite")
            if spec["normalisation"] == "l2":
                points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-300)
            seed = np.random.SeedSequence([spec["seed"], event["fold"], event["epoch"], index]).generate_state(1)[0]
            assigned = divide(points, one["allowedClusters"], spec["minClusterSize"], chosen, int(seed))
            if assigned.max() > 0:
                centres = np.array([points[assigned == k].mean(0) for k in range(assigned.max() + 1)])
                distance[members] = np.linalg.norm(points - centres[assigned], axis=1)
        ids, origins, highest[index] = keep_names(former[members], assigned, highest[index])
        cluster[members] = ids[assigned]
        subclasses += [{"class": index, "id": int(id), "from": origin} for id, origin in sorted(zip(ids, origins))]
        classes.append({**one, "clusters": max(1, len(ids))})
        if classes[-1]["clusters"] != one["clusters"]:
            changes.append({"class": one["name"], "from": one["clusters"], "to": classes[-1]["clusters"]})
        progress(index + 1)
    columns = [("image", pa.uint32(), image), ("class", pa.uint16(), of_class), ("cluster", pa.uint16(), cluster),
               ("distance", pa.float32(), distance)]
    about = {"artifact": "labels", "v": 1, "subclasses": subclasses, "highestIds": highest}
    schema = pa.schema([pa.field(name, kind, False) for name, kind, _ in columns], {"subtaxa": json.dumps(about)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(pa.table([pa.array(value).cast(kind) for _, kind, value in columns], schema=schema))
    before, now = (of_class * (max(highest) + 1) + ids for ids in (former, cluster))
    return sink.getvalue().to_pybytes(), classes, changes, float(normalized_mutual_info_score(before, now))


class Clusterer:
    def __init__(self, nc, store):
        self.nc, self.js, self.store = nc, nc.jetstream(), store

    async def newest(self, subject):
        with contextlib.suppress(errors.NotFoundError):
            return (await self.js.get_last_msg(STREAM, subject)).seq
        return 0

    async def blob(self, ref):
        with contextlib.suppress(errors.NotFoundError):
            data = (await self.store.get(ref["key"])).data
            if hashlib.sha256(data).hexdigest() == ref["sha256"]:
                return data
        raise Final(f"the object store has no blob {ref['key']} with that hash")

    async def put(self, data):
        digest = hashlib.sha256(data).hexdigest()
        await self.store.put(f"sha256-{digest}", data)
        return {"key": f"sha256-{digest}", "sha256": digest, "bytes": len(data)}

    async def publish(self, message, type, route, fold, id, fields):
        at = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        run, traced = message.subject.split(".")[4], (message.headers or {}).get("traceparent")
        headers = {"Nats-Msg-Id": f"{run}:{id}", "ce-specversion": "1.0", "ce-id": f"{run}:{id}", "ce-time": at,
                   "ce-type": f"subtaxa.{type}.v1", "ce-source": f"/subtaxa/clusterer-{NAME}",
                   "content-type": "application/json"} | ({"traceparent": traced} if traced else {})
        body = json.dumps({"type": type, "v": 1, "at": at, "runId": run, **fields}).encode()
        await self.js.publish(f"subtaxa.{type}.{route}.{run}.{fold}", body, headers=headers)

    async def work(self, message, event):
        run, fold, epoch, spec, state = (event[key] for key in ("runId", "fold", "epoch", "spec", "state"))
        own = message.metadata.sequence.stream
        if await self.newest(f"subtaxa.run.*.end.{run}.all") or await self.newest(f"subtaxa.*.*.*.{run}.{fold}") > own:
            return
        settings(spec)
        fields = {"fold": fold, "epoch": epoch, "spec": spec}
        if event["type"] in PLANNING:
            classes = adapt(event)
            fields |= {"classes": [one["name"] for one in classes if one["allowedClusters"] > 1],
                       "state": {**state, "classes": classes}}
            return await self.publish(
                message, "adaptation.planned", "extract", fold, f"{fold}:{epoch}:adaptation.planned", fields)
        loop = asyncio.get_running_loop()

        def progress(done):
            now = {"runId": run, "fold": fold, "epoch": epoch, "step": "cluster", "done": done, "total": len(state["classes"])}
            asyncio.run_coroutine_threadsafe(self.nc.publish(f"progress.run.{run}", json.dumps(now).encode()), loop)

        tables = [await self.blob(event[key]) for key in ("features", "images")]
        tables.append(await self.blob(state["labels"]) if state["labels"] else None)
        labels, classes, changes, agreement = await asyncio.to_thread(relabel, event, *tables, progress)
        fields |= {"state": {**state, "labels": await self.put(labels), "classes": classes}, "changes": changes,
                   "agreement": agreement}
        await self.publish(message, "dataset.relabelled", "train", fold, f"{fold}:{epoch}:dataset.relabelled", fields)
        with contextlib.suppress(errors.NotFoundError):
            await self.store.delete(event["features"]["key"])

    async def give_up(self, message, tag, reason):
        seq = str(message.metadata.sequence.stream)
        await self.js.publish(f"dead.{message.subject}", message.data, headers={
            "Nats-Msg-Id": f"dead:clusterer-{NAME}:{seq}", "subtaxa-error": tag, "subtaxa-sequence": seq,
            "subtaxa-reason": " ".join(reason.split()), "subtaxa-consumer": f"clusterer-{NAME}"})
        await self.publish(message, "run.failed", "end", "all", "end", {"error": {"tag": tag, "message": reason}})
        await message.term()

    async def handle(self, message):
        async def beat():
            while True:
                await asyncio.sleep(ACK_WAIT / 2)
                await message.in_progress()

        ended = asyncio.Event()
        ends = await self.nc.subscribe(f"subtaxa.run.*.end.{message.subject.split('.')[4]}.all",
                                       cb=lambda _: asyncio.sleep(0, ended.set()))
        tasks = [asyncio.create_task(beat()), asyncio.create_task(ended.wait())]
        try:
            try:
                event = json.loads(message.data)
                if event["v"] != 1 or event["type"] not in (*PLANNING, "features.extracted"):
                    raise ValueError(f"{event['type']} of version {event['v']}")
            except (ValueError, KeyError, TypeError) as cause:
                return await self.give_up(message, "MessageError/Undecodable", f"{message.subject}: {cause!r}")
            tasks.append(asyncio.create_task(self.work(message, event)))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[2].done():
                tasks[2].result()
            await message.ack_sync()
        except (Final, KeyError, TypeError, ValueError) as failure:
            await self.give_up(message, "ClustererError/Final", str(failure))
        except asyncio.CancelledError:
            await message.nak()
            raise
        except Exception as failure:
            if message.metadata.num_delivered >= MAX_DELIVER:
                await self.give_up(message, "ClustererError/Exhausted", repr(failure))
            else:
                await message.nak(delay=min(60, 4 ** (message.metadata.num_delivered - 1)))
        finally:
            for task in tasks:
                task.cancel()
            await ends.unsubscribe()


async def main():
    nc = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"), max_reconnect_attempts=-1,
                            name=f"clusterer-{NAME}")
    js, durable = nc.jetstream(), f"clusterer-{NAME}"
    filters = [f"subtaxa.{type}.{NAME}.*.*" for type in (*PLANNING, "features.extracted")]
    config = api.ConsumerConfig(durable_name=durable, filter_subjects=filters, ack_policy=api.AckPolicy.EXPLICIT,
                                ack_wait=ACK_WAIT, max_deliver=MAX_DELIVER)
    answer = json.dumps(ANNOUNCEMENT).encode()
    clusterer = pulled = None
    while True:
        try:
            if pulled is None:
                with contextlib.suppress(errors.BadRequestError):  # it is there, and set otherwise
                    await js.add_consumer(STREAM, config)
                pulled = await js.pull_subscribe_bind(durable, STREAM)
            if clusterer is None:
                clusterer = Clusterer(nc, await js.object_store("subtaxa-blobs"))
                await nc.subscribe("discover.clusterer", cb=lambda asked: asked.respond(answer))
            for message in await pulled.fetch(1, timeout=2):
                await clusterer.handle(message)
        except nats.errors.TimeoutError:
            continue
        except asyncio.CancelledError:
            await nc.drain()
            return
        except nats.errors.Error as trouble:  # the server is away, or the consumer or the stream is gone
            print(json.dumps({"level": "WARN", "message": repr(trouble)}), flush=True)
            pulled = None
            await asyncio.sleep(0.5)


async def until_told():
    task = asyncio.create_task(main())
    for told in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(told, task.cancel)
    await task
    os._exit(0)  # a mixture may still be fitted in its thread: nobody waits for it any more

asyncio.run(until_told())
