{{/*
What each service tells the others, that is which facts it may publish; a run can be failed by any of them. Used with
fromYaml.
*/}}
{{- define "subtaxa.facts" -}}
gateway: [dataset.requested, dataset.imported, dataset.failed, run.requested, run.cancelled]
trainer: [epoch.trained]
evaluator: [shard.advanced, epoch.validated, fold.completed, run.completed]
extractor: [shard.advanced, backbone.extracted, features.extracted]
clusterer: [adaptation.planned, dataset.relabelled]
{{- end -}}

{{/* Key-value buckets that a service keeps. */}}
{{- define "subtaxa.buckets" -}}
gateway: [subtaxa-requests, subtaxa-clusterers, subtaxa-absences]
extractor: [subtaxa-backbones]
{{- end -}}

{{/* All users but `route`. */}}
{{- define "subtaxa.natsUsers" -}}
{{- toYaml (concat (list "gateway") (keys (include "subtaxa.workers" . | fromYaml) | sortAlpha)) -}}
{{- end -}}

{{/* The server's own configuration, every key on a line of its own, as it wants them; who its users are stands in a file beside it. */}}
{{- define "subtaxa.natsConf" -}}
server_name: $SERVER_NAME
listen: "0.0.0.0:4222"
http: "0.0.0.0:8222"
pid_file: "/run/nats/nats.pid"
max_payload: 1MB
max_connections: 1000
write_deadline: "10s"
lame_duck_grace_period: "5s"
lame_duck_duration: "30s"

jetstream {
  store_dir: "/data"
  max_memory_store: 64MB
  max_file_store: {{ .Values.nats.maxFileStore | replace "Gi" "GB" | replace "Mi" "MB" | replace "Ti" "TB" }}
}
{{- if gt (int .Values.nats.replicas) 1 }}

cluster {
  name: {{ include "subtaxa.fullname" . }}
  listen: "0.0.0.0:6222"
  # Clients use the service's address, which lasts longer than a Pod's.
  no_advertise: true
  connect_retries: 120
  authorization {
    user: route
    password: $PASSWORD_ROUTE
    timeout: 5
  }
  routes: $ROUTES
}
{{- end }}

# written by users.sh; a path from this file's folder
include ../../run/nats/users.conf
{{- end -}}

{{/*
Users and what they may do, without the passwords: files/users.sh puts them in. A service makes sure of the streams (or gives
them other settings), reads facts and blobs, publishes its own kinds of facts, and takes messages through its own durable consumer
alone; nobody removes a stream or a fact.
*/}}
{{- define "subtaxa.natsUsersConf" -}}
authorization {
  timeout: 5
  users: [
  {{- $facts := include "subtaxa.facts" . | fromYaml }}
  {{- $buckets := include "subtaxa.buckets" . | fromYaml }}
  {{- $users := include "subtaxa.natsUsers" . | fromYamlArray }}
  {{- range $user := $users }}
    {{- $durable := ternary "importer" $user (eq $user "gateway") }}
    {
      user: {{ $user }}
      password: ${{ $user }}
      permissions {
        publish {
          allow: [
            {{- range index $facts (ternary "clusterer" $user (hasPrefix "clusterer-" $user)) }}
            "subtaxa.{{ . }}.>"
            {{- end }}
            "subtaxa.run.failed.>"
            "dead.>"
            "progress.>"
            "$O.subtaxa-blobs.>"
            "$JS.API.INFO"
            "$JS.API.STREAM.NAMES"
            {{- $read := list "SUBTAXA" "OBJ_subtaxa-blobs" }}
            {{- range index $buckets $user }}
            "$KV.{{ . }}.>"
            {{- $read = append $read (printf "KV_%s" .) }}
            {{- end }}
            {{- range concat $read (list "SUBTAXA_DEAD" "SUBTAXA_EXHAUSTED") }}
            "$JS.API.STREAM.INFO.{{ . }}"
            "$JS.API.STREAM.CREATE.{{ . }}"
            {{- if eq $user "gateway" }}
            "$JS.API.STREAM.UPDATE.{{ . }}"
            {{- end }}
            {{- end }}
            {{- range $read }}
            "$JS.API.STREAM.MSG.GET.{{ . }}"
            "$JS.API.DIRECT.GET.{{ . }}"
            "$JS.API.DIRECT.GET.{{ . }}.>"
            {{- end }}
            "$JS.API.STREAM.PURGE.OBJ_subtaxa-blobs"
            "$JS.API.CONSUMER.CREATE.OBJ_subtaxa-blobs"
            "$JS.API.CONSUMER.*.OBJ_subtaxa-blobs.>"
            "$JS.FC.OBJ_subtaxa-blobs.>"
            {{- $own := list (printf "SUBTAXA.%s" $durable) }}
            {{- if eq $user "gateway" }}
            {{- $own = append $own "SUBTAXA_EXHAUSTED.reconciler" }}
            {{- end }}
            {{- range $own }}
            "$JS.API.CONSUMER.INFO.{{ . }}"
            "$JS.API.CONSUMER.CREATE.{{ . }}"
            "$JS.API.CONSUMER.CREATE.{{ . }}.>"
            "$JS.API.CONSUMER.DURABLE.CREATE.{{ . }}"
            "$JS.API.CONSUMER.MSG.NEXT.{{ . }}"
            "$JS.ACK.{{ . }}.>"
            {{- end }}
            {{- if eq $user "gateway" }}
            "discover.>"
            "$JS.API.CONSUMER.LIST.SUBTAXA"
            {{- end }}
            {{- /* who reads the log itself does it through passing consumers, whose names the server draws */}}
            {{- if has $user (list "gateway" "evaluator") }}
            "$JS.API.CONSUMER.CREATE.SUBTAXA"
            "$JS.API.CONSUMER.INFO.SUBTAXA.*"
            "$JS.API.CONSUMER.MSG.NEXT.SUBTAXA.*"
            "$JS.API.CONSUMER.DELETE.SUBTAXA.*"
            {{- end }}
          ]
          {{- if has $user (list "gateway" "evaluator") }}
          deny: [
            {{- range $other := without (append $users "importer") "gateway" }}
            "$JS.API.CONSUMER.DELETE.SUBTAXA.{{ $other }}"
            {{- if ne $other $durable }}
            "$JS.API.CONSUMER.MSG.NEXT.SUBTAXA.{{ $other }}"
            {{- end }}
            {{- end }}
          ]
          {{- end }}
        }
        subscribe {
          allow: [
            "_INBOX.>"
            "subtaxa.>"
            "progress.>"
            "discover.>"
          ]
        }
        # who is asked on `discover` may answer
        allow_responses: true
      }
    }
  {{- end }}
  ]
}
{{- end -}}
