{{/* exporter.yml and webhook.yml, made of the values; what the values already say stays. */}}
{{- define "presagio.exporter.config" -}}
{{- $made := dict "prometheus" (dict "url" .Values.prometheus.url) -}}
{{- if .Values.apiKey.existingSecret -}}
{{- $_ := set $made "api" (dict "api_key_file" "/etc/presagio/secrets/api.key") -}}
{{- end -}}
{{- mergeOverwrite $made (deepCopy .Values.exporter.config) | toYaml -}}
{{- end -}}

{{- define "presagio.webhook.config" -}}
{{- $webhook := .Values.webhook -}}
{{- $made := dict "prometheus" (dict "url" .Values.prometheus.url) "alertmanager" (dict "url" .Values.alertmanager.url) -}}
{{- if .Values.apiKey.existingSecret -}}
{{- $_ := set $made "api" (dict "api_key_file" "/etc/presagio/secrets/api.key") -}}
{{- end -}}
{{- with $webhook.postgresql.url -}}
{{- $_ := set $made "ledger" (dict "url" . "password_file" "/etc/presagio/secrets/postgresql.password" "key_file" "/etc/presagio/secrets/ledger.key") -}}
{{- end -}}
{{- if and $webhook.ingress.enabled $webhook.ingress.hosts -}}
{{- $_ := set $made "external_url" (printf "%s://%s" (empty $webhook.ingress.tls | ternary "http" "https") (first $webhook.ingress.hosts).host) -}}
{{- end -}}
{{- if $webhook.actionPolicies -}}
{{- $_ := set $made "action_policies" (dict "file" "action_policies.json") -}}
{{- end -}}
{{- mergeOverwrite $made (deepCopy $webhook.config) | toYaml -}}
{{- end -}}

{{/* The data of each ConfigMap. */}}
{{- define "presagio.exporter.files" -}}
exporter.yml: |
  {{- include "presagio.exporter.config" . | nindent 2 }}
{{- end -}}

{{- define "presagio.webhook.files" -}}
webhook.yml: |
  {{- include "presagio.webhook.config" . | nindent 2 }}
{{- with .Values.webhook.actionPolicies }}
action_policies.json: |
  {{- toPrettyJson . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What cannot work is refused here, with the remedy. */}}
{{- define "presagio.webhook.check" -}}
{{- $webhook := .Values.webhook -}}
{{- $ledger := $webhook.config.ledger | default dict -}}
{{- $api := $webhook.config.api | default dict -}}
{{- if and (gt (int $webhook.replicas) 1) (not $webhook.postgresql.url) -}}
{{- fail (printf "webhook.replicas: expected 1 without webhook.postgresql.url, since SQLite has one writer, got %d" (int $webhook.replicas)) -}}
{{- end -}}
{{- if $ledger.url -}}
{{- fail "webhook.config.ledger.url: expected the database in webhook.postgresql.url, which mounts its secrets, too" -}}
{{- end -}}
{{- if and $webhook.postgresql.url (not $webhook.postgresql.existingSecret) -}}
{{- fail "webhook.postgresql.existingSecret: expected a Secret with the password and the ledger's key beside webhook.postgresql.url, got none" -}}
{{- end -}}
{{- include "presagio.commands.check" . -}}
{{- if not (or .Values.apiKey.existingSecret $api.api_key_file $api.users (eq (default "api_key" $api.authentication) "none")) -}}
{{- fail (printf "apiKey.existingSecret: expected a Secret with the API keys, got none; make one: kubectl --namespace %s create secret generic presagio-api-key --from-literal=%s=\"$(openssl rand -hex 24)\"" .Release.Namespace .Values.apiKey.key) -}}
{{- end -}}
{{- end -}}
