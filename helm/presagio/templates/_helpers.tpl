{{/* Names. 40 letters leave room for a component and for what controllers append. */}}
{{- define "presagio.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "presagio.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $made := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- default $made .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Of a component: {root, component}. */}}
{{- define "presagio.selectorLabels" -}}
app.kubernetes.io/name: {{ include "presagio.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "presagio.labels" -}}
{{ include "presagio.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: presagio
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "presagio.image" -}}
{{- $image := .Values.image -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default .Chart.AppVersion $image.tag }}{{ end -}}
{{- end -}}

{{- define "presagio.serviceAccount" -}}
{{- $account := (index .root.Values .component).serviceAccount -}}
{{- $made := $account.create | ternary (printf "%s-%s" (include "presagio.fullname" .root) .component) "default" -}}
{{- default $made $account.name -}}
{{- end -}}

{{/* The policy API of this cluster: version 1 is there from Kubernetes 1.21 on. */}}
{{- define "presagio.policyVersion" -}}
{{- .Capabilities.APIVersions.Has "policy/v1" | ternary "policy/v1" "policy/v1beta1" -}}
{{- end -}}

{{/* The port of an address: what a network policy lets through. */}}
{{- define "presagio.port" -}}
{{- $url := urlParse . -}}
{{- $known := dict "http" "80" "https" "443" "postgresql" "5432" -}}
{{- default (get $known $url.scheme) (regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host)) -}}
{{- end -}}
