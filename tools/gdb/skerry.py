# SPDX-License-Identifier: MIT
"""Skerry for gdb-multiarch: what the kernel's structures mean, of either machine.

    gdb-multiarch build/x86_64-dev/kernel.elf -x tools/gdb/skerry.py -ex 'target remote :1234'

Pointers and references to objects, threads, processes, accounts and CPUs print as what they are;
so do handles in tables and messages. `help skerry` lists the commands, which walk the kernel's
own tables in the stopped machine. Names come from build/gen/gdb (tools/gdbgen.py), the layout
from the debug information: nothing is stated here a second time.
"""

import sys
from pathlib import Path

import gdb

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "build" / "gen" / "gdb"))

import skerry_tables as tables  # noqa: E402


# ---- reading


def number(value):
    """The integer in a value: plain, atomic, an enum, or a struct counter."""
    kind = value.type.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_STRUCT:
        return number(value[kind.fields()[0]])
    return int(value.cast(gdb.lookup_type("unsigned long")))


def enumerator(value, prefix):
    """The name of an enum's value, without what all of that enum begin with."""
    wanted, kind = number(value), value.type.unqualified().strip_typedefs()
    if kind.code != gdb.TYPE_CODE_ENUM:  # an atomic one
        kind = kind.target()
    for field in kind.fields():
        if field.enumval == wanted:
            return field.name.removeprefix(prefix)
    return f"{prefix}{wanted}?"


def address(value):
    """Where a pointer leads, an atomic one too."""
    return int(value.cast(gdb.lookup_type("unsigned long")))


def at(place, kind):
    return gdb.Value(place).cast(gdb.lookup_type(f"struct {kind}").pointer()).dereference()


def text(value):
    """A char array up to its zero."""
    return bytes(number(value[i]) for i in range(value.type.range()[1] + 1)).split(b"\0")[0].decode(
        errors="replace")


def bits(value, names, base="0x{:x}"):
    """Names of the bits that are set; what has no name, in hexadecimal."""
    found = [name for bit, name in names if value >> bit & 1]
    rest = value & ~sum(1 << bit for bit, _ in names)
    return "|".join(found + ([base.format(rest)] if rest or not found else []))


def rights(value):
    return bits(value, list(enumerate(tables.RIGHTS)))


def signals(value):
    return bits(value, list(tables.SIGNALS.items()))


def indexed(names, value):
    return names[value] if value < len(names) else f"{value}?"


def status(value):
    return indexed(tables.STATUSES, value)


# ---- the kernel's structures in words


def owner(process):
    return text(at(process, "process")["name"]) if process else "-"


def thread_words(thread):
    words = enumerator(thread["run_state"], "THREAD_")
    if words == "BLOCKED":
        words += f" {enumerator(thread['wait_kind'], 'WAIT_').lower()}"
    return f"{owner(address(thread['process']))}, {words}, CPU {home(thread)}"


def home(thread):
    cpu = address(thread["home"])
    return str(number(at(cpu, "cpu")["number"])) if cpu else "-"


def account_words(account):
    def figure(name):
        value = account[name]
        return (f"{number(value['used'])}+{number(value['children'])} of {number(value['limit'])} {name}")
    return f"{text(account['name'])}, {figure('pages')}, {figure('objects')}"


BODIES = {
    "thread": thread_words,
    "process": lambda process: text(process["name"]),
    "account": account_words,
    "interrupt": lambda interrupt: f"line {number(interrupt['line'])}, {number(interrupt['count'])} times",
    "channel": lambda channel: f"{number(channel['queued'])} of {number(channel['depth'])} queued",
    "vmo": lambda vmo: f"{number(vmo['pages'])} pages",
    "mapping": lambda mapping: f"{number(mapping['pages'])} pages at {number(mapping['address']):#x}",
}


def object_type(item):
    return indexed(tables.OBJECTS, number(item["type"]))


def object_state(item):
    kind, life = object_type(item), enumerator(item["life"], "LIFE_")
    if life == "FREE" or kind not in tables.STATES:
        return life
    state = item["state"] if kind != "thread" else at(int(item.address), "thread")["run_state"]
    name = indexed(tables.STATES[kind], number(state))
    return name if life == "LIVE" else f"{life} {name}"


