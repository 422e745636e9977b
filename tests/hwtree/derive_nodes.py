# SPDX-License-Identifier: MIT
"""Registers and interrupts of every node, resolved anew from what dtc prints (derive.py), to be held
against the tree that lib/hwtree prints. Numbers are Python's, so nothing wraps; what cannot be
resolved is left out on this side, too."""

from derive import GICS

GIC_LINES = set(GICS) | {"nvidia,tegra210-ictlr", "nvidia,tegra210-agic", "mediatek,mt6577-sysirq",
                         "ti,omap4-wugen-mpu", "fsl,imx7d-gpc", "fsl,imx8mq-gpc", "fsl,imx8mm-gpc",
                         "fsl,imx8mn-gpc", "fsl,imx8mp-gpc"}
NO_FLAGS = {"brcm,bcm2835-armctrl-ic", "brcm,bcm2836-armctrl-ic", "samsung,exynos4210-combiner"}
GIC_LIMITS = {0: 988, 1: 16, 2: 1024, 3: 64}
PCI_SPACE = 0x03000000


def cell(node, name, otherwise):
    cells = node.cells(name)
    return cells[0] if cells else otherwise


def number(cells):
    value = 0
    for c in cells:
        value = value << 32 | c
    return value


def is_pci(node):
    return node.text("device_type") in ("pci", "pciex")


def rows(cells, *widths):
    step = sum(widths)
    for at in range(0, len(cells) - step + 1, step):
        row, place = [], at
        for width in widths:
            row.append(cells[place:place + width])
            place += width
        yield row


def address_cells(node):
    return cell(node, "#address-cells", 2)


def translate(bus, address, size):
    """The CPU's address of one on a bus (a list of cells), "local", or None: no row covers it."""
    while bus.parent is not None:
        if "ranges" not in bus.properties:
            return "local"
        cells = bus.cells("ranges")
        if cells:
            widths = address_cells(bus), address_cells(bus.parent), cell(bus, "#size-cells", 1)
            for child, parent, length in rows(cells, *widths):
                if is_pci(bus):
                    if (child[0] ^ address[0]) & PCI_SPACE:
                        continue
                    base, at = number(child[1:]), number(address[1:])
                else:
                    base, at = number(child), number(address)
                if base <= at and at + size <= base + number(length):
                    high, low = (parent[:1], parent[1:]) if len(parent) == 3 else ([], parent)
                    value = number(low) + at - base
                    address = high + [value >> 32, value & 0xffffffff]
                    break
            else:
                return None
        bus = bus.parent
    return number(address[-2:])


def registers(node):
    """(memory, local): each a list of (base, bytes)."""
    memory, local = [], []
    bus = node.parent
    if bus is None:
        return memory, local
    size_cells = cell(bus, "#size-cells", 1)
    if address_cells(bus) + size_cells == 0:
        return memory, local
    for address, length in rows(node.cells("reg"), address_cells(bus), size_cells):
        size = number(length)
        if is_pci(bus) and len(address) == 3 and not address[0] & PCI_SPACE:
            continue
        found = translate(bus, address, size) if size_cells else "local"
        if found == "local":
            local.append((number(address[-2:]), size))
        elif found is not None and size:
            memory.append((found, size))
    return memory, local


class Interrupts:
    def __init__(self, root):
        self.phandles = {n.cells("phandle")[0]: n for n in root.walk() if n.cells("phandle")}

    def parent(self, node):
        for _ in range(64):
            said = node.cells("interrupt-parent")
            node = self.phandles.get(said[0]) if said else node.parent
            if node is None or "#interrupt-cells" in node.properties:
                return node
        return None

    def count(self, node):
        return cell(node, "#interrupt-cells", 0)

    def line(self, node, cells):
        """(the controller's path, high, low, flags) as it is printed; None: it has no such line."""
        names, flags = set(node.texts("compatible")), 0
        if names & GIC_LINES:
            kind, low, flags = cells[:3]
            if low >= GIC_LIMITS.get(kind, 0):
                return None
            high = kind
        else:
            numbers = cells
            if len(cells) > 1 and not names & NO_FLAGS:
                numbers, flags = cells[:-1], cells[-1]
            width = 32 if len(numbers) <= 2 else 16
            value = 0
            for c in numbers:
                if c >> width:
                    return None
                value = value << width | c
            high, low = value >> 32, value & 0xffffffff
        flags &= 15
        return node.path(), high, low, flags if flags in (1, 2, 3, 4, 8) else 0

    def resolve(self, node, unit, cells):
        for _ in range(16):
            if "interrupt-controller" in node.properties:
                return self.line(node, cells)
            if "interrupt-map" not in node.properties:
                return None
            owner = node
            while "#address-cells" not in owner.properties and owner.parent is not None:
                owner = owner.parent
            width = address_cells(owner)
            key = (unit + [0] * width)[:width] + cells
            mask = node.cells("interrupt-map-mask") or [0xffffffff] * len(key)
            found, entries, at = None, node.cells("interrupt-map"), 0
            while at < len(entries) and found is None:
                row = entries[at:at + len(key)]
                target = self.phandles.get(entries[at + len(key)])
                if target is None:
                    return None
                at += len(key) + 1
                units = cell(target, "#address-cells", 0)
                end = at + units + self.count(target)
                if all((a ^ b) & m == 0 for a, b, m in zip(row, key, mask)):
                    found = target, entries[at:at + units], entries[at + units:end]
                at = end
            if found is None:
                return None
            node, unit, cells = found
        return None

    def of(self, node):
        unit, found = node.cells("reg"), []
        if "interrupts-extended" in node.properties:
            cells, at = node.cells("interrupts-extended"), 0
            while at < len(cells):
                target = self.phandles.get(cells[at])
                at += 1
                if target is None:
                    if cells[at - 1] == 0:
                        continue
                    break
                found.append(self.resolve(target, unit, cells[at:at + self.count(target)]))
                at += self.count(target)
        elif "interrupts" in node.properties:
            parent = self.parent(node)
            if parent is not None and self.count(parent):
                for (cells,) in rows(node.cells("interrupts"), self.count(parent)):
                    found.append(self.resolve(parent, unit, cells))
        return [f for f in found if f is not None]


def printed_registers(node):
    return [(number(base), number(size)) for base, size in rows(node.cells("reg"), 2, 2)]


def printed_interrupts(node):
    return [(target.removeprefix("&{").removesuffix("}"), high, low, flags)
            for (target, high, low, flags) in
            (tuple(c for part in row for c in part) for row in rows(node.cells("interrupts-extended"), 1, 3))]


def compare(root, printed):
    """(how many ranges and interrupts are the same, what is different)"""
    interrupts, wrong, counts = Interrupts(root), [], [0, 0]

    def look(node, other):
        memory, local = registers(node)
        got = printed_registers(other)
        if got != (memory or local):
            wrong.append(f"{node.path()}: reg is {got}, expected {memory or local}")
        counts[0] += len(memory)
        expected, got = interrupts.of(node), printed_interrupts(other)
        if got != expected:
            wrong.append(f"{node.path()}: interrupts are {got}, expected {expected}")
        counts[1] += len(expected)
        others = other.children[:len(node.children)]  # what the blob reserves comes behind
        if [c.name for c in node.children] != [c.name for c in others]:
            wrong.append(f"{node.path()}: other children")
        for child, other_child in zip(node.children, others):
            look(child, other_child)

    look(root, printed)
    return counts, wrong
