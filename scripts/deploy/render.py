"""Renders the chart once for each set of values: JSON on standard input {chart, namespace, release, values: {name: values}},
JSON on standard output {name: {manifests: {file: YAML}} | {error: text}}. Needs Helm's SDK on PYTHONPATH."""

import json
import sys

import helm_python as helm

order = json.load(sys.stdin)
out = {}
with helm.Chart.load(order["chart"]) as chart:
    for name, values in order["values"].items():
        try:
            out[name] = {"manifests": chart.render(values, name=order["release"], namespace=order["namespace"])}
        except helm.HelmError as error:
            out[name] = {"error": str(error)}
json.dump(out, sys.stdout)
