#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns the service protocols of proto/*.toml into C headers.

usage: protogen.py OUT TABLE...

OUT/NAME.h     structs, client functions, server dispatcher (see proto/README.md)
OUT/errors.h   the names of all protocols' errors, for status_name
"""

import re
import sys
import tomllib
from pathlib import Path

HEADER = "// SPDX-License-Identifier: MIT\n// Generated from proto/{0}.toml. Do not edit.\n"
SCALARS = {"u8": (1, "uint8_t"), "u16": (2, "uint16_t"), "u32": (4, "uint32_t"), "u64": (8, "uint64_t")}
OBJECTS = ["account", "process", "thread", "aspace", "vmo", "channel", "port", "event", "timer",
           "interrupt", "iorange", "dmaspace", "pin", "machine", "log"]
MESSAGE_BYTES, MESSAGE_HANDLES = 3584, 8


def refuse(where, what):
    raise SystemExit(f"protogen: {where}: {what}")


class Field:
    def __init__(self, where, row):
        self.name, self.type = row[0], row[1]
        self.count = row[2] if len(row) > 2 else None
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            refuse(where, f"bad field name {self.name!r}")
        if self.type in SCALARS:
            self.size = SCALARS[self.type][0] * (self.count or 1)
        elif self.type in ("bytes", "string"):
            if not self.count:
                refuse(where, f"{self.name}: {self.type} needs a greatest length")
            self.size = 4 + self.count
        else:
            refuse(where, f"{self.name}: no type is named {self.type}")

    def declare(self):
        if self.type == "bytes":
            return f"    uint32_t {self.name}_bytes;\n    uint8_t {self.name}[{self.count}];\n"
        if self.type == "string":
            return f"    char {self.name}[{self.count} + 1];\n"
        array = f"[{self.count}]" if self.count else ""
        return f"    {SCALARS[self.type][1]} {self.name}{array};\n"

    def put(self, src):
        if self.type == "bytes":
            return f"wire_put_bytes(&w, {src}->{self.name}, {src}->{self.name}_bytes, {self.count});"
        if self.type == "string":
            return f"wire_put_string(&w, {src}->{self.name}, {self.count});"
        return f"wire_put(&w, &{src}->{self.name}, {self.size});"

    def take(self, dst):
        if self.type == "bytes":
            return f"{dst}->{self.name}_bytes = wire_take_bytes(&w, {dst}->{self.name}, {self.count});"
        if self.type == "string":
            return f"wire_take_string(&w, {dst}->{self.name}, {self.count});"
        return f"wire_take(&w, &{dst}->{self.name}, {self.size});"


class Handles:
    """The handles of one direction of a message: named ones, or one open list."""

    def __init__(self, where, rows):
        self.rows, self.any = [], None
        for name, text in rows:
            if text == "any*":
                if len(rows) != 1:
                    refuse(where, "an open list of handles must be the only one")
                self.any = name
                continue
            kind, _, rights = text.partition(":")
            if kind != "any" and kind not in OBJECTS:
                refuse(where, f"{name}: no object is named {kind}")
            self.rows.append((name, "handle_t" if kind == "any" else f"{kind}_t", rights))
        if len(self.rows) > MESSAGE_HANDLES:
            refuse(where, "too many handles")

    def room(self):
        return MESSAGE_HANDLES if self.any else len(self.rows)

    def declare(self):
        if self.any:
            return f"    handle_t {self.any}[{MESSAGE_HANDLES}];\n    uint32_t {self.any}_count;\n"
        return "".join(f"    {kind} {name};" + (f" // {rights}" if rights else "") + "\n"
                       for name, kind, rights in self.rows)

    def put(self, src):
        if self.any:
            return [f"for (uint32_t i = 0; i < {src}->{self.any}_count && i < {MESSAGE_HANDLES}; i++)",
                    f"    wire_put_handle(&w, {src}->{self.any}[i].value);"]
        return [f"wire_put_handle(&w, {src}->{name}.value);" for name, _, _ in self.rows]

    def take(self, dst):
        if self.any:
            return [f"{dst}->{self.any}_count = w.handle_count;",
                    f"for (uint32_t i = 0; i < {dst}->{self.any}_count; i++)",
                    f"    {dst}->{self.any}[i].value = wire_take_handle(&w);"]
        return [f"{dst}->{name}.value = wire_take_handle(&w);" for name, _, _ in self.rows]


class Message:
    def __init__(self, protocol, ordinal, row):
        where = f"{protocol}.{row['name']}"
        self.name, self.ordinal, self.doc = row["name"], ordinal, row.get("doc", "")
        self.call = row["kind"] == "call"
        self.from_client = row.get("from", "client") == "client"
        self.idempotent = row.get("idempotent")
        unknown = set(row) - {"name", "kind", "from", "idempotent", "request", "reply",
                              "request_handles", "reply_handles", "doc"}
        if unknown:
            refuse(where, f"unknown key {sorted(unknown)[0]!r}")
        if row["kind"] not in ("call", "notice"):
            refuse(where, "kind is call or notice")
        if self.call and not self.from_client:
            refuse(where, "only clients call")
        if self.call and self.idempotent is None:
            refuse(where, "a call says whether it is idempotent")
        if not self.call and (row.get("reply") or row.get("reply_handles")):
            refuse(where, "a notice has no reply")
        self.request = [Field(where, f) for f in row.get("request", [])]
        self.reply = [Field(where, f) for f in row.get("reply", [])]
        self.request_handles = Handles(where, row.get("request_handles", []))
        self.reply_handles = Handles(where, row.get("reply_handles", []))
        for part in (self.request, self.reply):
            if 8 + sum(f.size for f in part) > MESSAGE_BYTES:
                refuse(where, f"longer than {MESSAGE_BYTES} bytes")
        self.has_request = bool(self.request or self.request_handles.room())
        self.has_reply = bool(self.reply or self.reply_handles.room())


class Protocol:
    def __init__(self, path):
        table = tomllib.loads(Path(path).read_text())
        self.name, self.version, self.id = table["protocol"], table["version"], table["id"]
        self.doc, self.errors = table.get("doc", ""), table.get("error", [])
        if self.name != Path(path).stem:
            refuse(path, f"the protocol is named {self.name}")
        self.messages = [Message(self.name, i, m) for i, m in enumerate(table["message"], 1)]
        self.text = path


def struct(name, fields, handles):
    return f"struct {name} {{\n{''.join(f.declare() for f in fields)}{handles.declare()}}};\n\n"


def body(lines):
    return "".join(f"    {line}\n" for line in lines)


def send_function(p, m, full):
    """The sender's function: a call by the client, or a notice by either side."""
    up = f"{p.name}_{m.name}".upper()
    params = ["channel_t end"]
    if m.has_request:
        params.append(f"const struct {full}_{'request' if m.call else 'notice'} *request")
    if m.call and m.has_reply:
        params.append(f"struct {full}_reply *reply")
    if m.call:
        params.append("uint64_t deadline_ns")
    lines = ["struct wire w;",
             f"wire_start(&w, {p.name.upper()}_PROTOCOL, {p.name.upper()}_VERSION, {up});"]
    lines += [f.put("request") for f in m.request] + m.request_handles.put("request")
    if m.call:
        lines += [f"status_t status = wire_call(&w, end, {m.reply_handles.room()}, deadline_ns);",
                  "if (status != STATUS_OK)", "    return status;"]
        lines += [f.take("reply") for f in m.reply] + m.reply_handles.take("reply")
        lines += ["return wire_finish(&w);"]
    else:
        lines += ["return wire_send(&w, end);"]
    doc = f"// {m.doc}\n" if m.doc else ""
    if m.call:
        doc += f"// {'May' if m.idempotent else 'Must not'} be sent again when the server died unanswered.\n"
    return (f"{doc}[[nodiscard]] static inline status_t {full}({', '.join(params)})\n{{\n{body(lines)}}}\n\n")


