package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// An image of others has an exact version: three numbers, maybe more words behind them.
var exact = regexp.MustCompile(`:v?\d+\.\d+\.\d+(-[a-z0-9.-]+)?$`)

// What a name would hold if it had a secret in it.
var secret = regexp.MustCompile(`(?i)(password|secret|token)$`)

func compose(file string) error {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithOsEnv, cli.WithProfiles([]string{"*"}))
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	var mistakes []string
	for name, service := range project.Services {
		for _, mistake := range about(service) {
			mistakes = append(mistakes, name+": "+mistake)
		}
	}
	if len(mistakes) > 0 {
		return fmt.Errorf("%s", strings.Join(mistakes, "\n"))
	}
	return json.NewEncoder(os.Stdout).Encode(project)
}

// What this repository wants of its services besides what Compose wants.
func about(service types.ServiceConfig) (mistakes []string) {
	say := func(format string, values ...any) { mistakes = append(mistakes, fmt.Sprintf(format, values...)) }
	if !exact.MatchString(service.Image) {
		say("the image %q has no exact version", service.Image)
	}
	oneShot := len(service.Profiles) > 0 && service.Restart == ""
	if service.HealthCheck == nil && !oneShot {
		say("nothing says whether it is healthy")
	}
	for variable, value := range service.Environment {
		if secret.MatchString(variable) {
			say("%s is a secret in the environment", variable)
		}
		if value != nil && regexp.MustCompile(`://[^/@]*:[^/@]*@`).MatchString(*value) {
			say("%s has a password in it", variable)
		}
	}
	for _, port := range service.Ports {
		if port.HostIP != "127.0.0.1" {
			say("port %s is open to other machines", port.Published)
		}
	}
	for dependency, how := range service.DependsOn {
		if how.Condition != types.ServiceConditionHealthy {
			say("it does not wait until %s is healthy", dependency)
		}
	}
	return mistakes
}
