"""Checks in machine code that the core reaches no clock, socket, thread, file, environment, process or JSON.

Compiles the crate without default features, follows every reference from every function of the core's
rooms through all code that is compiled into the crate (generic functions of other crates among it), and
fails with the chain if one ends in an impure part of the standard library or in the JSON library.
A file of assembly can be given that was made before.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

CORE = ["actions", "election", "error", "failover", "health", "model", "plan", "preflight", "rules"]
SHELL = ["client", "log", "operations", "transport", "wire"]
IMPURE = ["env", "fs", "io", "net", "process", "thread", "time"]
# A hash map takes its seed from the system; the order of hash maps is never shown.
SEED = re.compile(r"4hash6random\w*11RandomState|hashmap_random_keys")


def path(*names):
    """A path as symbols of version 0 have it: each name after its length."""
    return "".join(f"{len(name)}{name}" for name in names)


def names(crate, parts):
    return re.compile("|".join(path(crate, part) + r"(?![a-z_])" for part in parts))


def assembly():
    """The crate without default features, as the compiler's text."""
    if len(sys.argv) > 1:
        return pathlib.Path(sys.argv[1]).read_text()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["cargo", "rustc", "--quiet", "--lib", "--no-default-features", "--crate-type", "rlib",
             "--target-dir", folder, "--", "--emit=asm", "-Ccodegen-units=1", "-Cdebuginfo=0",
             "-Csymbol-mangling-version=v0"],
            check=True,
        )
        [text] = pathlib.Path(folder).glob("debug/deps/xcp_pool-*.s")
        return text.read_text()


LABEL = re.compile(r"^(_R\w+|\.L(?:__unnamed|anon|vtable|alloc)[\w.]*|[A-Za-z_]\w*):")
NAMED = re.compile(r"_R\w+|\.L(?:__unnamed|anon|vtable|alloc)[\w.]*")
refers = {}
here = None
for line in assembly().splitlines():
    if label := LABEL.match(line):
        here = refers.setdefault(label[1], set())
    elif here is not None and not line.lstrip().startswith((".size", ".type", ".section", ".globl", ".cfi")):
        here.update(NAMED.findall(line))

core = names("xcp_pool", CORE)
# A symbol that has named the crate before refers back to it.
shell = re.compile(r"(?:" + path("xcp_pool") + r"|B[0-9A-Za-z]*_)(?:" + "|".join(map(path, SHELL)) + r")(?![a-z_])")
impure = re.compile(names("std", IMPURE).pattern + "|" + path("serde_json"))
# A type of the core in a generic function of the JSON library says only that the shell calls that.
roots = [name for name in refers if core.search(name) and not (shell.search(name) or impure.search(name))]
if len(roots) < 1000:
    sys.exit(f"only {len(roots)} functions of the core were found: the assembler's text was misread")
came = dict.fromkeys(roots)
queue = list(roots)
wrong = []
while queue:
    name = queue.pop()
    for target in refers.get(name, ()):
        if target in came or shell.search(target) or SEED.search(target):
            continue
        came[target] = name
        if impure.search(target):
            wrong.append(target)
        elif target in refers:
            queue.append(target)
for target in sorted(wrong)[:20]:
    chain = [target]
    while came[chain[-1]] is not None:
        chain.append(came[chain[-1]])
    print(" <- ".join(chain), file=sys.stderr)
if wrong:
    sys.exit(f"the core reaches {len(wrong)} impure functions of the standard library")
print(f"{len(roots)} functions of the core reach nothing impure")