def answer_function(m, full):
    params = ["struct wire_call call", "status_t status"]
    if m.has_reply:
        params.append(f"const struct {full}_reply *reply")
    lines = ["struct wire w;", "wire_start_answer(&w, status);"]
    if m.has_reply:
        puts = [f.put("reply") for f in m.reply] + m.reply_handles.put("reply")
        lines += ["if (status == STATUS_OK) {"] + [f"    {line}" for line in puts] + ["}"]
    lines += ["return wire_answer(&w, call);"]
    return (f"// Answers a call that its handler deferred. `reply` is looked at when status is OK.\n"
            f"static inline status_t {full}_answer({', '.join(params)})\n{{\n{body(lines)}}}\n\n").replace(
        "`reply` is looked at when status is OK.\n",
        "`reply` is looked at when status is OK.\n" if m.has_reply else "\n").replace(". \n", ".\n")


def operations(p, messages, side):
    out = [f"// What the {side} does with each message. A null entry answers NOT_SUPPORTED. The handles\n"
           "// of a request belong to its handler, whatever it returns. A handler of a call fills\n"
           "// `reply` and returns its status, or keeps `call`, returns WIRE_DEFERRED and answers later.\n"
           f"struct {p.name}_{side} {{\n"]
    for m in messages:
        params = ["void *context"]
        if m.call:
            params.append("struct wire_call call")
        if m.has_request:
            params.append(f"const struct {p.name}_{m.name}_{'request' if m.call else 'notice'} *request")
        if m.call and m.has_reply:
            params.append(f"struct {p.name}_{m.name}_reply *reply")
        out.append(f"    {'status_t' if m.call else 'void'} (*{m.name})({', '.join(params)});\n")
    return "".join(out) + "};\n\n"


