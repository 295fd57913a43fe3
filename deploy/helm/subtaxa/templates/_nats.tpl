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

{{/* A name as part of a variable's. */}}
{{- define "subtaxa.variable" -}}
{{- printf "PASSWORD_%s" (upper . | replace "-" "_" | replace "." "_") -}}
{{- end -}}

{{/* All users but `route`. */}}
{{- define "subtaxa.natsUsers" -}}
{{- toYaml (concat (list "gateway") (keys (include "subtaxa.workers" . | fromYaml) | sortAlpha)) -}}
{{- end -}}

{{/*
Every key on a line of its own, as the server wants it. Passwords are variables of its environment. A service reads all
facts, takes messages through consumers and keeps blobs and keys; it publishes its own kinds of facts, and removes none.
*/}}
{{- define "subtaxa.natsConf" -}}
server_name: $SERVER_NAME
listen: "0.0.0.0:4222"
http: "0.0.0.0:8222"
pid_file: "/tmp/nats.pid"
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

authorization {
  timeout: 5
  users: [
  {{- $facts := include "subtaxa.facts" . | fromYaml }}
  {{- range $user := include "subtaxa.natsUsers" . | fromYamlArray }}
    {
      user: {{ $user }}
      password: {{ printf "$%s" (include "subtaxa.variable" $user) }}
      permissions {
        publish {
          allow: [
            {{- range index $facts (ternary "clusterer" $user (hasPrefix "clusterer-" $user)) }}
            "subtaxa.{{ . }}.>"
            {{- end }}
            {{- if eq $user "gateway" }}
            "discover.>"
            {{- end }}
            "subtaxa.run.failed.>"
            "dead.>"
            "progress.>"
            "$JS.API.>"
            "$JS.ACK.>"
            "$JS.FC.>"
            "$KV.*.>"
            "$O.subtaxa-blobs.>"
          ]
          deny: [
            "$JS.API.STREAM.DELETE.>"
            "$JS.API.STREAM.RESTORE.>"
            "$JS.API.STREAM.SNAPSHOT.>"
            "$JS.API.STREAM.MSG.DELETE.*"
            "$JS.API.STREAM.PURGE.SUBTAXA"
            "$JS.API.STREAM.PURGE.SUBTAXA_DEAD"
            {{- if ne $user "gateway" }}
            "$JS.API.STREAM.UPDATE.*"
            {{- end }}
            "$JS.API.ACCOUNT.PURGE.>"
            "$JS.API.SERVER.>"
            "$JS.API.META.>"
          ]
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
