"""Makes include/xcp_pool.schema.json from the types in src that serde writes and reads, as calls.py names them.

usage: make.py            compares, and tells the first difference
       make.py --bless    writes the file

A type that is not understood ends the run with its place.
"""

import json
import pathlib
import re
import sys

from calls import ANY, BY_HAND, CALLS, FLAG, INSIDE, OWN, SNAPSHOT, TEXT, WORDS

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "include" / "xcp_pool.schema.json"


def header():
    """The functions and callbacks of the header, each with the names of its parameters in order."""
    text = re.sub(r"/\*.*?\*/", "", (ROOT / "include" / "xcp_pool.h").read_text(), flags=re.S)
    functions = re.findall(r"\b(xcp_\w+)\(([^;{}]*)\);", text)
    callbacks = re.findall(r"typedef void \(\*(xcp_\w+)\)\(([^;]*)\);", text)
    return {name: [parameter.split()[-1].lstrip("*") for parameter in parameters.split(",")]
            for name, parameters in functions + callbacks}


def is_json(parameter):
    return parameter == "json" or parameter.endswith("_json")


def uncalled():
    """The arguments of the header that are JSON and not in CALLS, and those in CALLS that are none."""
    there = set()
    for function, parameters in header().items():
        found = list(filter(is_json, parameters)) or (["returns"] if function.endswith("_json") else [])
        there.update((function, parameter) for parameter in found)
    return there ^ {(function, argument) for function, arguments in CALLS.items() for argument in arguments}


class Item:
    """A struct or enum as it stands in a file."""

    def __init__(self, place, name, kind, docs, attributes, body, brace):
        self.place, self.name, self.kind, self.docs = place, name, kind, docs
        self.serde, self.body, self.brace = serde_of(attributes), body, brace
        self.writes = any(re.search(r"\bSerialize\b", attribute) for attribute in attributes)
        self.reads = any(re.search(r"\bDeserialize\b", attribute) for attribute in attributes)

    def __str__(self):
        return f"{self.place}:{self.name}"


def serde_of(attributes):
    found = {}
    for attribute in attributes:
        inner = re.fullmatch(r"#\[serde\((.*)\)\]", attribute, re.S)
        for part in split(inner.group(1)) if inner else []:
            key, _, value = part.partition("=")
            found[key.strip()] = value.strip().strip('"')
    return found


def split(text):
    """The parts of a list at its top level."""
    parts, depth, start = [], 0, 0
    for at, c in enumerate(text):
        depth += (c in "<([{") - (c in ")]}") - (c == ">" and text[at - 1] != "-")
        if c == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [part.strip() for part in [*parts, text[start:]] if part.strip()]


def members(body):
    """(docs, attributes, code) of each field or variant."""
    found, docs, attributes, code, depth, at = [], [], [], "", 0, 0
    while at < len(body):
        if body.startswith("//", at):
            end = body.find("\n", at) if "\n" in body[at:] else len(body)
            if body.startswith("///", at) and depth == 0:
                docs.append(body[at + 3:end].strip())
            elif body.startswith("///", at):
                code += body[at:end] + "\n"
            at = end
        elif body.startswith("#[", at) and depth == 0 and not code.strip():
            end = closing(body, at + 1)
            attributes.append(" ".join(body[at:end].split()))
            at = end
        elif body[at] == "," and depth == 0:
            found.append((docs, attributes, code.strip()))
            docs, attributes, code, at = [], [], "", at + 1
        else:
            depth += (body[at] in "<([{") - (body[at] in ")]}") - (body[at] == ">" and body[at - 1] != "-")
            code += body[at]
            at += 1
    if code.strip():
        found.append((docs, attributes, code.strip()))
    return found


def closing(text, at):
    """Just behind the bracket that closes the one at `at`."""
    pair = {"{": "}", "(": ")", "[": "]"}[text[at]]
    depth = 0
    for end in range(at, len(text)):
        depth += (text[end] == text[at]) - (text[end] == pair)
        if depth == 0:
            return end + 1
    raise SystemExit(f"no {pair} for {text[at:at + 60]!r}")


