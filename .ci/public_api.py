"""Holds the public API to tests/data/public-api.txt, so that a review sees it change.

    python3 .ci/public_api.py            # fails where the text is not what the code says
    BLESS=1 python3 .ci/public_api.py    # writes the text anew

Read from rustdoc's JSON, with all features but `ffi`, whose API is include/xcp_pool.h. At the end of
the text stands what no stranger should meet and is still to be mended: two types of one name, one
item at two paths, a type in a signature that has no path, an `as_` function that allocates. So a new
one fails, and so does one that is mended and still listed.
"""

import collections
import difflib
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXT = ROOT / "tests/data/public-api.txt"
FEATURES = "http,log,proptest,simulator"
# The versions of rustdoc's JSON that this was tried with.
FORMATS = {57: "Rust 1.95 to 1.97"}
# Item kinds that have a name at the level of a module.
TYPES = ("struct", "enum", "union", "trait", "trait_alias", "type_alias")
VALUES = ("function", "constant", "static", "macro", "proc_macro")
# Implemented without anybody asking for it.
SILENT = {"StructuralPartialEq"}


def load():
    """rustdoc's description of the crate, or an exit with a sentence that says what is missing."""
    command = ["cargo", "rustdoc", "--quiet", "--lib", "--no-default-features", "--features", FEATURES,
               "--", "-Z", "unstable-options", "--output-format", "json"]
    env = os.environ | {"RUSTDOC": str(ROOT / ".ci/rustdoc"), "RUSTDOCFLAGS": "--cap-lints allow"}
    if subprocess.run(command, cwd=ROOT, env=env).returncode:
        sys.exit("public API: rustdoc wrote no JSON (its message is above)")
    metadata = subprocess.run(["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=ROOT,
                              check=True, capture_output=True, text=True).stdout
    path = pathlib.Path(json.loads(metadata)["target_directory"]) / "doc/xcp_pool.json"
    crate = json.loads(path.read_text())
    version = crate.get("format_version")
    if version not in FORMATS:
        known = ", ".join(f"{number} ({name})" for number, name in FORMATS.items())
        rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.strip()
        sys.exit(f"public API: {rustc} writes rustdoc JSON of format {version}, and this script reads {known}. "
                 "Run it with such a toolchain, or look at what changed and add the format to FORMATS.")
    return crate


class Api:
    def __init__(self, crate):
        self.index = crate["index"]
        self.paths = crate["paths"]
        self.root = crate["root"]
        self.modules = {}  # visible path of a module -> [(name, item)]
        self.seen = collections.defaultdict(list)  # id of an item -> its visible paths
        self.nameless = set()
        self.here = ""  # the module that is being written
        self.walk(self.root, "")

    def item(self, number):
        return self.index.get(str(number))

    # What a module has, re-exports included.
    def walk(self, number, path):
        names = self.modules.setdefault(path, [])
        for name, item in self.members(number):
            kind = kind_of(item)
            full = f"{path}::{name}" if path else name
            if kind == "module":
                # The header is the API of `ffi`.
                if full != "ffi":
                    self.walk(item["id"], full)
            else:
                names.append((name, item))
                self.seen[item["id"]].append(full)

    def members(self, number):
        for child in self.item(number)["inner"]["module"]["items"]:
            item = self.item(child)
            if item is None or item["visibility"] != "public":
                continue
            if kind_of(item) != "use":
                yield item["name"], item
                continue
            use = item["inner"]["use"]
            target = self.item(use["id"]) if use["id"] is not None else None
            if target is None:
                sys.exit(f"public API: `pub use {use['source']}` leads out of the crate")
            if not use["is_glob"]:
                yield use["name"], target
            elif kind_of(target) == "enum":
                for variant in target["inner"]["enum"]["variants"]:
                    yield self.item(variant)["name"], self.item(variant)
            else:
                yield from self.members(use["id"])

    # Types, as they are written.
    def type(self, it):
        if it is None:
            return "()"
        if isinstance(it, str):
            return "_" if it == "infer" else unknown("type", it)
        (kind, it), = it.items()
        match kind:
            case "resolved_path":
                return self.path(it)
            case "primitive" | "generic":
                return "!" if it == "never" else it
            case "borrowed_ref":
                lifetime = f"{it['lifetime']} " if it["lifetime"] else ""
                return f"&{lifetime}{'mut ' if it['is_mutable'] else ''}{self.type(it['type'])}"
            case "raw_pointer":
                return f"*{'mut' if it['is_mutable'] else 'const'} {self.type(it['type'])}"
            case "tuple":
                return f"({', '.join(map(self.type, it))}{',' if len(it) == 1 else ''})"
            case "slice":
                return f"[{self.type(it)}]"
            case "array":
                return f"[{self.type(it['type'])}; {it['len']}]"
            case "impl_trait":
                return f"impl {self.bounds(it)}"
            case "dyn_trait":
                traits = [self.path(part["trait"]) for part in it["traits"]]
                return "dyn " + " + ".join(traits + [it["lifetime"]] * bool(it["lifetime"]))
            case "function_pointer":
                inputs = ", ".join(self.type(kind) for _, kind in it["sig"]["inputs"])
                return f"fn({inputs}){self.returns(it['sig'])}"
            case "qualified_path":
                trait = it["trait"]
                if trait is None or it["self_type"] == {"generic": "Self"}:
                    return f"{self.type(it['self_type'])}::{it['name']}"
                return f"<{self.type(it['self_type'])} as {self.path(trait)}>::{it['name']}"
        unknown("type", kind)

    def path(self, it):
        return self.name(it["id"], it["path"]) + self.arguments(it["args"])

    def name(self, number, written):
        """The name of a type, as short as it can be said from where it is used."""
        if number in self.seen:
            module, _, name = self.seen[number][0].rpartition("::")
            return name if module in (self.here, "") else f"{module}::{name}"
        summary = self.paths.get(str(number))
        if summary is None:
            return written
        if summary["crate_id"] == 0:
            self.nameless.add("::".join(summary["path"]))
        path = summary["path"]
        # Others' errors and results are told by where they come from: `io::Error`, `fmt::Result`.
        return "::".join(path[-2:] if path[-1] in ("Error", "Result") else path[-1:])

    def arguments(self, it):
        if not it:
            return ""
        if isinstance(it, str):
            return unknown("arguments", it)
        (kind, it), = it.items()
        if kind == "parenthesized":
            output = f" -> {self.type(it['output'])}" if it["output"] else ""
            return f"({', '.join(map(self.type, it['inputs']))}){output}"
        if kind != "angle_bracketed":
            unknown("arguments", kind)
        parts = []
        for argument in it["args"]:
            if argument == "infer":
                parts.append("_")
                continue
            (kind, value), = argument.items()
            match kind:
                case "lifetime": parts.append(value)
                case "type": parts.append(self.type(value))
                case "const": parts.append(value["expr"])
                case _: unknown("argument", kind)
        for constraint in it["constraints"]:
            (kind, value), = constraint["binding"].items()
            name = constraint["name"] + self.arguments(constraint["args"])
            if kind == "constraint":
                parts.append(f"{name}: {self.bounds(value)}")
            else:
                parts.append(f"{name} = {self.term(value)}")
        return f"<{', '.join(parts)}>" if parts else ""

    def term(self, it):
        (kind, it), = it.items()
        return self.type(it) if kind == "type" else it["expr"]

    def bounds(self, bounds):
        parts = []
        for bound in bounds:
            (kind, it), = bound.items()
            match kind:
                case "trait_bound":
                    sign = {"none": "", "maybe": "?", "maybe_const": "~const "}[it["modifier"]]
                    binder = self.binder(it["generic_params"])
                    parts.append(binder + sign + self.path(it["trait"]))
                case "outlives": parts.append(it)
                case "use": parts.append(f"use<{', '.join(next(iter(a.values())) for a in it)}>")
                case _: unknown("bound", kind)
        return " + ".join(parts)

    def binder(self, params):
        return f"for<{', '.join(param['name'] for param in params)}> " if params else ""

    def generics(self, generics):
        """The parameters in angle brackets, and the where clause."""
        params, where = [], []
        for param in generics["params"]:
            (kind, it), = param["kind"].items()
            match kind:
                case "lifetime":
                    params.append(param["name"] + (f": {' + '.join(it['outlives'])}" if it["outlives"] else ""))
                case "type":
                    if it["is_synthetic"]:
                        continue
                    bounds = f": {self.bounds(it['bounds'])}" if it["bounds"] else ""
                    default = f" = {self.type(it['default'])}" if it["default"] else ""
                    params.append(param["name"] + bounds + default)
                case "const":
                    params.append(f"const {param['name']}: {self.type(it['type'])}")
                case _: unknown("generic parameter", kind)
        for predicate in generics["where_predicates"]:
            (kind, it), = predicate.items()
            match kind:
                case "bound_predicate":
                    binder = self.binder(it["generic_params"])
                    where.append(f"{binder}{self.type(it['type'])}: {self.bounds(it['bounds'])}")
                case "lifetime_predicate":
                    where.append(f"{it['lifetime']}: {' + '.join(it['outlives'])}")
                case _: unknown("where predicate", kind)
        return f"<{', '.join(params)}>" if params else "", f" where {', '.join(where)}" if where else ""

    def returns(self, sig):
        return f" -> {self.type(sig['output'])}" if sig["output"] else ""

    def function(self, item):
        it = item["inner"]["function"]
        inputs = []
        for name, kind in it["sig"]["inputs"]:
            written = self.type(kind)
            short = {"Self": "self", "&Self": "&self", "&mut Self": "&mut self"}.get(written)
            inputs.append(short if name == "self" and short else f"{name}: {written}")
        header = "".join(f"{word} " for word in ("const", "async", "unsafe") if it["header"][f"is_{word}"])
        params, where = self.generics(it["generics"])
        return f"{header}fn {item['name']}{params}({', '.join(inputs)}){self.returns(it['sig'])}{where}"

    # Items, a line each.
    def lines(self, name, item):
        kind = kind_of(item)
        it = item["inner"][kind]
        closed = " #[non_exhaustive]" if "non_exhaustive" in item["attrs"] else ""
        match kind:
            case "struct":
                params, where = self.generics(it["generics"])
                yield f"struct {name}{params}{where}{self.tuple_of(it['kind'])}{closed}"
                yield from self.fields(it["kind"], "    ")
                yield from self.methods(item, it["impls"])
            case "enum":
                params, where = self.generics(it["generics"])
                yield f"enum {name}{params}{where}{closed}"
                for number in it["variants"]:
                    yield from self.variant(self.item(number))
                yield from self.methods(item, it["impls"])
            case "trait":
                params, where = self.generics(it["generics"])
                bounds = f": {self.bounds(it['bounds'])}" if it["bounds"] else ""
                yield f"{'unsafe ' if it['is_unsafe'] else ''}trait {name}{params}{bounds}{where}"
                for number in it["items"]:
                    member = self.item(number)
                    given = kind_of(member) == "function" and member["inner"]["function"]["has_body"]
                    yield f"    {self.associated(member)}{' { .. }' if given else ''}"
                others = [self.item(number) for number in it["implementations"]]
                others = sorted({self.type(impl["inner"]["impl"]["for"]) for impl in others if impl and told(impl)})
                if others:
                    yield f"    for {', '.join(others)}"
            case "function":
                yield self.function(item)
            case "constant":
                yield f"const {name}: {self.type(it['type'])} = {it['const']['value'] or it['const']['expr']}"
            case "static":
                yield f"static {name}: {self.type(it['type'])}"
            case "type_alias":
                params, where = self.generics(it["generics"])
                yield f"type {name}{params}{where} = {self.type(it['type'])}"
            case "macro":
                yield f"macro {name}!"
            case _:
                unknown("item", kind)

    def tuple_of(self, kind):
        if not isinstance(kind, dict) or "tuple" not in kind:
            return ""
        return f"({', '.join(self.shown(number) for number in kind['tuple'])})"

    def shown(self, number):
        field = self.item(number) if number is not None else None
        return f"pub {self.type(field['inner']['struct_field'])}" if field and field["visibility"] == "public" else "_"

    def fields(self, kind, indent):
        if not isinstance(kind, dict) or "plain" not in kind:
            return
        for number in kind["plain"]["fields"]:
            field = self.item(number)
            yield f"{indent}{field['name']}: {self.type(field['inner']['struct_field'])}"
        if kind["plain"]["has_stripped_fields"]:
            yield f"{indent}_"

    def variant(self, item):
        kind = item["inner"]["variant"]["kind"]
        closed = " #[non_exhaustive]" if "non_exhaustive" in item["attrs"] else ""
        if kind == "plain":
            yield f"    {item['name']}{closed}"
        elif "tuple" in kind:
            types = [self.type(self.item(number)["inner"]["struct_field"]) for number in kind["tuple"]]
            yield f"    {item['name']}({', '.join(types)}){closed}"
        elif "struct" in kind:
            fields = [self.item(number) for number in kind["struct"]["fields"]]
            fields = [f"{field['name']}: {self.type(field['inner']['struct_field'])}" for field in fields]
            yield f"    {item['name']} {{ {', '.join(fields)} }}{closed}"
        else:
            unknown("variant", kind)

    def associated(self, item):
        kind = kind_of(item)
        it = item["inner"][kind]
        match kind:
            case "function":
                return self.function(item)
            case "assoc_const":
                return f"const {item['name']}: {self.type(it['type'])}"
            case "assoc_type":
                bounds = f": {self.bounds(it['bounds'])}" if it["bounds"] else ""
                return f"type {item['name']}{bounds}" + (f" = {self.type(it['type'])}" if it["type"] else "")
        unknown("associated item", kind)

    def methods(self, owner, impls):
        own, traits = [], set()
        for number in impls:
            impl = self.item(number)
            if impl is None or not told(impl):
                continue
            it = impl["inner"]["impl"]
            if it["trait"] is not None:
                traits.add(self.implemented(it, owner["id"]))
                continue
            # Where a method is of some arguments only, such as `TaskEnd<()>`.
            arguments = it["for"]["resolved_path"]["args"]
            parts = arguments["angle_bracketed"]["args"] if arguments else []
            note = "" if all(map(is_parameter, parts)) else f"  // of {self.type(it['for'])}"
            for member in it["items"]:
                member = self.item(member)
                if member is not None and member["visibility"] == "public":
                    own.append(f"    {self.associated(member)}{note}")
        yield from own
        traits -= SILENT
        if traits:
            yield f"    impl {', '.join(sorted(traits))}"

    def implemented(self, it, owner=None):
        """A trait as it is implemented, with its associated types, and for whom if not the owner."""
        types = [(member["name"], self.type(member["inner"]["assoc_type"]["type"]))
                 for member in map(self.item, it["items"]) if kind_of(member) == "assoc_type"]
        trait = self.path(it["trait"])
        if types:
            bound = ", ".join(f"{name} = {kind}" for name, kind in types)
            trait = f"{trait[:-1]}, {bound}>" if trait.endswith(">") else f"{trait}<{bound}>"
        subject = it["for"]
        plain = "resolved_path" in subject and subject["resolved_path"]["id"] == owner
        return trait if plain else f"{trait} for {self.type(subject)}"

    def foreign(self):
        """Impls of others' traits for others' types."""
        found = set()
        for item in self.index.values():
            if item["crate_id"] or kind_of(item) != "impl" or not told(item):
                continue
            it = item["inner"]["impl"]
            if it["trait"] is None or self.local(it["trait"]["id"]):
                continue
            subject = it["for"]
            while isinstance(subject, dict) and "borrowed_ref" in subject:
                subject = subject["borrowed_ref"]["type"]
            if isinstance(subject, dict) and "resolved_path" in subject and self.local(subject["resolved_path"]["id"]):
                continue
            found.add(self.implemented(it))
        return sorted(found)

    def local(self, number):
        summary = self.paths.get(str(number))
        return summary is not None and summary["crate_id"] == 0


def kind_of(item):
    return next(iter(item["inner"]))


def told(impl):
    it = impl["inner"]["impl"]
    return not it["is_synthetic"] and it["blanket_impl"] is None


def is_parameter(argument):
    return "lifetime" in argument or "generic" in argument.get("type", {})


def unknown(what, value):
    sys.exit(f"public API: rustdoc's JSON has a {what} that this script does not know: {json.dumps(value)[:200]}")


def write(api):
    """The text, and what is wrong with the API."""
    rooms = collections.Counter()
    holders = collections.defaultdict(set)
    body, wrong = [], []
    for module, names in sorted(api.modules.items()):
        rooms[module.partition("::")[0]] += len(names)
        if not names:
            continue
        api.here = module
        body += ["", f"== {module or 'xcp_pool'}"]
        order = {kind: place for place, kind in enumerate(TYPES + VALUES)}
        for name, item in sorted(names, key=lambda pair: (kind_of(pair[1]) in VALUES, pair[0])):
            if kind_of(item) not in order:
                unknown("item", kind_of(item))
            if kind_of(item) in TYPES:
                holders[name].add((item["id"], module))
            if api.seen[item["id"]][0] != (f"{module}::{name}" if module else name):
                body += ["", f"use {api.seen[item['id']][0]} as {name}"]
                continue
            body += ["", *api.lines(name, item)]
    api.here = ""
    if foreign := api.foreign():
        body += ["", "== for types of others", "", *(f"impl {line}" for line in foreign)]

    twice = {name: where for name, where in sorted(holders.items()) if len({number for number, _ in where}) > 1}
    for name, where in twice.items():
        wrong.append(f"{name} is {len(where)} types: in {', '.join(sorted(module or 'the root' for _, module in where))}")
    for paths in api.seen.values():
        if len(paths) > 1:
            wrong.append(f"one item has {len(paths)} paths: {', '.join(paths)}")
    wrong += [f"{path} is in a signature and has no public path" for path in sorted(api.nameless)]
    for line in body:
        _, as_, call = line.partition("fn as_")
        result = call.partition(" -> ")[2]
        if as_ and any(made in result for made in ("String", "Cow", "Vec", "Box")):
            wrong.append(f"`as_` says that nothing is allocated: {line.strip()}")

    head = ["The public API of xcp_pool, but for `ffi`, whose API is include/xcp_pool.h.",
            "`BLESS=1 python3 .ci/public_api.py` writes this.", "", f"{'room':<12} names"]
    head += [f"{room or 'xcp_pool':<12} {count:>5}" for room, count in sorted(rooms.items()) if count]
    head += [f"{'together':<12} {sum(rooms.values()):>5}"]
    mend = ["", "== to be mended", "", *wrong] if wrong else []
    return "\n".join(head + body + mend) + "\n"


def main():
    text = write(Api(load()))
    if os.environ.get("BLESS"):
        TEXT.write_text(text)
    checked_in = TEXT.read_text() if TEXT.exists() else ""
    change = "".join(difflib.unified_diff(checked_in.splitlines(True), text.splitlines(True),
                                          str(TEXT.relative_to(ROOT)), "what the code says"))
    if change:
        sys.exit("public API: it is not what is checked in; if it should change, "
                 f"`BLESS=1 python3 .ci/public_api.py` and commit:\n{change}")
    print(next(line for line in text.splitlines() if line.startswith("together")))


if __name__ == "__main__":
    main()
