{{/*
What the commands of actionPolicies are, as YAML: {commands: [{name, command, action, namespace, kubectl}]}.
action: what the server makes of it, empty for a program that it runs. namespace: where that acts, if the command says so.
kubectl: of a program that is kubectl, the action of ours that does the same, "none" without one; empty for other programs.
files/scalings.json has the forms of a command that becomes kubernetes.scale_by; it is written from the code.
*/}}
{{- define "presagio.commands" -}}
{{- $forms := .Files.Get "files/scalings.json" | fromJsonArray -}}
{{- $found := list -}}
{{- range $service, $of := .Values.webhook.actionPolicies -}}
{{- range $name, $entry := $of.actions -}}
{{- $command := trim $entry.command -}}
{{- $one := dict "name" (printf "%s/%s" $service $name) "command" $command "action" "" "namespace" "" "kubectl" "" -}}
{{- range $form := $forms -}}
{{- $whole := printf "^(?:%s)$" $form -}}
{{- if mustRegexMatch $whole $command -}}
{{- $scaled := mustRegexReplaceAll $whole $command "${before} ${head} ${tail}" | include "presagio.reference" | fromYaml -}}
{{- $counted := mustRegexReplaceAll $whole $command "${get_before} ${get}${end}" | include "presagio.reference" | fromYaml -}}
{{- $by := mustRegexReplaceAll $whole $command "${open}${by}${close}" -}}
{{- $same := and (eq $scaled.name $counted.name) (eq $scaled.namespace $counted.namespace) -}}
{{- if and $scaled.name $same (not $scaled.output) (eq $counted.output "jsonpath={.spec.replicas}") (regexMatch `^(?:[^"]*[1-9][^"]*|"[^"]*[1-9][^"]*")$` $by) -}}
{{- $_ := set $one "action" "kubernetes.scale_by" -}}
{{- $_ := set $one "namespace" $scaled.namespace -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (not $one.action) (regexMatch `^(\S*/)?kubectl\s` $command) -}}
{{- $_ := set $one "kubectl" (include "presagio.kubectlAction" $command) -}}
{{- end -}}
{{- $found = append $found $one -}}
{{- end -}}
{{- end -}}
{{- dict "commands" $found | toYaml -}}
{{- end -}}

{{/* What the arguments of `kubectl get` or `kubectl scale` point at, as YAML: {name, namespace, output}, name empty for anything else. */}}
{{- define "presagio.reference" -}}
{{- $text := . | replace "'" "" | replace "\"" "" -}}
{{- $option := `(?:^|\s)(?:-%s|--%s)(?:=|\s+)` -}}
{{- $found := dict "name" "" -}}
{{- range $short, $long := dict "n" "namespace" "o" "output" -}}
{{- $before := printf $option $short $long -}}
{{- $_ := set $found $long (regexReplaceAll $before (regexFind (print $before `\S+`) $text) "") -}}
{{- $text = regexReplaceAll (print $before `\S+`) $text " " -}}
{{- end -}}
{{- $kind := `^\s*(?:deploy|deployments?(?:\.apps)?)(?:/|\s+)` -}}
{{- if regexMatch (print $kind `(?:[a-z0-9.-]|\$\{\w+\})+\s*$`) $text -}}
{{- $_ := set $found "name" (regexReplaceAll $kind $text "" | trim) -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}

{{/* Which action of ours does what a command of kubectl does. */}}
{{- define "presagio.kubectlAction" -}}
{{- $known := dict "rollout restart" "restart" "rollout undo" "rollback" "scale" "scale_to" "delete pods?" "delete_pod" "cordon" "cordon" -}}
{{- $known = merge $known (dict "drain" "drain" "set env" "set_environment" "set resources" "set_resources" "create job" "run_job") -}}
{{- $found := "none" -}}
{{- range $words, $action := $known -}}
{{- if regexMatch (printf `\s%s(\s|/|$)` (replace " " `\s+` $words)) $ -}}
{{- $found = printf "kubernetes.%s" $action -}}
{{- end -}}
{{- end -}}
{{- $found -}}
{{- end -}}

{{/* What the server would refuse, or what could not work, is refused here. */}}
{{- define "presagio.commands.check" -}}
{{- $rbac := .Values.webhook.rbac -}}
{{- range (include "presagio.commands" . | fromYaml).commands -}}
{{- if and (not .action) (contains "$(" .command) -}}
{{- fail (printf "webhook.actionPolicies: %s: expected a command without $(…) other than that of kubectl scale --replicas; write a script and name it, got %q" .name .command) -}}
{{- end -}}
{{- $namespace := default $.Release.Namespace .namespace -}}
{{- if and .action $rbac.create (not (contains "${" $namespace)) (not (has $namespace $rbac.namespaces)) -}}
{{- fail (printf "webhook.rbac.namespaces: expected %q among them, in which the command of %s acts (-n NAMESPACE in it names another), got [%s]" $namespace .name (join ", " $rbac.namespaces)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Of commands whose rights nobody but their author knows: what to add. */}}
{{- define "presagio.commands.notes" -}}
{{- $extra := .Values.webhook.rbac.extraActions -}}
{{- $account := include "presagio.serviceAccount" (dict "root" . "component" "webhook") -}}
{{- range (include "presagio.commands" . | fromYaml).commands }}
{{- if and .kubectl (not (has .kubectl $extra)) }}
WARNING: {{ .name }} of webhook.actionPolicies runs kubectl, for which the chart gives no rights:
     {{ .command }}
{{- if eq .kubectl "none" }}
No action of ours does this: bind a Role of your own to the service account {{ $account }}.
{{- else }}
Write it as a policy in webhook.config.policies, with the action {{ .kubectl }}, which has its rights by itself and needs no kubectl in the image.
Or add the rights of that action: --set webhook.rbac.extraActions={{ printf "{%s}" (append $extra .kubectl | join ",") }}
{{- end }}
{{ end }}
{{- end }}
{{- with (.Values.webhook.config.action_policies | default dict).file }}
{{- if not $.Values.webhook.actionPolicies }}
WARNING: the chart cannot read {{ . }} of webhook.config.action_policies. Put its content into webhook.actionPolicies, or name the actions
that `presagio remediation roles` finds in it in webhook.rbac.extraActions.
{{ end }}
{{- end }}
{{- end -}}