def object_words(item):
    """One object, and what is special to its type."""
    if enumerator(item["life"], "LIFE_") == "FREE":
        return "free slot"
    kind = object_type(item)
    words = f"{kind} {number(item['id'])} {object_state(item)}"
    if kind in BODIES:
        words += f" ({BODIES[kind](at(int(item.address), kind))})"
    raised = number(item["signals"])
    return words + (f" {signals(raised)}" if raised else "")


def handle_words(value):
    return f"slot {value & 0xffffffff} generation {value >> 32}"


def entry_words(entry):
    """An entry of a handle table."""
    tag, word = number(entry["tag"]), number(entry["word"])
    phase = next(field.name.removeprefix("HANDLE_") for field in gdb.lookup_type("enum handle_phase").fields()
                 if field.enumval == tag & 3)
    if phase == "FREE":
        return f"free, generation {tag >> 2}"
    item = object_at(word & 0xffffff)
    gone = number(item["generation"]) != number(entry["object_generation"])
    what = f"{indexed(tables.OBJECTS, word >> 24 & 0xff)}, gone" if gone else object_words(item)
    return f"{phase} generation {tag >> 2}: {what}, {rights(word >> 32)}"


def reference_words(reference):
    place = address(reference["object"])
    if not place:
        return "none"
    item = at(place, "object")
    if number(item["generation"]) != number(reference["generation"]):
        return f"{place:#x} gone"
    return f"{place:#x} {object_words(item)}"


def transfer_words(transfer):
    return f"{reference_words(transfer)}, {rights(number(transfer['rights']))}"


def lookup_words(lookup):
    return f"{handle_words(number(lookup['handle']))}: {transfer_words(lookup)}"


def cpu_words(cpu):
    current = address(cpu["current"])
    return f"CPU {number(cpu['number'])}, " + (thread_words(at(current, "thread")) if current else "no thread")


# ---- printers


class Words:
    """A value that prints as one line."""

    def __init__(self, function, value):
        self.function, self.value = function, value

    def to_string(self):
        try:
            return self.function(self.value)
        except gdb.MemoryError:
            return "(unreadable)"


def first(value):
    return object_words(value["object"])


VALUES = {"object": object_words, "object_ref": reference_words, "handle_entry": entry_words,
          "handle_transfer": transfer_words, "handle_lookup": lookup_words}
# A pointer leads on to the fields (`print *thread`), so it may print as a summary.
POINTERS = {"object": object_words, "cpu": cpu_words}
POINTERS |= {name: first for name in tables.OBJECTS if name not in ("none", "log", "machine", "event")}


def printer(value):
    kind = value.type.unqualified().strip_typedefs()
    if kind.code == gdb.TYPE_CODE_PTR:
        target = kind.target().unqualified().strip_typedefs()
        if target.code == gdb.TYPE_CODE_STRUCT and target.tag in POINTERS and int(value):
            return Words(lambda v: f"{int(v):#x} {POINTERS[target.tag](v.dereference())}", value)
    elif kind.code == gdb.TYPE_CODE_STRUCT and kind.tag in VALUES:
        return Words(VALUES[kind.tag], value)
    return None


gdb.pretty_printers.insert(0, printer)


class Convenience(gdb.Function):
    """$handle(v), $rights(v), $signals(v), $status(v): numbers in words."""

    def __init__(self, name, function):
        super().__init__(name)
        self.function = function

    def invoke(self, value):
        return self.function(number(value))


for function_name, convenience in (("handle", handle_words), ("rights", rights), ("signals", signals),
                                   ("status", status)):
    Convenience(function_name, convenience)


# ---- the kernel's tables


def variable(name):
    """A variable of the kernel's, whatever the stopped code calls so."""
    symbol = gdb.lookup_global_symbol(name) or gdb.lookup_static_symbol(name)
    if symbol is None:
        raise gdb.GdbError(f"no variable {name}: gdb needs the kernel.elf of this machine")
    return symbol.value()


def object_at(index):
    return at(address(variable("slots")["table"]) + index * tables.SLOT_BYTES, "object")


def objects(kind=None):
    """Every object that there is, of one type."""
    for index in range(number(variable("slots")["fresh"])):
        item = object_at(index)
        if enumerator(item["life"], "LIFE_") != "FREE" and kind in (None, object_type(item)):
            yield item


