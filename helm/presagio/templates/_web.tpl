{{/*
What --web.config.file has of TLS and users, as those need it who ask a server: probes, Prometheus, `helm test`, people.
Of a component: {root, component}. The file itself is in a Secret, which templates cannot read: the values tell.
*/}}
{{- define "presagio.scheme" -}}
{{- $web := (index .root.Values .component).webConfig -}}
{{- $web.existingSecret | empty | ternary "http" $web.scheme -}}
{{- end -}}

{{- define "presagio.port.of" -}}
{{- eq .component "exporter" | ternary "8000" "3001" -}}
{{- end -}}

{{- define "presagio.host" -}}
{{- printf "%s-%s.%s" (include "presagio.fullname" .root) .component .root.Release.Namespace -}}
{{- end -}}

{{- define "presagio.url" -}}
{{- printf "%s://%s:%s" (include "presagio.scheme" .) (include "presagio.host" .) (include "presagio.port.of" .) -}}
{{- end -}}

{{/* Prometheus asks pods by their addresses, which no certificate names: it is verified by the name of the Service. */}}
{{- define "presagio.tlsConfig" -}}
{{- $tls := (index .root.Values .component).webConfig.tlsConfig -}}
{{- $name := dict -}}
{{- if not $tls.insecureSkipVerify -}}
{{- $_ := set $name "serverName" (include "presagio.host" .) -}}
{{- end -}}
{{- mergeOverwrite $name (deepCopy $tls) | toYaml -}}
{{- end -}}

{{/* Not empty if the kubelet itself cannot ask: it has neither a password nor a certificate. */}}
{{- define "presagio.needsClient" -}}
{{- $web := (index .root.Values .component).webConfig -}}
{{- if or $web.basicAuth $web.tlsConfig.cert }}yes{{ end -}}
{{- end -}}

{{/* Flags of `presagio healthcheck` as a JSON list: {root, component, local}. A server of the same pod is believed. */}}
{{- define "presagio.clientFlags" -}}
{{- $web := (index .root.Values .component).webConfig -}}
{{- $tls := include "presagio.tlsConfig" . | fromYaml -}}
{{- $flags := list -}}
{{- if eq (include "presagio.scheme" .) "https" -}}
{{- if or .local $tls.insecureSkipVerify -}}
{{- $flags = append $flags "--insecure" -}}
{{- else -}}
{{- $flags = append $flags (printf "--server-name=%s" $tls.serverName) -}}
{{- if $tls.ca -}}
{{- $flags = append $flags "--ca-file=/etc/presagio-client/ca.crt" -}}
{{- end -}}
{{- end -}}
{{- if $tls.cert -}}
{{- $flags = concat $flags (list "--cert-file=/etc/presagio-client/tls.crt" "--key-file=/etc/presagio-client/tls.key") -}}
{{- end -}}
{{- end -}}
{{- if $web.basicAuth -}}
{{- $flags = concat $flags (list "--username-file=/etc/presagio-client/username" "--password-file=/etc/presagio-client/password") -}}
{{- end -}}
{{- toJson $flags -}}
{{- end -}}

{{/* The files that these flags name, as sources of a projected volume. */}}
{{- define "presagio.clientSources" -}}
{{- $web := (index .root.Values .component).webConfig -}}
{{- $tls := $web.tlsConfig -}}
{{- $files := dict "tls.crt" ($tls.cert | default dict) -}}
{{- with $tls.ca -}}
{{- $_ := set $files "ca.crt" . -}}
{{- end -}}
{{- with $tls.keySecret -}}
{{- $_ := set $files "tls.key" (dict "secret" .) -}}
{{- end -}}
{{- range $name, $reference := $web.basicAuth -}}
{{- $_ := set $files $name (dict "secret" $reference) -}}
{{- end -}}
{{- range $path, $source := $files }}
{{- range $kind, $reference := $source }}
- {{ $kind }}:
    name: {{ $reference.name }}
    items:
      - {key: {{ $reference.key | quote }}, path: {{ $path }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* What the server's pod has of both. */}}
{{- define "presagio.webVolumes" -}}
{{- with (index .root.Values .component).webConfig.existingSecret }}
- name: web
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- if include "presagio.needsClient" . }}
- name: client
  projected:
    defaultMode: 0440
    sources:
      {{- include "presagio.clientSources" . | nindent 6 }}
{{- end }}
{{- end -}}

{{- define "presagio.webMounts" -}}
{{- if (index .root.Values .component).webConfig.existingSecret }}
- {name: web, mountPath: /etc/presagio-web, readOnly: true}
{{- end }}
{{- if include "presagio.needsClient" . }}
- {name: client, mountPath: /etc/presagio-client, readOnly: true}
{{- end }}
{{- end -}}

{{- define "presagio.web.check" -}}
{{- $web := (index .root.Values .component).webConfig -}}
{{- if and (or $web.tlsConfig $web.basicAuth) (not $web.existingSecret) -}}
{{- fail (printf "%s.webConfig.existingSecret: expected a Secret with the file beside webConfig.tlsConfig or webConfig.basicAuth, got none" .component) -}}
{{- end -}}
{{- if and $web.tlsConfig (eq $web.scheme "http") -}}
{{- fail (printf "%s.webConfig.scheme: expected https beside webConfig.tlsConfig, got http" .component) -}}
{{- end -}}
{{- end -}}

{{/* How a person asks a port of a pod that is forwarded to their machine, up to the host. */}}
{{- define "presagio.curl" -}}
{{- $web := (index .root.Values .component).webConfig -}}
curl {{ if $web.basicAuth }}--user NAME {{ end }}{{ if $web.tlsConfig.cert }}--cert FILE --key FILE {{ end }}
{{- if eq (include "presagio.scheme" .) "https" }}--insecure https://{{ end -}}
{{- end -}}