def handle_function(p, m, side):
    """static: takes one message apart and calls its operation."""
    full = f"{p.name}_{m.name}"
    lines = []
    if m.has_request:
        lines += [f"struct {full}_{'request' if m.call else 'notice'} request_storage, *request = &request_storage;",
                  "memset(request, 0, sizeof(*request));"]
        lines += [f.take("request").replace("&w", "w").replace("w.handle", "w->handle") for f in m.request]
        lines += [t.replace("&w", "w").replace("w.handle", "w->handle") for t in m.request_handles.take("request")]
    lines += ["status_t status = wire_finish(w);"]
    args = ["context"] + (["call"] if m.call else []) + (["request"] if m.has_request else [])
    if m.call and m.has_reply:
        args.append("&reply")
    if m.call:
        if m.has_reply:
            lines += [f"struct {full}_reply reply;", "memset(&reply, 0, sizeof(reply));"]
        lines += ["if (status == STATUS_OK)", f"    status = server->{m.name}({', '.join(args)});",
                  "if (status != WIRE_DEFERRED)",
                  f"    {full}_answer(call, status{', &reply' if m.has_reply else ''});"]
    else:
        lines += ["if (status == STATUS_OK)", f"    server->{m.name}({', '.join(args)});"]
    unused = "" if m.call else "    (void)call;\n"
    return (f"[[gnu::noinline, maybe_unused]] static void {p.name}_{side}_take_{m.name}"
            f"(const struct {p.name}_{side} *server, void *context, struct wire *w, struct wire_call call)\n"
            f"{{\n{unused}{body(lines)}}}\n\n")


