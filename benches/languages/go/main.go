// What calls of the library cost in Go: prints a name and nanoseconds a line. usage: bench [seconds for each]
package main

import (
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"xcp-ng.example/xcppool"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func measure(name string, seconds float64, call func()) {
	start, best, batch := time.Now(), 1e9, 1
	for {
		began := time.Now()
		for n := 0; n < batch; n++ {
			call()
		}
		took := time.Since(began).Seconds()
		if each := took / float64(batch); each < best {
			best = each
		}
		if took < seconds/20 {
			batch *= 2
		}
		if time.Since(start).Seconds() >= seconds {
			break
		}
	}
	fmt.Printf("%s\t%.1f\n", name, best*1e9)
}

func main() {
	seconds := 1.0
	if len(os.Args) > 1 {
		seconds = must(strconv.ParseFloat(os.Args[1], 64))
	}
	type object = map[string]any
	var hosts []object
	for n := 1; n <= 64; n++ {
		hosts = append(hosts, object{"name": fmt.Sprintf("host%d", n), "address": fmt.Sprintf("10.0.1.%d", n)})
	}
	world := must(xcppool.NewSimulator(object{"pools": []any{
		object{"name": "large", "hosts": hosts},
		object{
			"hosts":      []object{{"name": "ignite", "address": "10.0.2.1"}},
			"shared_srs": []object{{"name": "nfs", "type": "nfs"}},
			"vlans":      []object{{"name": "lab", "nic": 0, "tag": 7}},
			"vms":        []object{{"name": "a"}, {"name": "b", "power": "running", "host": "ignite"}},
		},
	}}))
	pool := must(xcppool.LoadSnapshot(must(world.Database("host1")), false))
	host := must(xcppool.LoadSnapshot(must(world.Database("ignite")), false))
	report := must(xcppool.NewReport(pool, host, nil))
	decode := func(report *xcppool.Report) {
		var told object
		if err := report.Decode(&told); err != nil {
			log.Fatal(err)
		}
	}
	measure("a number of an object", seconds, func() { report.Findings() })
	measure("an error with its message", seconds, func() {
		if _, err := xcppool.LoadSnapshot("[", false); err == nil || err.Error() == "" {
			log.Fatal("no error")
		}
	})
	measure("the report of 64 hosts as JSON", seconds, func() { decode(report) })
	measure("its preflight, as JSON", seconds, func() {
		report := must(xcppool.NewReport(pool, host, nil))
		decode(report)
		report.Close()
	})
}
