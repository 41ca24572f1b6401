"""Checks that --no-default-features depends on serde, serde_json, sha2, thiserror and what they need."""

import subprocess
import sys

ALLOWED = {
    "block-buffer", "cfg-if", "cpufeatures", "crypto-common", "digest", "generic-array", "itoa",
    "memchr", "proc-macro2", "quote", "ryu", "serde", "serde_core", "serde_derive", "serde_json",
    "sha2", "syn", "thiserror", "thiserror-impl", "typenum", "unicode-ident", "xcp-pool", "zmij",
}

tree = subprocess.run(
    ["cargo", "tree", "--no-default-features", "--edges", "normal", "--prefix", "none",
     "--format", "{p}"],
    check=True, capture_output=True, text=True,
).stdout
found = {line.split()[0] for line in tree.splitlines() if line.strip()}
if "serde_json" not in found:
    sys.exit("the dependency tree could not be read")
extra = sorted(found - ALLOWED)
if extra:
    sys.exit(f"--no-default-features pulls in {', '.join(extra)}")
print(f"{len(found) - 1} crates, as allowed")
