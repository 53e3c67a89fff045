// Command peer measures the official Go driver: peer <port> <name> <count> prints units per second.
package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/neo4j/neo4j-go-driver/v6/neo4j"
	"github.com/neo4j/neo4j-go-driver/v6/neo4j/config"
)

const (
	unwindStatement = "UNWIND $rows AS row CREATE (n:Person) SET n = row"
	notApplicable   = 3
)

// work does so many units.
type work func(ctx context.Context, count int) error

func people(count int) []any {
	rows := make([]any, count)
	for i := range rows {
		rows[i] = map[string]any{
			"id":     i,
			"name":   fmt.Sprintf("person-%06d", i),
			"age":    i % 90,
			"score":  rand.Float64(),
			"active": i%2 == 0,
			"city":   "Oslo",
			"email":  fmt.Sprintf("p%d@example.org", i),
			"since":  1_500_000_000 + i,
			"rank":   i % 7,
			"note":   strings.Repeat("x", 20),
			"ok":     true,
		}
	}
	return rows
}

func check(seen, count int) error {
	if seen != count {
		return fmt.Errorf("%d came out where %d went in", seen, count)
	}
	return nil
}

func fetch(session neo4j.Session, shape string) work {
	return func(ctx context.Context, count int) error {
		result, err := session.Run(ctx, fmt.Sprintf("FETCH %s %d", shape, count), nil)
		if err != nil {
			return err
		}
		records, err := result.Collect(ctx)
		if err != nil {
			return err
		}
		if err := check(len(records), count); err != nil {
			return err
		}
		if records[count-1].Values[0] == nil {
			return errors.New("no value")
		}
		return nil
	}
}

func batches(session neo4j.Session, shape string) work {
	return func(ctx context.Context, count int) error {
		result, err := session.Run(ctx, fmt.Sprintf("FETCH %s %d", shape, count), nil)
		if err != nil {
			return err
		}
		seen := 0
		for result.Next(ctx) {
			if result.Record().Values[0] != nil {
				seen++
			}
		}
		if err := result.Err(); err != nil {
			return err
		}
		return check(seen, count)
	}
}

func unwind(session neo4j.Session) work {
	parameters := map[string]any{"rows": people(1000)}
	return func(ctx context.Context, count int) error {
		for done := 0; done < count; done += 1000 {
			result, err := session.Run(ctx, unwindStatement, parameters)
			if err != nil {
				return err
			}
			if _, err := result.Consume(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

func tiny(session neo4j.Session) work {
	one := fetch(session, "int")
	return func(ctx context.Context, count int) error {
		for range count {
			if err := one(ctx, 1); err != nil {
				return err
			}
		}
		return nil
	}
}

func choose(session neo4j.Session, name string) work {
	kind, shape, _ := strings.Cut(name, " ")
	switch {
	case kind == "fetch":
		return fetch(session, shape)
	case kind == "batches":
		return batches(session, shape)
	case name == "unwind":
		return unwind(session)
	case name == "tiny one by one":
		return tiny(session)
	}
	return nil
}

func environment(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

func measure(port, name string, count int) (float64, error) {
	ctx := context.Background()
	fetchSize, err := strconv.Atoi(environment("FETCH_SIZE", strconv.Itoa(neo4j.FetchAll)))
	if err != nil {
		return 0, err
	}
	auth := neo4j.BasicAuth(environment("BOLT_USER", "neo4j"), environment("BOLT_PASSWORD", "password"), "")
	driver, err := neo4j.NewDriver("bolt://127.0.0.1:"+port, auth, func(settings *config.Config) {
		// One PULL for everything, and a larger buffer than the 8 KiB that are its default.
		settings.FetchSize = fetchSize
		settings.ReadBufferSize = 1 << 16
	})
	if err != nil {
		return 0, err
	}
	defer driver.Close(ctx)
	session := driver.NewSession(ctx, neo4j.SessionConfig{FetchSize: fetchSize})
	defer session.Close(ctx)
	run := choose(session, name)
	if run == nil {
		os.Exit(notApplicable)
	}
	if err := run(ctx, min(count, max(1000, count/5000*1000))); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := run(ctx, count); err != nil {
		return 0, err
	}
	return float64(count) / time.Since(start).Seconds(), nil
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "peer <port> <name> <count>")
		os.Exit(2)
	}
	count, err := strconv.Atoi(os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	rate, err := measure(os.Args[1], os.Args[2], count)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(rate)
}
