{{- /* Name of the operator's objects. */}}
{{- define "arrayjob.fullname" -}}
{{- $release := .Release.Name -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if hasSuffix "operator" $release -}}
{{- $release -}}
{{- else if contains "arrayjob" $release -}}
{{- printf "%s-operator" $release | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-arrayjob-operator" $release | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- /* Selector of the Deployment. A Deployment's selector is immutable. */}}
{{- define "arrayjob.selectorLabels" -}}
app.kubernetes.io/name: arrayjob
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "arrayjob.ownLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "arrayjob.selectorLabels" . }}
app.kubernetes.io/part-of: arrayjob
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* Labels of an object, in order of precedence: this chart, the dict "labels", commonLabels. Called with (dict "root" $ "labels" …). */}}
{{- define "arrayjob.labels" -}}
{{- $own := include "arrayjob.ownLabels" .root | fromYaml -}}
{{- toYaml (merge $own (.labels | default dict | deepCopy) (.root.Values.commonLabels | deepCopy)) -}}
{{- end }}

{{- /* Labels of pods, without the version of the chart: a new chart with the same image does not restart pods. */}}
{{- define "arrayjob.podLabels" -}}
{{- omit (include "arrayjob.labels" (dict "root" . "labels" .Values.podLabels) | fromYaml) "helm.sh/chart" | toYaml -}}
{{- end }}

{{- define "arrayjob.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "arrayjob.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{- define "arrayjob.image" -}}
{{- $image := .Values.image -}}
{{- printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion) -}}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- end }}

{{- /* Image of the chunk servers. The digest of the operator's image is not valid for another repository or tag. */}}
{{- define "arrayjob.serverImage" -}}
{{- $image := .Values.servers.image -}}
{{- if or $image.repository $image.tag $image.digest -}}
{{- $tag := $image.tag | default .Values.image.tag | default .Chart.AppVersion -}}
{{- printf "%s:%s" ($image.repository | default .Values.image.repository) $tag -}}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- else -}}
{{- include "arrayjob.image" . -}}
{{- end -}}
{{- end }}

{{- /* The only watched namespace; empty for all namespaces. */}}
{{- define "arrayjob.watchNamespace" -}}
{{- if eq .Values.rbac.scope "namespace" -}}
{{- .Values.watchNamespace | default .Release.Namespace -}}
{{- else if .Values.watchNamespace -}}
{{- fail "watchNamespace requires rbac.scope=namespace: with scope cluster, the operator watches all namespaces" -}}
{{- end -}}
{{- end }}

{{- /* Labels of the chunk servers of all ArrayJobs. */}}
{{- define "arrayjob.chunkServerLabels" -}}
app.kubernetes.io/name: arrayjob
app.kubernetes.io/component: chunk-server
{{- end }}
