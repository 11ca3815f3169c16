// Reads a Compose file the way Docker Compose does, with the library that Docker Compose is made of: its schema, its
// interpolation, its references between services, networks, volumes and secrets. Prints the result as JSON, with every
// profile on.
//
//	go run . FILE ENV_FILE
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: compose FILE ENV_FILE")
		os.Exit(64)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func run(file, env string) error {
	// Nothing of the environment of whoever runs this: only the file beside it, as a first-time user has it.
	options, err := cli.NewProjectOptions([]string{file},
		cli.WithEnvFiles(env),
		cli.WithDotEnv,
		cli.WithConsistency(true),
		cli.WithInterpolation(true),
		cli.WithNormalization(true),
		cli.WithResolvedPaths(true),
		cli.WithDefaultProfiles("*"),
	)
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(project)
}