def all_cpus():
    table = variable("cpus")
    for i in range(table.type.range()[1] + 1):
        if not int(table[i]):
            return
        yield table[i].dereference()


def row(widths, *cells):
    print("  ".join(f"{cell:<{width}}" if width > 0 else f"{cell:>{-width}}"
                    for width, cell in zip(widths, cells)).rstrip())


# ---- commands


class Skerry(gdb.Command):
    """The kernel's tables."""

    def __init__(self):
        super().__init__("skerry", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)


class Table(gdb.Command):
    """A command below `skerry`; its documentation is the function's, which begins with its name."""

    def __init__(self, function):
        self.__doc__ = function.__doc__
        self.function = function
        super().__init__("skerry " + function.__doc__.split()[1].rstrip(":"), gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        self.function(*gdb.string_to_argv(argument))


def cpus():
    """skerry cpus: what each CPU runs, and its figures."""
    widths = (-3, 44, -4, -10, -10, -8, -8)
    row(widths, "CPU", "THREAD", "PRIO", "SWITCHES", "POSTS", "FLUSHES", "READY")
    for cpu in all_cpus():
        current = address(cpu["current"])
        words = thread_words(at(current, "thread")) if current else "-"
        row(widths, number(cpu["number"]), words, number(cpu["priority"]), number(cpu["switches"]),
            number(cpu["posts"]), number(cpu["flushes"]), f"{number(cpu['ready_mask']):#x}")


def threads():
    """skerry threads: every thread, its state, what it waits for, its home CPU."""
    widths = (-6, 16, 10, 10, -4, -4, -10, 20)
    row(widths, "ID", "PROCESS", "STATE", "WAITS FOR", "PRIO", "CPU", "CPU ms", "ADDRESS")
    for item in objects("thread"):
        thread = at(int(item.address), "thread")
        state = enumerator(thread["run_state"], "THREAD_")
        waits = enumerator(thread["wait_kind"], "WAIT_").lower() if state == "BLOCKED" else "-"
        row(widths, number(item["id"]), owner(address(thread["process"])), state, waits,
            number(thread["priority"]), home(thread), f"{number(thread['cpu_ns']) / 1e6:.3f}",
            f"{int(item.address):#x}")


def list_objects(kind=None):
    """skerry objects [TYPE]: every object, or those of one type."""
    if kind is not None and kind not in tables.OBJECTS[1:]:
        raise gdb.GdbError(f"no such type; they are: {', '.join(tables.OBJECTS[1:])}")
    count = 0
    for item in objects(kind):
        print(f"{int(item.address):#x} {object_words(item)}")
        count += 1
    print(f"{count} objects")


def accounts():
    """skerry accounts: who pays for how much."""
    widths = (16, 10, -22, -22, -22, -12)
    row(widths, "ACCOUNT", "STATE", "PAGES (children) limit", "OBJECTS", "CONTIGUOUS", "QUARANTINED")

    def figure(value):
        return f"{number(value['used'])} ({number(value['children'])}) {number(value['limit'])}"
    for item in objects("account"):
        account = at(int(item.address), "account")
        row(widths, text(account["name"]), object_state(item), figure(account["pages"]),
            figure(account["objects"]), figure(account["contiguous"]),
            number(account["quarantined_pages"]))


def handles(name=None):
    """skerry handles PROCESS: a process's handle table."""
    found = [at(int(item.address), "process") for item in objects("process")]
    found = [process for process in found if text(process["name"]) == name]
    if not found:
        raise gdb.GdbError("skerry handles PROCESS: the name of a process")
    for process in found:
        for page in range(number(process["handle_pages"])):
            entries = address(process["pages"][page])
            kind = gdb.lookup_type("struct handle_entry")
            for i in range(4096 // kind.sizeof):
                entry = at(entries + i * kind.sizeof, "handle_entry")
                if number(entry["tag"]) & 3:
                    print(f"slot {page * (4096 // kind.sizeof) + i}: {entry_words(entry)}")


def invariants():
    """skerry invariants: how often each was checked (dev builds)."""
    counts = variable("invariant_evaluations")
    for i, (name, what) in enumerate(tables.INVARIANTS):
        row((4, -12, 80), name, number(counts[i]), what)


Skerry()
for command in (cpus, threads, list_objects, accounts, handles, invariants):
    Table(command)
