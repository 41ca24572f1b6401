// Ignite joins the pool of Phantom, on the simulator: preflight, plan, join, and what came of it.
package main

import (
	"context"
	"fmt"
	"log"

	"xcp-ng.example/xcppool"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	ctx := context.Background()
	world := must(xcppool.Story(1))
	defer world.Close()
	way := must(world.Transport())
	defer way.Close()
	pool := must(xcppool.Connect(ctx, way, "phantom", "root", "xcp-test", xcppool.ConnectOptions{}))
	defer pool.Close()
	host := must(xcppool.Connect(ctx, way, "ignite", "root", "xcp-test", xcppool.ConnectOptions{}))
	defer host.Close()
	fmt.Println("the pool has", srs(ctx, pool), "SRs")

	report := must(pool.Preflight(ctx, host, nil))
	fmt.Println(must(report.Text()))
	plan := must(report.Plan(nil))
	fmt.Println(must(plan.Text()))

	consent := must(plan.LossesDigest()) // a person has seen the losses
	must(pool.Join(ctx, host, plan, consent, func(at xcppool.Progress) {
		fmt.Println("  step", at.Step, "of", at.Of, at.Summary)
	}))
	fmt.Println("the pool has", srs(ctx, pool), "SRs")
	led := must(xcppool.Connect(ctx, way, "ignite", "root", "xcp-test", xcppool.ConnectOptions{}))
	defer led.Close()
	fmt.Println("a client pointed at ignite is led to", must(led.Endpoint()))
}

func srs(ctx context.Context, pool *xcppool.Client) int {
	snapshot := must(pool.Snapshot(ctx, "overview"))
	defer snapshot.Close()
	return must(snapshot.Count("SR"))
}
