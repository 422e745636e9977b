#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns abi/abi.toml into all that must agree with it.

usage: abigen.py abi/abi.toml OUT

OUT/include/abi/generated.h   errors, objects, rights, signals, system-call numbers, names
OUT/kernel/decode.inc         the kernel's dispatch table: one decoder per system call
OUT/kernel/handlers.h         prototypes of the handlers
OUT/user/sdk/syscalls.h       typed user stubs
OUT/user/abi_table.h          the table as data: for the fuzzer, the tracer and the tests
"""

import sys
import tomllib
from pathlib import Path

COMMON_RIGHTS = ["DUPLICATE", "TRANSFER", "INSPECT", "WAIT", "MANAGE"]
HEADER = "// SPDX-License-Identifier: MIT\n// Generated from abi/abi.toml. Do not edit.\n"

# What an argument type is in C, for the kernel and for the user.
C_TYPES = {
    "u64": "uint64_t", "i64": "int64_t", "rights": "uint32_t", "signals": "uint32_t",
    "deadline": "uint64_t", "vaddr": "uint64_t", "paddr": "uint64_t", "prot": "uint64_t",
    "vmo_flags": "uint64_t", "channel_shape": "uint64_t", "overflow": "uint64_t",
    "msginfo": "uint64_t", "token": "uint64_t", "direction": "uint64_t",
    "sync_side": "uint64_t", "memory_kind": "uint64_t", "trigger": "uint64_t",
    "power_action": "uint64_t", "handle": "uint64_t",
    "raw_handle": "uint64_t",  # resolved by the call itself: it may name what is gone
}
NARROW = {"rights", "signals"}  # 32 bits; a wider register value is INVALID


class Arg:
    """One argument: plain, or a handle with the type and rights that it needs."""

    def __init__(self, name, text):
        self.name, self.optional, self.object, self.rights = name, False, None, []
        self.kind = text
        head = text.removeprefix("optional ")
        base = head.split(":")[0]
        if base == "any" or base in Arg.objects:
            self.kind, self.object = "handle", base
            self.optional = head != text
            self.rights = head.split(":")[1].split("|") if ":" in head else []
            for right in self.rights:
                if right not in Arg.all_rights:
                    raise SystemExit(f"abi.toml: {name}: no right is named {right}")
        elif text not in C_TYPES:
            raise SystemExit(f"abi.toml: {name}: no type is named {text}")


def load(path):
    table = tomllib.loads(Path(path).read_text())
    Arg.objects = [o["name"] for o in table["object"]]
    Arg.all_rights = [r["name"] for r in table["right"]]
    errors = {e["name"] for e in table["error"]}
    for call in table["syscall"]:
        call["args"] = [Arg(*a) for a in call["args"]]
        call.setdefault("results", [])
        call.setdefault("noreturn", False)
        if len(call["args"]) > 6 or len(call["results"]) > 4:
            raise SystemExit(f"abi.toml: {call['name']}: too many arguments or results")
        for error in call["errors"]:
            if error not in errors:
                raise SystemExit(f"abi.toml: {call['name']}: no error is named {error}")
    return table


def all_errors(call):
    """The errors that a call can answer: those listed and those its handle arguments imply."""
    implied = []
    for arg in call["args"]:
        if arg.object:
            implied.append("BAD_HANDLE")
            if arg.object != "any":
                implied.append("WRONG_TYPE")
            if arg.rights:
                implied.append("NO_RIGHT")
            implied.append("GONE")
    return list(dict.fromkeys(implied + call["errors"]))


def rights_mask(names):
    return " | ".join(f"RIGHT_{n}" for n in names) or "0"


def names_array(symbol, names):
    rows = "".join(f'    "{n}",\n' for n in names)
    return (f"[[maybe_unused]] static const char *const {symbol}[{len(names)}] = {{\n{rows}}};\n")


def generated_h(t):
    out = [HEADER, "#pragma once\n\n#include <stdint.h>\n\n"]
    errors = [e["name"] for e in t["error"]]
    out.append("// Prefixed forms of every error: STATUS_OK is success.\ntypedef enum : uint64_t {\n")
    for i, e in enumerate(t["error"]):
        out.append(f"    STATUS_{e['name']} = {i}, // {e['doc']}\n")
    out.append(f"    STATUS_COUNT = {len(errors)},\n}} status_t;\n\n")
    out.append("enum abi_object : uint32_t {\n    OBJECT_NONE = 0,\n")
    for i, o in enumerate(t["object"], 1):
        out.append(f"    OBJECT_{o['name'].upper()} = {i}, // {o['doc']}\n")
    out.append(f"    OBJECT_COUNT = {len(t['object']) + 1},\n}};\n\n")
    out.append("enum abi_right : uint32_t {\n")
    for i, r in enumerate(t["right"]):
        out.append(f"    RIGHT_{r['name']} = 1u << {i}, // {r['doc']}\n")
    out.append(f"    RIGHTS_ALL = {(1 << len(t['right'])) - 1:#x},\n}};\n\n")
    out.append("// What the first handle to an object of each type carries.\n")
    for o in t["object"]:
        out.append(f"#define RIGHTS_{o['name'].upper()} ({rights_mask(COMMON_RIGHTS + o['rights'])})\n")
    out.append("\nenum abi_signal : uint32_t {\n    SIGNALS_USER = 0xffff,\n")
    for s in t["signal"]:
        out.append(f"    SIGNAL_{s['name']} = 1u << {s['bit']}, // {s['doc']}\n")
    out.append("};\n\nenum abi_syscall : uint32_t {\n")
    for i, c in enumerate(t["syscall"]):
        out.append(f"    SYSCALL_{c['name'].upper()} = {i},\n")
    out.append(f"    SYSCALL_COUNT = {len(t['syscall'])},\n}};\n\n")
    out.append("// The registers of a fault report, in their order.\n")
    for arch, names in t["registers"].items():
        out.append(f"#define ABI_REGISTERS_{arch.upper()} {len(names)}\n")
        out.append(f"#define ABI_REGISTER_NAMES_{arch.upper()} "
                   + "{" + ", ".join(f'"{n}"' for n in names) + "}\n")
    out.append("\n")
    out.append(names_array("abi_status_names", errors))
    out.append(names_array("abi_object_names", ["none"] + [o["name"] for o in t["object"]]))
    out.append(names_array("abi_right_names", [r["name"] for r in t["right"]]))
    out.append(names_array("abi_syscall_names", [c["name"] for c in t["syscall"]]))
    return "".join(out)


def handlers_h(t):
    out = [HEADER, "#pragma once\n\n#include <stdint.h>\n\n#include <abi/generated.h>\n\n",
           "struct entry;\nstruct handle_lookup;\n\n",
           "// A handle argument arrives resolved: type and rights are checked, and the object it\n"
           "// names was alive (struct handle_lookup). Results go to entry->result[].\n"]
    for c in t["syscall"]:
        params = ["struct entry *entry"]
        for a in c["args"]:
            if a.object:
                params.append(f"const struct handle_lookup *{a.name}")
            else:
                params.append(f"{C_TYPES[a.kind]} {a.name}")
        out.append(f"status_t sys_{c['name']}({', '.join(params)});\n")
    return "".join(out)


def decode_inc(t):
    out = [HEADER]
    for c in t["syscall"]:
        body, call = [], ["entry"]
        for i, a in enumerate(c["args"]):
            reg = f"entry->arg[{i}]"
            if a.object:
                kind = "OBJECT_NONE" if a.object == "any" else f"OBJECT_{a.object.upper()}"
                lookup = (f"handle_lookup(entry, {reg}, {kind}, {rights_mask(a.rights)}, "
                          f"&lookup{i})")
                if a.optional:
                    lookup = f"handle_lookup_optional(entry, {reg}, {kind}, {rights_mask(a.rights)}, &lookup{i})"
                body.append(f"    struct handle_lookup lookup{i};\n    if ((status = {lookup}) != STATUS_OK)\n"
                            f"        return status;\n")
                call.append(f"&lookup{i}")
            elif a.kind in NARROW:
                body.append(f"    if ({reg} > UINT32_MAX)\n        return STATUS_INVALID;\n")
                call.append(f"(uint32_t){reg}")
            elif a.kind == "i64":
                call.append(f"(int64_t){reg}")
            else:
                call.append(reg)
        if any(a.object for a in c["args"]):
            body.insert(0, "    status_t status;\n")
        out.append(f"static status_t decode_{c['name']}(struct entry *entry)\n{{\n{''.join(body)}"
                   f"    return sys_{c['name']}({', '.join(call)});\n}}\n\n")
    out.append("static const struct decoder {\n    status_t (*decode)(struct entry *);\n"
               "    uint8_t results;\n} decoders[SYSCALL_COUNT] = {\n")
    for c in t["syscall"]:
        out.append(f"    [SYSCALL_{c['name'].upper()}] = {{decode_{c['name']}, {len(c['results'])}}},\n")
    out.append("};\n")
    return "".join(out)


def stubs_h(t):
    objects = [o["name"] for o in t["object"]]
    out = [HEADER, "#pragma once\n\n#include <abi/layout.h>\n#include <sdk/raw_syscall.h>\n\n",
           "// One type per object, so that passing the wrong kind does not compile.\n",
           "typedef struct { uint64_t value; } handle_t;\n"]
    for o in objects:
        out.append(f"typedef struct {{ uint64_t value; }} {o}_t;\n")
    out.append("\n")

    def handle_type(call, a, result):
        if not result:
            return "handle_t" if a.object == "any" else f"{a.object}_t"
        name = a[0].rstrip("01")
        if a[1] == "handle":
            return {"end": "channel_t", "duplicate": "handle_t"}.get(name, f"{name}_t")
        return C_TYPES[a[1]]

    for c in t["syscall"]:
        params, args, assigns = [], [], []
        for a in c["args"]:
            if a.object:
                params.append(f"{handle_type(c, a, False)} {a.name}")
                args.append(f"{a.name}.value")
            elif a.kind == "raw_handle":
                params.append(f"handle_t {a.name}")
                args.append(f"{a.name}.value")
            else:
                params.append(f"{C_TYPES[a.kind]} {a.name}")
                args.append(a.name if a.kind != "i64" else f"(uint64_t){a.name}")
        for i, r in enumerate(c["results"]):
            kind = handle_type(c, r, True)
            name = f"{r[0]}_out"
            params.append(f"{kind} *{name}")
            value = f"r.value[{i}]"
            value = f"({kind}){{{value}}}" if r[1] == "handle" else f"({kind}){value}"
            assigns.append(f"    *{name} = {value};\n")
        args += ["0"] * (6 - len(args))
        rights = "; ".join(f"`{a.name}`: {'|'.join(a.rights) or 'none'}" for a in c["args"] if a.object)
        out.append(f"// {c['doc']}\n")
        if rights:
            out.append(f"// Rights: {rights}.\n")
        out.append(f"// Errors: {', '.join(all_errors(c)) or 'none'}.\n")
        kind = "[[noreturn]] static inline void" if c["noreturn"] else "static inline status_t"
        out.append(f"{kind} {c['name']}({', '.join(params) or 'void'})\n{{\n")
        call = f"raw_syscall(SYSCALL_{c['name'].upper()}, {', '.join(args)})"
        if c["noreturn"]:
            out.append(f"    (void){call};\n    __builtin_unreachable();\n}}\n\n")
        elif assigns:
            out.append(f"    struct raw_result r = {call};\n{''.join(assigns)}    return r.status;\n}}\n\n")
        else:
            out.append(f"    return {call}.status;\n}}\n\n")
    return "".join(out)


def table_h(t):
    kinds = sorted({a.kind for c in t["syscall"] for a in c["args"]})
    out = [HEADER, "#pragma once\n\n#include <abi/generated.h>\n\n"]
    out.append("enum abi_arg_kind : uint8_t {\n    ARG_NONE,\n"
               + "".join(f"    ARG_{k.upper()},\n" for k in kinds) + "};\n\n")
    out.append("struct abi_arg {\n    enum abi_arg_kind kind;\n    uint8_t object; // of a handle; 0: any type\n"
               "    uint8_t optional;\n    uint32_t rights;\n};\n\n")
    out.append("struct abi_call {\n    const char *name;\n    uint64_t errors; // bit per status that it lists or implies\n"
               "    uint8_t args, results, handles; // handles: of the results\n"
               "    uint8_t noreturn;\n    struct abi_arg arg[6];\n};\n\n")
    out.append("[[maybe_unused]] static const struct abi_call abi_calls[SYSCALL_COUNT] = {\n")
    for c in t["syscall"]:
        errors = " | ".join(f"1u << STATUS_{e}" for e in all_errors(c)) or "0"
        args = ", ".join(
            f"{{ARG_{a.kind.upper()}, {('OBJECT_' + a.object.upper()) if a.object and a.object != 'any' else 0}, "
            f"{int(a.optional)}, {rights_mask(a.rights)}}}" for a in c["args"])
        out.append(f"    [SYSCALL_{c['name'].upper()}] = {{\"{c['name']}\", {errors}, {len(c['args'])}, "
                   f"{len(c['results'])}, {sum(r[1] == 'handle' for r in c['results'])}, {int(c['noreturn'])}, {{{args}}}}},\n")
    out.append("};\n")
    return "".join(out)


def main():
    table, out = load(sys.argv[1]), Path(sys.argv[2])
    for path, text in {
        "include/abi/generated.h": generated_h(table), "kernel/decode.inc": decode_inc(table),
        "kernel/handlers.h": handlers_h(table), "user/sdk/syscalls.h": stubs_h(table),
        "user/abi_table.h": table_h(table),
    }.items():
        target = out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_text() != text:  # keep times: nothing rebuilds for nothing
            target.write_text(text)


if __name__ == "__main__":
    main()
