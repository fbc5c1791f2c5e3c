{{/*
What the actions of all policies need of Kubernetes, as YAML: {kubernetes: {group/resource: [verbs]}, "kubernetes cluster": ...}.
files/permissions.json has the table of action and rights; it is written from the code.
*/}}
{{- define "presagio.rights" -}}
{{- $table := .Files.Get "files/permissions.json" | fromJson -}}
{{- $found := list -}}
{{- $steps := list -}}
{{- range .Values.webhook.config.policies -}}
{{- $steps = concat $steps (.actions | default list) -}}
{{- end -}}
{{- range (include "presagio.commands" . | fromYaml).commands -}}
{{- if .action -}}
{{- $steps = append $steps (dict .action dict) -}}
{{- end -}}
{{- end -}}
{{- range $steps -}}
{{- range $action, $params := . -}}
{{- range $kind, $rights := get $table $action | default dict -}}
{{- $stateful := get (kindIs "map" $params | ternary $params dict) "statefulset" -}}
{{- if has $kind (list "any" (empty $stateful | ternary "deployment" "statefulset")) -}}
{{- $found = append $found $rights -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $action := .Values.webhook.rbac.extraActions -}}
{{- if not (hasKey $table $action) -}}
{{- fail (printf "webhook.rbac.extraActions: expected actions that need Kubernetes (%s), got %q" (keys $table | sortAlpha | join ", ") $action) -}}
{{- end -}}
{{- range $kind, $rights := get $table $action -}}
{{- $found = append $found $rights -}}
{{- end -}}
{{- end -}}
{{- $merged := dict -}}
{{- range $found -}}
{{- range $system, $resources := . -}}
{{- $before := get $merged $system | default dict -}}
{{- range $resource, $verbs := $resources -}}
{{- $_ := set $before $resource (concat (get $before $resource | default list) $verbs | uniq | sortAlpha) -}}
{{- end -}}
{{- $_ := set $merged $system $before -}}
{{- end -}}
{{- end -}}
{{- toYaml $merged -}}
{{- end -}}

{{/* The rules of a Role, of {group/resource: [verbs]}. */}}
{{- define "presagio.rules" -}}
{{- range $resource, $verbs := . }}
{{- $parts := splitn "/" 2 $resource }}
- apiGroups: [{{ $parts._0 | quote }}]
  resources: [{{ $parts._1 | quote }}]
  verbs: {{ toJson $verbs }}
{{- end }}
{{- end -}}
