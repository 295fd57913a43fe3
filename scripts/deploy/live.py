"""Renders the chart as `helm upgrade` does where objects are there already, which `lookup` finds: JSON on standard input {chart,
namespace, release, values, objects}, JSON on standard output {manifest: YAML} | {error: text}. The API server knows the
chart's kinds and those objects, and no more. Needs Helm's SDK on PYTHONPATH."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import helm_python as helm

KINDS = {
    "v1": ["ConfigMap", "PersistentVolumeClaim", "Secret", "Service", "ServiceAccount"],
    "apps/v1": ["Deployment", "StatefulSet"],
    "batch/v1": ["Job"],
    "keda.sh/v1alpha1": ["ScaledObject"],
    "networking.k8s.io/v1": ["Ingress", "NetworkPolicy"],
    "policy/v1": ["PodDisruptionBudget"],
}
ABSENT = {"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}


def plural(kind):
    name = kind.lower()
    return name[:-1] + "ies" if name.endswith("y") else name + ("es" if name.endswith("s") else "s")


def answers(order):
    groups = [{"name": one.split("/")[0], "versions": [version := {"groupVersion": one, "version": one.split("/")[1]}],
               "preferredVersion": version} for one in KINDS if "/" in one]
    out = {
        "/version": {"major": "1", "minor": "37", "gitVersion": "v1.37.2"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"apiVersion": "v1", "kind": "APIGroupList", "groups": groups},
        f"/api/v1/namespaces/{order['namespace']}/secrets": {"apiVersion": "v1", "kind": "SecretList", "items": []},
    }
    for version, kinds in KINDS.items():
        path = f"/{'apis' if '/' in version else 'api'}/{version}"
        out[path] = {"kind": "APIResourceList", "groupVersion": version, "resources": [
            {"name": plural(kind), "kind": kind, "namespaced": True, "verbs": ["get", "list"]} for kind in kinds]}
        for one in order["objects"]:
            if one["apiVersion"] == version:
                name = one["metadata"]["name"]
                out[f"{path}/namespaces/{order['namespace']}/{plural(one['kind'])}/{name}"] = one
    return out


def handler(order):
    known = answers(order)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.split("?")[0]
            # an empty description: Helm checks nothing against it
            described = path == "/openapi/v2"
            kind = "com.github.proto-openapi.spec.v2.v1.0+protobuf" if described else "json"
            body = b"" if described else json.dumps(known.get(path, ABSENT)).encode()
            self.send_response(200 if described or path in known else 404)
            self.send_header("content-type", f"application/{kind}")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


order = json.load(sys.stdin)
server = ThreadingHTTPServer(("127.0.0.1", 0), handler(order))
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
empty = "apiVersion: v1\nkind: Config\nclusters: []\n"
with helm.Config(namespace=order["namespace"], kube_apiserver=address, kubeconfig_content=empty) as config:
    try:
        made = config.install(order["chart"], order["release"], order["values"], dry_run="server")
        out = {"manifest": made["manifest"]}
    except helm.HelmError as error:
        out = {"error": str(error)}
json.dump(out, sys.stdout)
