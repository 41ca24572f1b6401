package xcppool_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"xcp-ng.example/xcppool"
)

// connected is the pool of Phantom, or Ignite who should join it, on the simulator.
func connected(ctx context.Context, host string) (client *xcppool.Client, end func()) {
	world, err := xcppool.Story(1)
	if err != nil {
		log.Fatal(err)
	}
	way, err := world.Transport()
	if err != nil {
		log.Fatal(err)
	}
	client, err = xcppool.Connect(ctx, way, host, "root", "xcp-test", xcppool.ConnectOptions{})
	if err != nil {
		log.Fatal(err)
	}
	return client, func() { client.Close(); way.Close(); world.Close() }
}

// What stands against a join, at once, with the way out.
func ExampleNewReport() {
	ctx := context.Background()
	pool, end := connected(ctx, "phantom")
	defer end()
	host, end := connected(ctx, "ignite")
	defer end()
	before, err := pool.Snapshot(ctx, "preflight")
	if err != nil {
		log.Fatal(err)
	}
	joiner, err := host.Snapshot(ctx, "preflight")
	if err != nil {
		log.Fatal(err)
	}
	report, err := xcppool.NewReport(before, joiner, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer report.Close()
	var told struct {
		Findings []struct{ Rule, Severity, Message string }
	}
	if err := report.Decode(&told); err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Verdict())
	for _, finding := range told.Findings {
		if finding.Severity == "blocker" {
			fmt.Println(finding.Rule)
		}
	}
	// Output:
	// blocked
	// running-vms
	// shared-storage
	// non-management-vlans
}

// Follows a pool; another client renames its host.
func ExampleClient_Watch() {
	ctx := context.Background()
	pool, end := connected(ctx, "phantom")
	defer end()
	watch, err := pool.Watch(ctx, "overview")
	if err != nil {
		log.Fatal(err)
	}
	defer watch.Close()
	var hosts []string
	if err := pool.Call(ctx, &hosts, "host.get_all"); err != nil {
		log.Fatal(err)
	}
	if err := pool.Call(ctx, nil, "host.set_name_label", hosts[0], "Poltergeist"); err != nil {
		log.Fatal(err)
	}
	for {
		change, err := watch.Next(ctx)
		if err != nil {
			log.Fatal(err)
		}
		if change.Class == "host" {
			fmt.Println(change.Class, change.Operation)
			return
		}
	}
	// Output:
	// host modified
}

// What a server raises is told letter for letter.
func ExampleError() {
	ctx := context.Background()
	pool, end := connected(ctx, "phantom")
	defer end()
	err := pool.Call(ctx, nil, "host.get_record", "OpaqueRef:nobody")
	var failed *xcppool.Error
	if errors.As(err, &failed) {
		fmt.Println(failed.Status, failed.Code, failed.Params)
	}
	// Output:
	// XCP_E_FAULT HANDLE_INVALID [host OpaqueRef:nobody]
}