def items():
    found = {}
    for path in sorted((ROOT / "src").rglob("*.rs")):
        place = path.relative_to(ROOT / "src").as_posix()
        text = path.read_text().split("#[cfg(test)]\nmod")[0]
        for match in re.finditer(r"^[ \t]*(?:pub(?:\([^)]*\))? )?(struct|enum) (\w+)(?:<[^>{]*>)?\s*([{(;])", text, re.M):
            kind, name, brace = match.groups()
            docs, attributes = above(text[:match.start()])
            body = "" if brace == ";" else text[match.end():closing(text, match.end() - 1) - 1]
            item = found[place, name] = Item(place, name, kind, docs, attributes, body, brace)
            item.writes |= f"impl Serialize for {name} " in text
            item.reads |= f"impl<'de> Deserialize<'de> for {name} " in text
        actions = re.search(r"^actions! \{", text, re.M)
        if actions:
            # The macro above it adds these.
            body = text[actions.end():closing(text, actions.end() - 1) - 1]
            body = re.sub(r"^    \}$", "    },", body, flags=re.M)
            attributes = ["#[derive(Serialize, Deserialize)]", '#[serde(tag = "action", rename_all = "kebab-case")]']
            docs = ["One call to one server, or one wait for what others do."]
            found[place, "Action"] = Item(place, "Action", "enum", docs, attributes, body, "{")
    return found


def above(text):
    """The documentation and attributes that end a text."""
    docs, attributes, rest = [], [], ""
    for line in reversed(text.split("\n")[:-1]):
        line = f"{line.strip()} {rest}".strip()
        rest = ""
        if line.startswith("#["):
            attributes.insert(0, line)
        elif line.endswith(")]") and not line.startswith("//"):
            rest = line
        elif line.startswith("///"):
            docs.insert(0, line[3:].strip())
        elif not line.startswith("//"):
            break
    return docs, attributes


ITEMS = items()


def uses(place):
    """The path behind each name that a file uses."""
    found = {}

    def walk(path, tree):
        head, brace, _ = tree.partition("{")
        if brace:
            for part in split(tree[len(head) + 1:tree.rindex("}")]):
                walk(path + head.strip().removesuffix("::").split("::"), part)
        else:
            steps, _, renamed = tree.partition(" as ")
            full = [step.strip() for step in path + steps.split("::")]
            found[(renamed or full[-1]).strip()] = full
    for tree in re.findall(r"^(?:pub(?:\([^)]*\))? )?use ([^;]+);", (ROOT / "src" / place).read_text(), re.M):
        walk([], tree)
    return found


def find(name, place):
    """The type that a name means in a file."""
    path = uses(place).get(name)
    name = path[-1] if path else name
    named = [item for (_, own), item in ITEMS.items() if own == name and (item.writes or item.reads)]
    candidates = [item for item in named if item.place == place]
    if not candidates and path:
        # The module that is named may pass on what a file of its folder has.
        rooms = [step for step in path[:-1] if step not in ("crate", "super", "self")]
        here = place.split("/")[:-1] if "super" in path else []
        for item in named:
            steps = re.split(r"[/.]", item.place)[:-1]
            if all(room in steps for room in rooms) and all(room in steps for room in here[:1]):
                candidates.append(item)
    if not candidates:
        folder = place.rpartition("/")[0]
        candidates = [item for item in named if item.place.rpartition("/")[0] == folder] or named
    if len(candidates) != 1:
        raise SystemExit(f"src/{place}: {name} may be any of {[str(item) for item in candidates]}")
    return candidates[0]


def named(item):
    """What the schema of a type is called: as the type, after its folder if others are called so too."""
    def short(name):
        return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower().removesuffix("_text")

    name = short(item.name)
    same = [other for (_, own), other in ITEMS.items() if short(own) == name and (other.writes or other.reads)]
    if len(same) > 1:
        *_, folder, file = item.place.removesuffix(".rs").split("/")
        name = f"{file if folder == 'json' else folder}_{name}"
    return name


