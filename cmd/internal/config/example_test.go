package config_test

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/ringrift/rift/cmd/internal/config"
)

// A flag goes before a variable of the environment. Every fault is named at once.
func Example() {
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.ServeFlags(flags)
	if err := flags.Parse([]string{"--listen", "127.0.0.1:9000"}); err != nil {
		fmt.Println(err)
		return
	}
	environment := map[string]string{"RIFT_LISTEN": "127.0.0.1:1", "RIFT_LIMITS_BODY_BYTES": "2MiB"}
	settings, err := config.LoadServe(flags, func(name string) string { return environment[name] })
	fmt.Println(settings.Listen, settings.Limits.BodyBytes, err)

	environment["RIFT_LIMITS_BODY_BYTES"], environment["RIFT_LOG_LEVEL"] = "much", "loud"
	_, err = config.LoadServe(flags, func(name string) string { return environment[name] })
	fmt.Println(err)
	// Output:
	// 127.0.0.1:9000 2MiB <nil>
	// settings: limits.body_bytes: want a size such as 512 or 1MiB, found "much" (RIFT_LIMITS_BODY_BYTES); log_level: want debug, info, warn or error, found "loud" (RIFT_LOG_LEVEL)
}
