// Reads dashboards as strictly as Grafana's own schema allows: unknown fields, missing ones and values of the wrong kind are
// mistakes, in the dashboard as in the options of every panel type it uses. `go run . FILE...`; ends with 1 if there are mistakes.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// Panel types whose options the schema does not know are read without a check; these it knows.
var known = map[string]bool{"bargauge": true, "heatmap": true, "row": true, "stat": true, "timeseries": true}

func check(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var board dashboard.Dashboard
	if err := board.UnmarshalJSONStrict(text); mistaken(err) {
		return err
	}
	if err := board.Validate(); mistaken(err) {
		return err
	}
	var plain struct{ Panels []struct{ Type string } }
	if err := json.Unmarshal(text, &plain); err != nil {
		return err
	}
	if len(plain.Panels) == 0 || len(board.Panels) != len(plain.Panels) {
		return fmt.Errorf("%d panels were read of %d", len(board.Panels), len(plain.Panels))
	}
	for _, panel := range plain.Panels {
		if !known[panel.Type] {
			return fmt.Errorf("the options of panel type %q are not checked here", panel.Type)
		}
	}
	return nil
}

// An empty list of mistakes comes as an error, too.
func mistaken(err error) bool {
	return err != nil && err.Error() != ""
}

func main() {
	plugins.RegisterDefaultPlugins()
	bad := len(os.Args) < 2
	for _, file := range os.Args[1:] {
		if err := check(file); err != nil {
			fmt.Printf("%s: %v\n", file, err)
			bad = true
		}
	}
	if bad {
		os.Exit(1)
	}
}
