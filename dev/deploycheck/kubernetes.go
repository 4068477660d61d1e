package main

import (
	"fmt"
	"os"
	"strings"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// Kinds whose Go types say which fields there are.
var typed = map[string]func() any{
	"v1/ConfigMap":                            func() any { return &core.ConfigMap{} },
	"v1/Service":                              func() any { return &core.Service{} },
	"apps/v1/Deployment":                      func() any { return &apps.Deployment{} },
	"policy/v1/PodDisruptionBudget":           func() any { return &policy.PodDisruptionBudget{} },
	"monitoring.coreos.com/v1/ServiceMonitor": func() any { return &monitoring.ServiceMonitor{} },
}

func kubernetes(dir string, crds []string) error {
	schemas, err := schemasOf(crds)
	if err != nil {
		return err
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return err
	}
	checked, skipped := 0, map[string]bool{}
	var mistakes []string
	for _, resource := range built.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			return err
		}
		kind := resource.GetApiVersion() + "/" + resource.GetKind()
		found, known := strictly(kind, text, schemas)
		if !known {
			skipped[kind] = true
			continue
		}
		checked++
		for _, mistake := range found {
			mistakes = append(mistakes, fmt.Sprintf("%s %s: %s", kind, resource.GetName(), mistake))
		}
	}
	if len(mistakes) > 0 {
		return fmt.Errorf("%s", strings.Join(mistakes, "\n"))
	}
	if checked == 0 {
		return fmt.Errorf("%s: nothing of it could be checked", dir)
	}
	fmt.Printf("%s: %d objects are as their types say\n", dir, checked)
	for kind := range skipped {
		fmt.Printf("%s: nothing here knows %s\n", dir, kind)
	}
	return nil
}

// The mistakes of one object, and whether its kind is known at all.
func strictly(kind string, text []byte, schemas map[string]schema) ([]string, bool) {
	if make, ok := typed[kind]; ok {
		object := make()
		if found := decode(text, object); len(found) > 0 {
			return found, true
		}
		if deployment, ok := object.(*apps.Deployment); ok {
			return restricted(deployment), true
		}
		return nil, true
	}
	known, ok := schemas[kind]
	if !ok {
		return nil, false
	}
	var value map[string]any
	if err := yaml.Unmarshal(text, &value); err != nil {
		return []string{err.Error()}, true
	}
	// every object has these; a CRD describes metadata as an object only
	delete(value, "metadata")
	return known.mistakes("", value), true
}

// As strictly as an API server asked to validate: case counts, which Go's own decoder does not see.
func decode(text []byte, object any) (mistakes []string) {
	plain, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return []string{err.Error()}
	}
	found, err := json.UnmarshalStrict(plain, object)
	if err != nil {
		found = append(found, err)
	}
	for _, mistake := range found {
		mistakes = append(mistakes, mistake.Error())
	}
	return mistakes
}

// What the Pod Security Standard "restricted" asks, and what this repository asks of whatever runs for long.
func restricted(deployment *apps.Deployment) (mistakes []string) {
	want := func(holds bool, sentence string) {
		if !holds {
			mistakes = append(mistakes, sentence)
		}
	}
	pod := deployment.Spec.Template.Spec
	yes := func(flag *bool) bool { return flag != nil && *flag }
	no := func(flag *bool) bool { return flag != nil && !*flag }
	want(pod.SecurityContext != nil && yes(pod.SecurityContext.RunAsNonRoot), "pods may run as root")
	want(pod.SecurityContext != nil && pod.SecurityContext.SeccompProfile != nil &&
		pod.SecurityContext.SeccompProfile.Type == core.SeccompProfileTypeRuntimeDefault, "no seccomp profile")
	want(no(pod.AutomountServiceAccountToken), "pods get a token they do not need")
	want(pod.TerminationGracePeriodSeconds != nil && *pod.TerminationGracePeriodSeconds > 60, "killed before --grace is over")
	want(len(pod.TopologySpreadConstraints) > 0, "pods are not spread")
	selector := deployment.Spec.Selector
	want(selector != nil && len(selector.MatchLabels) > 0, "it selects nothing")
	for _, container := range pod.Containers {
		context := container.SecurityContext
		want(context != nil && no(context.AllowPrivilegeEscalation) && yes(context.ReadOnlyRootFilesystem) &&
			context.Capabilities != nil && len(context.Capabilities.Drop) == 1 && context.Capabilities.Drop[0] == "ALL",
			container.Name+" may more than it needs")
		want(container.LivenessProbe != nil && container.ReadinessProbe != nil, container.Name+" has no probes")
		want(!container.Resources.Limits.Memory().IsZero() && !container.Resources.Requests.Cpu().IsZero(),
			container.Name+" has no resources")
		want(!strings.HasSuffix(container.Image, ":latest") && strings.Contains(container.Image, ":"),
			container.Name+" has no exact image")
	}
	return mistakes
}

func schemasOf(files []string) (map[string]schema, error) {
	schemas := map[string]schema{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var crd struct {
			Spec struct {
				Group    string
				Names    struct{ Kind string }
				Versions []struct {
					Name   string
					Schema struct {
						OpenAPIV3Schema schema `json:"openAPIV3Schema"`
					}
				}
			}
		}
		if err := yaml.Unmarshal(text, &crd); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, version := range crd.Spec.Versions {
			schemas[crd.Spec.Group+"/"+version.Name+"/"+crd.Spec.Names.Kind] = version.Schema.OpenAPIV3Schema
		}
	}
	return schemas, nil
}