class Schemas:
    """What was made so far."""

    def __init__(self):
        self.defs, self.names, self.worded = dict(OWN), {}, set()

    def of(self, wanted):
        """The schema of an entry of CALLS."""
        if isinstance(wanted, dict):
            if "anyOf" in wanted:
                return {**wanted, "anyOf": [self.of(option) for option in wanted["anyOf"]]}
            return wanted
        mode, path, called = wanted
        place, name = path.split(":")
        if (place, name) not in ITEMS:
            raise SystemExit(f"src/{place} has no {name}")
        return self.refer(ITEMS[place, name], mode, called)

    def refer(self, item, mode, called=None):
        if item.name in BY_HAND:
            return BY_HAND[item.name]
        if item.kind == "struct" and item.brace == "(":
            return described(item.docs, self.define(item, mode))
        key = (str(item), mode)
        if key not in self.names:
            name = called or named(item) + {"in": "_input", "result": "_result"}.get(mode, "")
            if name in self.defs:
                raise SystemExit(f"two types are called {name}: {item}")
            self.names[key] = name
            self.defs[name] = {}
            self.defs[name].update(described(item.docs, self.define(item, mode)))
        return {"$ref": f"#/$defs/{self.names[key]}"}

    def define(self, item, mode):
        if "try_from" in item.serde and item.serde["try_from"] != "String":
            return self.define(find(item.serde["try_from"], item.place), mode)
        if item.name == "Report":
            return self.report(item)
        below = "in" if mode == "in" else "out"
        if item.name == "Timed":
            return self.timed(item)
        if item.kind == "struct" and item.brace == "(":
            (_, attributes, code), = members(item.body)
            if serde_of(attributes).get("deserialize_with") == "duration":
                return {"type": "number", "minimum": 0}
            return self.type(code.removeprefix("pub ").strip(), item.place, below)
        if item.kind == "struct":
            made = self.fields(item, item.body, below)
            if mode == "result":
                made["properties"] = {"schema": {"const": 1}, **made["properties"]}
                made["required"] = ["schema", *made.get("required", [])]
            return made
        return self.variants(item, below)

    def report(self, item):
        """`impl Serialize for Report`: what `serialize_field` names."""
        finding = {"type": "array", "items": self.refer(find("Finding", item.place), "out")}
        fault = self.refer(find("Fault", item.place), "out")
        made = {
            "schema": {"const": 1},
            "verdict": self.refer(ITEMS[item.place, "Verdict"], "out"),
            "force": described(["Whether the call will be `pool.join_force`."], FLAG),
            "predicted_fault": {"anyOf": [fault, {"type": "null"}]},
            "findings": finding,
        }
        text = (ROOT / "src" / item.place).read_text()
        if re.findall(r'serialize_field\("(\w+)"', text) != list(made):
            raise SystemExit("Report writes other fields than tests/schema/make.py says")
        return {"type": "object", "properties": made, "required": list(made)}

    def timed(self, item):
        """`impl Deserialize for Timed`: an act, and when."""
        made = self.define(ITEMS[item.place, "Act"], "in")
        for act in made["oneOf"]:
            act["properties"]["after"] = described(["In so many seconds; at once if not given."],
                                                   {"type": "number", "minimum": 0})
        return made

    def fields(self, item, body, mode, lenient=None):
        lenient = "default" in item.serde if lenient is None else lenient
        properties, required, cases = {}, [], None
        for docs, attributes, code in members(body):
            serde = serde_of(attributes)
            name, _, kind = code.partition(":")
            name = re.sub(r"^pub(\([^)]*\))?\s+", "", name.strip()).removeprefix("r#")
            name, kind = serde.get("rename", name), " ".join(kind.split())
            if "skip" in serde:
                continue
            if "flatten" in serde:
                inner = self.define(find(re.sub(r"&\s*|'\w+\s*", "", kind), item.place), mode)
                cases = inner.get("oneOf")
                properties.update(inner.get("properties", {}))
                required.extend(inner.get("required", []))
                continue
            if "deserialize_with" in serde and mode == "in":
                made = {"seconds": {"type": ["number", "null"], "minimum": 0},
                        "duration": {"type": "number", "minimum": 0}}[serde["deserialize_with"]]
            elif "serialize_with" in serde:
                made = {"class_name": lambda: BY_HAND["Class"],
                        "in_seconds": lambda: {"type": "number", "minimum": 0},
                        "as_vm": lambda: self.type("VmText", item.place, mode),
                        "as_vm_if_any": lambda: self.type("Option<VmText>", item.place, mode),
                        }[serde["serialize_with"]]()
            else:
                made = self.type(kind, item.place, mode)
            if (name, kind) == ("schema", "u32"):
                made = {"const": 1}
            if f"{item}.{name}" in WORDS:
                self.worded.add(f"{item}.{name}")
                made = {"enum": WORDS[f"{item}.{name}"]}
            properties[name] = described(docs, made)
            optional = mode == "in" and (lenient or "default" in serde or kind.startswith("Option<"))
            if not optional and "skip_serializing_if" not in serde:
                required.append(name)
        if cases:
            # What is flattened is one of several: each of them with the fields beside it.
            return {"oneOf": [{**case, "properties": {**case["properties"], **properties},
                               "required": [*case["required"], *required]} for case in cases]}
        made = {"type": "object", "properties": properties}
        if required:
            made["required"] = required
        if mode == "in" and "deny_unknown_fields" in item.serde:
            made["additionalProperties"] = False
        return made

    def variants(self, item, mode):
        plain, options = [], []
        tag, untagged = item.serde.get("tag"), "untagged" in item.serde
        for docs, attributes, code in members(item.body):
            serde = serde_of(attributes)
            name = re.match(r"\w+", code).group()
            rest = code[len(name):].strip()
            name = serde.get("rename", cased(name, item.serde.get("rename_all")))
            if untagged or "untagged" in serde:
                if not rest:
                    options.append(described(docs, {"type": "null"}))
                else:
                    options.append(described(docs, self.type(rest[1:-1], item.place, mode)))
            elif tag:
                made = {"type": "object", "properties": {}}
                if rest.startswith("{"):
                    made = self.fields(item, rest[1:-1], mode, lenient=False)
                elif rest.startswith("("):
                    made = dict(self.define(find(rest[1:-1].strip(), item.place), mode))
                made["properties"] = {tag: {"const": name}, **made["properties"]}
                made["required"] = [tag, *made.get("required", [])]
                options.append(described(docs, made))
            elif not rest or rest.startswith("="):
                plain.append({"const": name, **({"description": words(docs)} if words(docs) else {})})
            else:
                if serde.get("deserialize_with") == "duration":
                    inner = {"type": "number", "minimum": 0}
                elif rest.startswith("{"):
                    inner = self.fields(item, rest[1:-1], mode, lenient=False)
                elif f"{item}.{name}" in INSIDE:
                    inner = self.of(INSIDE[f"{item}.{name}"])
                else:
                    inner = self.type(rest[1:-1], item.place, mode)
                made = {"type": "object", "properties": {name: inner}, "required": [name]}
                options.append(described(docs, {**made, "additionalProperties": False}))
        if not options and not any("description" in option for option in plain):
            return {"enum": [option["const"] for option in plain]}
        return {"anyOf" if untagged else "oneOf": plain + options}

    def type(self, text, place, mode):
        text = re.sub(r"&\s*|'\w+\s*|\bmut\b|\bdyn\b", "", text).strip().rstrip(",")
        outer, _, inner = text.partition("<")
        outer, inner = outer.strip().rpartition("::")[2], inner.strip()[:-1]
        if text.startswith("("):
            parts = [self.type(part, place, mode) for part in split(text[1:-1])]
            return {"type": "array", "prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)}
        if text.startswith("["):
            inner, _, count = text[1:-1].partition(";")
            made = {"type": "array", "items": self.type(inner, place, mode)}
            return {**made, "minItems": int(count), "maxItems": int(count)} if count.strip().isdigit() else made
        if outer in ("Box", "Cow", "Arc"):
            return self.type(split(inner)[-1], place, mode)
        if outer == "Option":
            made = self.type(inner, place, mode)
            if isinstance(made.get("type"), str) and "const" not in made and "enum" not in made:
                return {**made, "type": [made["type"], "null"]}
            return made if made == {} else {"anyOf": [made, {"type": "null"}]}
        if outer in ("Vec", "BTreeSet", "HashSet", "VecDeque"):
            return {"type": "array", "items": self.type(inner, place, mode)}
        if outer in ("BTreeMap", "HashMap"):
            return {"type": "object", "additionalProperties": self.type(split(inner)[1], place, mode)}
        if outer in ("String", "str", "char", "IpAddr"):
            return TEXT
        if outer == "bool":
            return FLAG
        if re.fullmatch(r"u(8|16|32|64|size)", outer):
            return {"type": "integer", "minimum": 0}
        if re.fullmatch(r"i(8|16|32|64|size)", outer):
            return {"type": "integer"}
        if outer in ("f32", "f64"):
            return {"type": "number"}
        if outer == "RawValue":
            return SNAPSHOT
        if outer in ("Value", "IgnoredAny"):
            return ANY
        if outer in BY_HAND:
            return BY_HAND[outer]
        if outer in MODEL_ENUMS:
            return {**TEXT, "description": f"XAPI's enum {MODEL_ENUMS[outer]}."}
        return self.refer(find(outer, place), mode)


def model_enums():
    """The enums of the model: open, since releases add values."""
    text = (ROOT / "src/model/enums.rs").read_text()
    return {name: re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
            for name in re.findall(r"^\s{4}(?:#\[[^\n]*\]\s+)*(?:pub enum )?([A-Z]\w+)\s*\{", text, re.M)}


MODEL_ENUMS = model_enums()


def cased(name, style):
    if style is None:
        return name
    parts = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    return {"snake_case": parts, "kebab-case": parts.replace("_", "-")}[style]


def words(docs):
    """The first paragraph, without the links of rustdoc."""
    paragraph = " ".join(docs).strip() if "" not in docs else " ".join(docs[:docs.index("")])
    paragraph = re.sub(r"\[(`?[^\]]*`?)\]\([^)]*\)", r"\1", paragraph)
    paragraph = re.sub(r"\[`([^`\]]*)`\]", r"`\1`", paragraph)
    return re.sub(r"`(?:Self|crate|super)::", "`", paragraph)


def described(docs, made):
    text = words(docs)
    return {"description": text, **{k: v for k, v in made.items() if k != "description"}} if text else made


def schema():
    schemas = Schemas()
    calls = {}
    for function, arguments in CALLS.items():
        calls[function] = {argument: schemas.of(wanted) for argument, wanted in arguments.items()}
        for argument, made in calls[function].items():
            for one in made.get("anyOf", [made]):
                name = one.get("$ref", "").rpartition("/")[2]
                if name and "description" not in schemas.defs[name]:
                    what = "" if argument == "returns" else f"`{argument}` at "
                    note = f"See {what}`{function}` in xcp_pool.h."
                    schemas.defs[name] = {"description": note, **schemas.defs[name]}
    if schemas.worded != set(WORDS):
        raise SystemExit(f"WORDS in tests/schema/calls.py names no field by {sorted(set(WORDS) - schemas.worded)}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "xcp_pool.schema.json",
        "title": "JSON of the C ABI of xcp_pool",
        "description":
            "What the functions of xcp_pool.h write and read as JSON, as of this version. \"x-functions\" names the "
            "schema of each argument, \"returns\" that of a returned text. Later versions with the same \"schema\" "
            "numbers may add fields, and values where a text says which case it is: readers ignore what they do not know.",
        "x-functions": calls,
        "$defs": dict(sorted(schemas.defs.items())),
    }


def printed(node, indent=""):
    """JSON with one line for whatever fits into it."""
    line = json.dumps(node, ensure_ascii=False)
    if len(indent) + len(line) <= 120 or not isinstance(node, (dict, list)):
        return line
    inner = indent + "  "
    if isinstance(node, list):
        parts, ends = [printed(part, inner) for part in node], "[]"
    else:
        parts, ends = [f"{json.dumps(key)}: {printed(part, inner)}" for key, part in node.items()], "{}"
    return f"{ends[0]}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{ends[1]}"


def main():
    if uncalled():
        raise SystemExit(f"CALLS in tests/schema/calls.py and the header differ in {sorted(uncalled())}")
    made = printed(schema()) + "\n"
    if "--bless" in sys.argv[1:]:
        SCHEMA.write_text(made)
    there = SCHEMA.read_text() if SCHEMA.exists() else ""
    if there != made:
        pairs = zip(there.splitlines() + ["(end)"], made.splitlines() + ["(end)"])
        line = next((n for n, (old, new) in enumerate(pairs, 1) if old != new), 1)
        raise SystemExit(f"{SCHEMA}: line {line} is not what src says; {sys.argv[0]} --bless writes it anew")


if __name__ == "__main__":
    main()
