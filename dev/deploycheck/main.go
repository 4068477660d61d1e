// Reads what deploy/ and docker-compose.yml say with the parsers of those who will read it, as strictly as they can.
//
//	deploycheck compose FILE           Compose's own loader; the project as JSON on standard output
//	deploycheck kubernetes DIR [CRD...]  kustomize's build; every object decoded into its type, unknown fields are mistakes
//
// Ends with 1 if there are mistakes. CRD files describe kinds whose types are not built in here.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 3 {
		fail(fmt.Errorf("usage: deploycheck compose FILE | kubernetes DIR [CRD...]"))
	}
	var err error
	switch os.Args[1] {
	case "compose":
		err = compose(os.Args[2])
	case "kubernetes":
		err = kubernetes(os.Args[2], os.Args[3:])
	default:
		err = fmt.Errorf("there is no subcommand %q", os.Args[1])
	}
	fail(err)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
