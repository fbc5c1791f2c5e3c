{{/* What the pods of both components share: {root, component}. */}}
{{- define "presagio.podMetadata" -}}
{{- $values := index .root.Values .component -}}
annotations:
  # another configuration, other pods: a rolling restart instead of a reload
  checksum/config: {{ include (printf "presagio.%s.files" .component) .root | sha256sum }}
  {{- with $values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
labels:
  {{- include "presagio.labels" . | nindent 2 }}
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "presagio.placement" -}}
{{- $values := index .root.Values .component -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "priorityClassName" }}
{{- with index $values $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "presagio.probes" -}}
{{- /* a command costs a tenth of a second of CPU */}}
{{- $seldom := include "presagio.needsClient" . | empty | not }}
# however long history is read, the server answers within a minute of its start
startupProbe:
  {{- include "presagio.probe" (dict "root" .root "component" .component "path" "/-/healthy") | nindent 2 }}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
livenessProbe:
  {{- include "presagio.probe" (dict "root" .root "component" .component "path" "/-/healthy") | nindent 2 }}
  periodSeconds: {{ $seldom | ternary 30 10 }}
  timeoutSeconds: 5
  failureThreshold: {{ $seldom | ternary 2 6 }}
readinessProbe:
  {{- include "presagio.probe" (dict "root" .root "component" .component "path" "/-/ready") | nindent 2 }}
  periodSeconds: {{ $seldom | ternary 10 5 }}
  timeoutSeconds: 5
{{- end -}}

{{/* {root, component, path}: by the kubelet, else by the server's own command with the files of the pod. */}}
{{- define "presagio.probe" -}}
{{- $scheme := include "presagio.scheme" . -}}
{{- if include "presagio.needsClient" . -}}
exec:
  command:
    - presagio
    - healthcheck
    - --timeout=4
    {{- include "presagio.clientFlags" (dict "root" .root "component" .component "local" true) | fromJsonArray | toYaml | nindent 4 }}
    - {{ $scheme }}://localhost:{{ include "presagio.port.of" . }}{{ .path }}
{{- else -}}
{{- /* scheme is said although it is the default: what helm did not say it does not take away, and exec may not have it beside */ -}}
httpGet: {path: {{ .path }}, port: http, scheme: {{ upper $scheme }}}
{{- end -}}
{{- end -}}

{{/* One folder, /etc/presagio: the configuration, and below it each secret as a file. */}}
{{- define "presagio.configVolume" -}}
{{- $values := index .root.Values .component -}}
- name: config
  projected:
    defaultMode: 0440
    sources:
      - configMap:
          name: {{ include "presagio.fullname" .root }}-{{ .component }}
      {{- with .root.Values.apiKey }}
      {{- if .existingSecret }}
      {{- include "presagio.secretFile" (dict "secret" .existingSecret "key" .key "path" "api.key") | nindent 6 }}
      {{- end }}
      {{- end }}
      {{- range $values.secretFiles }}
      {{- include "presagio.secretFile" . | nindent 6 }}
      {{- end }}
      {{- if eq .component "webhook" }}
      {{- with $values.postgresql }}
      {{- if .url }}
      {{- include "presagio.secretFile" (dict "secret" .existingSecret "key" .passwordKey "path" "postgresql.password") | nindent 6 }}
      {{- include "presagio.secretFile" (dict "secret" .existingSecret "key" .chainKey "path" "ledger.key") | nindent 6 }}
      {{- end }}
      {{- end }}
      {{- end }}
{{- end -}}

{{- define "presagio.secretFile" -}}
- secret:
    name: {{ .secret }}
    items:
      - key: {{ .key }}
        path: secrets/{{ .path }}
{{- end -}}