def dispatcher(p, messages, side):
    function = f"{p.name}_dispatch" if side == "server" else f"{p.name}_client_dispatch"
    out = [handle_function(p, m, side) for m in messages]
    out += [f"// Takes a message that was received on the {side}'s end, checks it and calls its operation.\n"
            "// What is not as the protocol says is answered with a WIRE_ status, its handles closed.\n"
            f"[[maybe_unused]] static void {function}(const struct {p.name}_{side} *server, void *context,\n"
            "    const struct wire_received *received)\n{\n"
            "    struct wire w;\n"
            "    struct wire_call call = {received->end, received->token};\n"
            "    struct wire_header header = wire_open(&w, received);\n"
            "    status_t status = STATUS_NOT_SUPPORTED;\n"
            f"    if (w.bad || header.protocol != {p.name.upper()}_PROTOCOL || header.version != {p.name.upper()}_VERSION) {{\n"
            "        wire_refuse(received, w.bad ? WIRE_BAD_MESSAGE : WIRE_BAD_PROTOCOL);\n        return;\n    }\n"
            "    switch (header.ordinal) {\n"]
    for m in messages:
        wants = "!" if m.call else ""
        out.append(f"    case {p.name.upper()}_{m.name.upper()}:\n"
                   f"        if ({wants}wire_is_call(received))\n            status = WIRE_BAD_MESSAGE;\n"
                   f"        else if (server->{m.name} != nullptr) {{\n"
                   f"            {p.name}_{side}_take_{m.name}(server, context, &w, call);\n            return;\n        }}\n"
                   "        break;\n")
    out.append("    default:\n        status = WIRE_BAD_ORDINAL;\n        break;\n    }\n"
               "    wire_refuse(received, status);\n}\n\n")
    return "".join(out)


def error_code(p, index):
    return 0x10000 + p.id * 0x100 + index


def header(p):
    up = p.name.upper()
    out = [HEADER.format(p.name), f"//\n// {p.doc}\n#pragma once\n\n#include <sdk/wire.h>\n\n",
           f"constexpr uint32_t {up}_PROTOCOL = {p.id:#x};\nconstexpr uint16_t {up}_VERSION = {p.version};\n\n"]
    for i, e in enumerate(p.errors, 1):
        out.append(f"constexpr status_t {up}_{e['name']} = (status_t){error_code(p, i):#x}; // {e['doc']}\n")
    out.append(f"\nenum {p.name}_ordinal : uint16_t {{\n")
    out += [f"    {up}_{m.name.upper()} = {m.ordinal},\n" for m in p.messages]
    out.append("};\n\n")
    for m in p.messages:
        full = f"{p.name}_{m.name}"
        if m.has_request:
            out.append(struct(f"{full}_{'request' if m.call else 'notice'}", m.request, m.request_handles))
        if m.has_reply:
            out.append(struct(f"{full}_reply", m.reply, m.reply_handles))
    for m in p.messages:
        full = f"{p.name}_{m.name}"
        out.append(send_function(p, m, full))
        if m.call:
            out.append(answer_function(m, full))
    for side, from_client in (("server", True), ("client", False)):
        messages = [m for m in p.messages if m.from_client == from_client]
        if messages:
            out.append(operations(p, messages, side))
            out.append(dispatcher(p, messages, side))
    return "".join(out).rstrip() + "\n"


def errors_header(protocols):
    out = [HEADER.format("*"), "#pragma once\n\n#include <stdint.h>\n\n",
           "static const struct {\n    uint64_t status;\n    const char *name;\n} protocol_errors[] = {\n",
           '    {0x10001, "BAD_MESSAGE"},\n    {0x10002, "BAD_PROTOCOL"},\n    {0x10003, "BAD_ORDINAL"},\n'
           '    {0x10004, "DEFERRED"},\n']
    for p in protocols:
        out += [f'    {{{error_code(p, i):#x}, "{e["name"]}"}},\n' for i, e in enumerate(p.errors, 1)]
    return "".join(out) + "};\n"


def main():
    out, protocols = Path(sys.argv[1]), sorted((Protocol(p) for p in sys.argv[2:]), key=lambda p: p.id)
    for key in ("id", "name"):
        values = [getattr(p, key) for p in protocols]
        for value in values:
            if values.count(value) > 1:
                refuse("proto", f"two protocols with the {key} {value!r}")
    for p in protocols:
        if not 1 <= p.id <= 0xff:
            refuse(p.name, "the id is 1 to 255")
    out.mkdir(parents=True, exist_ok=True)
    texts = {f"{p.name}.h": header(p) for p in protocols}
    texts |= {"errors.h": errors_header(protocols)}
    for name, text in texts.items():
        target = out / name
        if not target.exists() or target.read_text() != text:  # keep times: nothing rebuilds for nothing
            target.write_text(text)


if __name__ == "__main__":
    main()
