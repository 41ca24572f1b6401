module xcp-ng.example/xcppool

go 1.19
