module xcp-ng.example/bench

go 1.19

require xcp-ng.example/xcppool v0.0.0

replace xcp-ng.example/xcppool => ../../../examples/go/xcppool
