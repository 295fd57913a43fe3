{{/* Short enough for <name>-clusterer-<20 letters> to be a label's value, 63 letters. */}}
{{- define "subtaxa.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 31 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 31 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels of one part: dict root, component. */}}
{{- define "subtaxa.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "subtaxa.labels" -}}
{{ include "subtaxa.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/*
The services that take messages, by the name of their durable consumer, each with what `workers` says for all of them:
{<name>: {service, image, route, probes, gpu, scaling, …}}. Used with fromYaml. `probes`: whether it answers them; a clusterer's
contract doesn't ask it to.
*/}}
{{- define "subtaxa.workers" -}}
{{- $all := dict -}}
{{- range $name := list "trainer" "evaluator" "extractor" -}}
{{- $own := deepCopy (index $.Values $name) -}}
{{- $_ := merge $own (dict "service" $name "probes" true) -}}
{{- $_ := set $all $name (mergeOverwrite (deepCopy $.Values.workers) $own) -}}
{{- end -}}
{{- range $route, $own := .Values.clusterers -}}
{{- if $own -}}
{{- $defaults := dict "route" $route "probes" (not $own.image) -}}
{{- $_ := set $all (printf "clusterer-%s" $route) (mergeOverwrite (deepCopy $.Values.workers) $defaults (deepCopy $own)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $all -}}
{{- end -}}

{{- define "subtaxa.image" -}}
{{- printf "%s:%s-%s" .root.Values.image.repository (default .root.Chart.AppVersion .root.Values.image.tag) (ternary "cuda" "cpu" .gpu) -}}
{{- end -}}

{{- define "subtaxa.streamReplicas" -}}
{{- if .Values.settings.streamReplicas -}}
{{- .Values.settings.streamReplicas -}}
{{- else -}}
{{- ternary (min 3 (int .Values.nats.replicas)) 1 .Values.nats.enabled -}}
{{- end -}}
{{- end -}}

{{- define "subtaxa.natsSecret" -}}
{{- if .Values.nats.enabled -}}
{{- default (printf "%s-nats" (include "subtaxa.fullname" .)) .Values.nats.existingSecret -}}
{{- else -}}
{{- .Values.nats.external.existingSecret -}}
{{- end -}}
{{- end -}}

{{- define "subtaxa.tokenSecret" -}}
{{- default (printf "%s-token" (include "subtaxa.fullname" .)) .Values.token.existingSecret -}}
{{- end -}}

{{/* NATS_URL of one user, with its password from the Secret: dict root, user. */}}
{{- define "subtaxa.natsEnv" -}}
{{- $nats := .root.Values.nats -}}
{{- $credentials := ternary "users" $nats.external.credentials $nats.enabled -}}
{{- $url := printf "nats://%s-nats:4222" (include "subtaxa.fullname" .root) -}}
{{- if not $nats.enabled -}}
{{- $url = required "nats.external.url: the address of the NATS server, since nats.enabled is false" $nats.external.url -}}
{{- end -}}
{{- if ne $credentials "none" }}
- name: NATS_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ required "nats.external.existingSecret: the Secret with the credentials" (include "subtaxa.natsSecret" .root) }}
      key: {{ ternary "token" .user (eq $credentials "token") }}
{{- $user := ternary "" (printf "%s:" .user) (eq $credentials "token") -}}
{{- $url = regexReplaceAll "^(\\w+://)?" $url (printf "${1}%s$(NATS_PASSWORD)@" $user) -}}
{{- end }}
- name: NATS_URL
  value: {{ $url | quote }}
{{- end -}}

{{/* The environment of every service: dict root, user; route of a clusterer, the name that it serves. */}}
{{- define "subtaxa.env" -}}
{{ include "subtaxa.natsEnv" . | trim }}
{{- with .route }}
- name: SUBTAXA_CLUSTERER_NAME
  value: {{ . | quote }}
{{- end }}
- name: SUBTAXA_DATA
  value: /data
- name: SUBTAXA_CACHE_LIMIT
  value: {{ .root.Values.cache.limit | quote }}
- name: SUBTAXA_HOST
  value: 0.0.0.0
- name: SUBTAXA_REPLICAS
  value: {{ include "subtaxa.streamReplicas" .root | quote }}
- name: SUBTAXA_ACK_WAIT
  value: {{ .root.Values.settings.ackWait | quote }}
- name: SUBTAXA_MAX_DELIVER
  value: {{ .root.Values.settings.maxDeliver | quote }}
- name: SUBTAXA_NATS_WAIT
  value: {{ .root.Values.settings.natsWait | quote }}
- name: SUBTAXA_LOG_LEVEL
  value: {{ .root.Values.settings.logLevel }}
{{- with .root.Values.settings.otlpEndpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- if .root.Values.settings.deterministic }}
- name: SUBTAXA_DETERMINISTIC
  value: "1"
{{- end }}
{{- end -}}

{{/* What `env` of the values adds, sorted by name. */}}
{{- define "subtaxa.moreEnv" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end -}}
{{- end -}}

{{- define "subtaxa.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "subtaxa.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "subtaxa.probes" -}}
startupProbe:
  httpGet: { path: /healthz, port: http }
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /healthz, port: http }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: http }
  periodSeconds: 5
  timeoutSeconds: 5
{{- end -}}

{{/* A claim for the cache, and nothing for emptyDir's. */}}
{{- define "subtaxa.volumes" -}}
- name: tmp
  emptyDir: {}
- name: data
{{- if eq .Values.cache.type "ephemeral" }}
  ephemeral:
    volumeClaimTemplate:
      spec: {{- include "subtaxa.claim" (dict "size" .Values.cache.size "storageClass" .Values.cache.storageClass "accessMode" "ReadWriteOnce") | nindent 8 }}
{{- else }}
  emptyDir:
    sizeLimit: {{ .Values.cache.size }}
{{- end }}
{{- end -}}

{{/* What a service asks for, with its cache on the node's disk and its GPU: dict root, resources, gpu. */}}
{{- define "subtaxa.resources" -}}
{{- $all := deepCopy (.resources | default dict) -}}
{{- if eq .root.Values.cache.type "emptyDir" -}}
{{- $all = merge $all (dict "requests" (dict "ephemeral-storage" .root.Values.cache.request)) -}}
{{- end -}}
{{- with .gpu -}}
{{- if .enabled -}}
{{- $all = mergeOverwrite $all (dict "limits" (dict .resource .count)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $all -}}
{{- end -}}

{{/* Where Prometheus, by its usual annotations, finds the metrics of a Pod: the port. */}}
{{- define "subtaxa.scraped" -}}
annotations:
  prometheus.io/scrape: "true"
  prometheus.io/port: {{ . | quote }}
  prometheus.io/path: /metrics
{{- end -}}

{{- define "subtaxa.claim" -}}
accessModes: [{{ .accessMode }}]
{{- with .storageClass }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests:
    storage: {{ .size }}
{{- end -}}

{{- define "subtaxa.mounts" -}}
- { name: tmp, mountPath: /tmp }
- { name: data, mountPath: /data }
{{- end -}}

{{- define "subtaxa.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Instances of one service on different nodes where that can be. */}}
{{- define "subtaxa.affinity" -}}
{{- if .own -}}
{{- toYaml .own -}}
{{- else -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{- include "subtaxa.selector" . | nindent 12 }}
{{- end -}}
{{- end -}}
