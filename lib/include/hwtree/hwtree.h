// SPDX-License-Identifier: MIT
//
// The hardware tree: one normalised form of a machine's devices, whatever told of them. It is one
// block of memory with offsets instead of pointers, written once (builder.h) and then only read, so
// that it can be handed to another process or kept in a file. docs/hwtree.md describes it.
//
// Everything in a node is absolute: physical addresses, lines in the numbering of the controller
// that they end at, references by the number of a node. What could not be resolved is listed with
// its cause and its place.
//
// Invariants, which hwtree_check() verifies of a block from elsewhere:
//   T1  node 0 is the root; the parent of every other node has a lower number
//   T2  the lists of children are in rising order and hold every node but the root once
//   T3  a span lies within its section, a reference is a node, a text ends within the texts
//   T4  no range of addresses wraps
//   T5  names of nodes consist of the characters that the specification allows, and are together
//       not longer than the texts
// A reader that was given a block that passed may use everything here without a further check.
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr uint32_t HWTREE_MAGIC = 0x54574853; // "SHWT", in the byte order of the machine
constexpr uint16_t HWTREE_VERSION = 1;
constexpr uint32_t HWTREE_NONE = UINT32_MAX; // no node; no number
constexpr uint16_t HWTREE_NO_PLACE = UINT16_MAX;
constexpr unsigned HWTREE_DEPTH_MAX = 64;
constexpr unsigned HWTREE_PATH_BYTES = 512; // enough for a path that is worth printing

enum hwtree_section : uint32_t {
    HWTREE_NODES,
    HWTREE_RANGES,
    HWTREE_INTERRUPTS,
    HWTREE_DMA,
    HWTREE_IDS,
    HWTREE_WINDOWS,
    HWTREE_ROUTES,
    HWTREE_ALIASES,
    HWTREE_DISTANCES,
    HWTREE_PROBLEMS,
    HWTREE_TEXT, // bytes; the first is 0, so that offset 0 is the empty text
    HWTREE_SECTIONS,
};

// A list of elements of a section: [first, first + count). Of texts: `count` of them, one behind
// the other, the first at offset `first`. Of a section itself: its offset in the block.
struct hwtree_span {
    uint32_t first, count;
};

enum hwtree_origin : uint32_t { HWTREE_DEVICE_TREE, HWTREE_ACPI, HWTREE_ORIGINS };

// Why something is not in the tree, or cannot be right.
enum hwtree_cause : uint32_t {
    HWTREE_MALFORMED,      // a property or an entry has a length or a value that it cannot have
    HWTREE_NO_TARGET,      // it names a node that is not there
    HWTREE_NOT_CONTROLLER, // it leads to a node that takes no interrupts
    HWTREE_NO_CELLS,       // how long an element is, is not said, or makes no sense
    HWTREE_NO_ROW,         // no row of a map is for it
    HWTREE_BAD_LINE,       // the controller has no such line
    HWTREE_OUTSIDE,        // no range of a bus above covers it
    HWTREE_WRAPS,          // it runs over the end of the address space
    HWTREE_LOOP,           // following it comes to no end
    HWTREE_DUPLICATE,      // another one says the same of itself
    HWTREE_OVERLAP,        // two that must be apart are not
    HWTREE_MISSING,        // every machine has it, and this one does not say so
    HWTREE_BAD_TABLE,      // a table's length or sum is wrong
    HWTREE_TOO_DEEP,       // more levels than HWTREE_DEPTH_MAX
    HWTREE_TOO_LONG,       // reading it all would take too long
    HWTREE_NO_ROOM,        // the block is full
    HWTREE_CAUSES,
};

struct hwtree {
    uint32_t magic;
    uint16_t version, header_bytes;
    uint32_t bytes; // of the whole block, a multiple of 8
    enum hwtree_origin origin;
    struct hwtree_span sections[HWTREE_SECTIONS];
    uint32_t console;                 // the node that firmware names for messages
    uint32_t controller;              // where the interrupts of the machine end
    uint32_t problems[HWTREE_CAUSES]; // how many of each; the section may hold fewer
};
static_assert(sizeof(struct hwtree) % 8 == 0);

// ---- nodes

enum hwtree_kind : uint16_t {
    HWTREE_DEVICE, // no facts beyond those that all have
    HWTREE_CPU,
    HWTREE_MEMORY,
    HWTREE_RESERVED,
    HWTREE_CONTROLLER,
    HWTREE_TIMER,
    HWTREE_CONSOLE,
    HWTREE_PCI_HOST,
    HWTREE_PCI_FUNCTION,
    HWTREE_IOMMU,
    HWTREE_KINDS,
};

enum hwtree_status : uint8_t {
    HWTREE_OKAY,
    HWTREE_DISABLED,
    HWTREE_FIRMWARE_USE, // the firmware has it: status "reserved"
    HWTREE_FAILED,
    HWTREE_STATUSES,
};

enum hwtree_flags : uint8_t {
    HWTREE_AVAILABLE = 1 << 0, // it and everything above it is okay
    HWTREE_COHERENT = 1 << 1,  // its DMA sees the caches
    HWTREE_LIMITED = 1 << 2, // `dma` is all that it reaches; else it reaches memory as the CPU does
    HWTREE_FLAGS = 7,
};

enum hwtree_method : uint8_t {
    HWTREE_RUNNING, // nothing is said: it is the boot CPU, or the machine has one way for all
    HWTREE_PSCI,
    HWTREE_SPIN_TABLE,
    HWTREE_PARKED, // ACPI's parking protocol
    HWTREE_INIT,   // INIT and startup interrupts of a local APIC
    HWTREE_OTHER_METHOD,
    HWTREE_METHODS,
};

struct hwtree_cpu {
    uint64_t id;          // MPIDR affinity, or the id of the local APIC
    uint64_t release;     // HWTREE_SPIN_TABLE: where it looks; HWTREE_PARKED: its page
    uint32_t uid;         // ACPI's number for it, or HWTREE_NONE
    uint32_t method_name; // text, of what the device tree says
    uint16_t socket, cluster, core, thread; // HWTREE_NO_PLACE: not said
    enum hwtree_method method;
    uint8_t reserved[7];
};

struct hwtree_memory {
    uint32_t flags;
    uint32_t reserved[9];
};
enum hwtree_memory_flags : uint32_t {
    HWTREE_MEMORY_HOTPLUG = 1 << 0,
    HWTREE_MEMORY_PERSISTENT = 1 << 1,
};

struct hwtree_reserved {
    uint64_t bytes; // of one that has no place yet: the boot chooses one; else 0
    uint32_t flags;
    uint32_t reserved[7];
};
enum hwtree_reserved_flags : uint32_t {
    HWTREE_RESERVED_NO_MAP = 1 << 0,
    HWTREE_RESERVED_REUSABLE = 1 << 1,
};

enum hwtree_controller_variant : uint32_t {
    HWTREE_CONTROLLER_OTHER,
    HWTREE_CONTROLLER_GPIO,
    HWTREE_CONTROLLER_GICV2,     // and GICv1
    HWTREE_CONTROLLER_GICV3,     // and GICv4
    HWTREE_CONTROLLER_GIC_FRAME, // GICv2m: messages become lines of the GIC
    HWTREE_CONTROLLER_GIC_ITS,
    HWTREE_CONTROLLER_LOCAL_APIC,
    HWTREE_CONTROLLER_IO_APIC,
    HWTREE_CONTROLLER_VARIANTS,
};

struct hwtree_controller {
    enum hwtree_controller_variant variant;
    uint32_t cells; // of a device tree's specifier
    uint32_t
        line_first; // GICv2m: the first line that it raises; I/O APIC: its first input's number
    uint32_t line_count; // 0: the hardware says
    uint32_t id;         // ACPI's, or HWTREE_NONE
    uint32_t gic_lines;  // 1: its lines are numbered like those of a GIC
    uint32_t reserved[4];
};

enum hwtree_timer_variant : uint32_t {
    HWTREE_TIMER_OTHER,
    HWTREE_TIMER_ARM, // system registers; interrupts: secure, non-secure, virtual, hypervisor
    HWTREE_TIMER_ARM_FRAMES, // memory-mapped
    HWTREE_TIMER_HPET,
    HWTREE_TIMER_PM, // the ACPI power management timer
    HWTREE_TIMER_VARIANTS,
};

struct hwtree_timer {
    enum hwtree_timer_variant variant;
    uint32_t hz;   // 0: not said
    uint32_t bits; // of its counter; 0: not said
    uint32_t reserved[7];
};

struct hwtree_console {
    uint32_t options; // text: what stands behind the ':' of stdout-path
    uint32_t baud;    // 0: not said
    uint32_t reserved[8];
};

struct hwtree_pci_host {
    struct hwtree_span windows, routes;
    uint32_t segment;
    uint32_t address_mask, pin_mask; // before a function is looked for among the routes
    uint8_t first_bus, last_bus;
    uint8_t ecam; // 1: range 0 is the configuration space of these buses, a MiB each
    uint8_t reserved[9];
};

struct hwtree_pci_function {
    uint32_t segment;
    uint32_t class_code; // class, subclass, interface
    uint16_t requester;  // bus, device, function
    uint16_t vendor, device;
    uint8_t pin; // 1 to 4; 0: it has none
    uint8_t reserved[25];
};

enum hwtree_iommu_variant : uint32_t {
    HWTREE_IOMMU_OTHER,
    HWTREE_IOMMU_SMMU, // v1 and v2
    HWTREE_IOMMU_SMMUV3,
    HWTREE_IOMMU_DMAR, // Intel VT-d
    HWTREE_IOMMU_VARIANTS,
};

struct hwtree_iommu {
    enum hwtree_iommu_variant variant;
    uint32_t segment;
    uint32_t everything; // 1: it stands before all functions of its segment that no other names
    uint32_t reserved[7];
};

constexpr size_t HWTREE_FACTS_BYTES = 40;

struct hwtree_node {
    uint32_t parent, first_child, next;
    uint32_t name;                 // text
    struct hwtree_span compatible; // texts, best first
    struct hwtree_span ranges, interrupts, dma, ids;
    uint32_t interrupt_parent; // the controller or nexus of its interrupts, or HWTREE_NONE
    uint32_t numa;             // HWTREE_NONE: not said
    uint32_t phandle;          // 0: none
    enum hwtree_kind kind;
    enum hwtree_status status;
    uint8_t flags;
    union {
        uint64_t words[HWTREE_FACTS_BYTES / 8];
        struct hwtree_cpu cpu;
        struct hwtree_memory memory;
        struct hwtree_reserved reserved;
        struct hwtree_controller controller;
        struct hwtree_timer timer;
        struct hwtree_console console;
        struct hwtree_pci_host pci_host;
        struct hwtree_pci_function pci_function;
        struct hwtree_iommu iommu;
    };
};
static_assert(sizeof(struct hwtree_node) == 72 + HWTREE_FACTS_BYTES);

// ---- what nodes have

enum hwtree_space : uint32_t {
    HWTREE_SPACE_MEMORY, // physical addresses of the CPU
    HWTREE_SPACE_IO,     // I/O ports
    HWTREE_SPACE_BUS,    // a number on a bus that the CPU does not address: I2C, SPI, CPUs
    HWTREE_SPACE_CONFIG, // the requester id of a PCI function
    HWTREE_SPACES,
};

struct hwtree_range {
    uint64_t base, bytes; // never wraps; `bytes` may be 0 in HWTREE_SPACE_BUS and _CONFIG only
    enum hwtree_space space;
    uint32_t name; // text
};

enum hwtree_trigger : uint8_t {
    HWTREE_TRIGGER_UNKNOWN,
    HWTREE_TRIGGER_EDGE,
    HWTREE_TRIGGER_LEVEL,
    HWTREE_TRIGGERS,
};
enum hwtree_polarity : uint8_t {
    HWTREE_POLARITY_UNKNOWN,
    HWTREE_POLARITY_HIGH, // or rising
    HWTREE_POLARITY_LOW,  // or falling
    HWTREE_POLARITY_BOTH,
    HWTREE_POLARITIES,
};

// `line` is the controller's own number: an INTID of a GIC, a global system interrupt of an
// I/O APIC. Of other controllers: the cells of the specifier without the flags, packed with the
// first as the highest: 32 bits each of two, 16 bits each of three.
struct hwtree_interrupt {
    uint64_t line;
    uint32_t controller;
    uint32_t name; // text
    enum hwtree_trigger trigger;
    enum hwtree_polarity polarity;
    uint8_t reserved[6];
};

// What a device's DMA addresses [device, device + bytes) reach: memory from `cpu` on.
struct hwtree_dma {
    uint64_t device, cpu, bytes;
};

enum hwtree_id_kind : uint32_t { HWTREE_ID_MSI, HWTREE_ID_IOMMU, HWTREE_ID_KINDS };

// The ids by which `target` knows a device: its own ids [input, input + count), after `input_mask`,
// become [output, ...). A device that is on no bus with ids has the one input 0.
struct hwtree_id {
    enum hwtree_id_kind kind;
    uint32_t target;
    uint32_t input, input_mask, count;
    uint32_t output, output_mask; // SMMUv2: which bits of the output do not matter; else 0
    uint32_t reserved;
};

struct hwtree_window {
    uint64_t bus, cpu, bytes;
    enum hwtree_space space; // memory or I/O, at the CPU's side: I/O windows have memory addresses
    uint8_t io, wide, prefetchable; // 1 or 0
    uint8_t reserved;
};

struct hwtree_route {
    uint32_t address; // bits 15-11 of it: the device, as in the high cell of a PCI address; masked
    uint32_t pin;
    struct hwtree_interrupt interrupt;
};

struct hwtree_alias {
    uint32_t name, node;
};

struct hwtree_distance {
    uint32_t from, to, distance;
};

struct hwtree_problem {
    enum hwtree_cause cause;
    uint32_t node;
    uint32_t property; // text: the property, or the table and entry
    uint32_t value;    // which element of it
};

// ---- reading

static inline const void *hwtree_at(const struct hwtree *tree, enum hwtree_section section)
{
    return (const char *)tree + tree->sections[section].first;
}

static inline uint32_t hwtree_count(const struct hwtree *tree, enum hwtree_section section)
{
    return tree->sections[section].count;
}

static inline const struct hwtree_node *hwtree_node(const struct hwtree *tree, uint32_t node)
{
    return (const struct hwtree_node *)hwtree_at(tree, HWTREE_NODES) + node;
}

static inline const char *hwtree_text(const struct hwtree *tree, uint32_t text)
{
    return (const char *)hwtree_at(tree, HWTREE_TEXT) + text;
}

static inline const char *hwtree_name(const struct hwtree *tree, uint32_t node)
{
    return hwtree_text(tree, hwtree_node(tree, node)->name);
}

// Element `index` of a node's list; `index` is below its count.
static inline const struct hwtree_range *hwtree_range(const struct hwtree *tree, uint32_t node,
                                                      uint32_t index)
{
    return (const struct hwtree_range *)hwtree_at(tree, HWTREE_RANGES) +
           hwtree_node(tree, node)->ranges.first + index;
}

static inline const struct hwtree_interrupt *hwtree_interrupt(const struct hwtree *tree,
                                                              uint32_t node, uint32_t index)
{
    return (const struct hwtree_interrupt *)hwtree_at(tree, HWTREE_INTERRUPTS) +
           hwtree_node(tree, node)->interrupts.first + index;
}

static inline const struct hwtree_dma *hwtree_dma(const struct hwtree *tree, uint32_t node,
                                                  uint32_t index)
{
    return (const struct hwtree_dma *)hwtree_at(tree, HWTREE_DMA) +
           hwtree_node(tree, node)->dma.first + index;
}

static inline const struct hwtree_id *hwtree_id(const struct hwtree *tree, uint32_t node,
                                                uint32_t index)
{
    return (const struct hwtree_id *)hwtree_at(tree, HWTREE_IDS) +
           hwtree_node(tree, node)->ids.first + index;
}

static inline const struct hwtree_window *hwtree_window(const struct hwtree *tree, uint32_t host,
                                                        uint32_t index)
{
    return (const struct hwtree_window *)hwtree_at(tree, HWTREE_WINDOWS) +
           hwtree_node(tree, host)->pci_host.windows.first + index;
}

static inline const struct hwtree_route *hwtree_route(const struct hwtree *tree, uint32_t host,
                                                      uint32_t index)
{
    return (const struct hwtree_route *)hwtree_at(tree, HWTREE_ROUTES) +
           hwtree_node(tree, host)->pci_host.routes.first + index;
}

static inline bool hwtree_available(const struct hwtree *tree, uint32_t node)
{
    return (hwtree_node(tree, node)->flags & HWTREE_AVAILABLE) != 0;
}

// The next node in the order of the text: children before siblings. HWTREE_NONE: that was the last.
uint32_t hwtree_next(const struct hwtree *tree, uint32_t node);
// How many nodes stand above it.
unsigned hwtree_depth(const struct hwtree *tree, uint32_t node);

// The child of `parent` with this name, unit address included; HWTREE_NONE: there is none.
uint32_t hwtree_child(const struct hwtree *tree, uint32_t parent, const char *name);
// The node with this path; parts of it may go without their unit address.
uint32_t hwtree_find(const struct hwtree *tree, const char *path, size_t length);
// The first available node that says that it is compatible with `name`, behind `after`
// (HWTREE_NONE: from the start).
uint32_t hwtree_compatible(const struct hwtree *tree, uint32_t after, const char *name);
bool hwtree_is_compatible(const struct hwtree *tree, uint32_t node, const char *name);
// Name `index` of what the node is compatible with; `index` is below the count.
const char *hwtree_compatible_at(const struct hwtree *tree, uint32_t node, uint32_t index);

// Writes the path of a node, cut at the end if it does not fit (`size` > 0).
void hwtree_path(const struct hwtree *tree, uint32_t node, char *path, size_t size);

// The id that `kind` of target knows the device `node` by; for a function on a bus the maps of its
// host are used, with its requester id. false: it has none.
bool hwtree_device_id(const struct hwtree *tree, uint32_t node, enum hwtree_id_kind kind,
                      uint32_t *target, uint32_t *id);

const char *hwtree_cause_name(enum hwtree_cause cause); // a word
const char *hwtree_cause_text(enum hwtree_cause cause); // a sentence's end
const char *hwtree_kind_name(enum hwtree_kind kind);

// ---- check.c

// Whether a block of `bytes` bytes, aligned to 8, from a source that is not trusted, is a hardware
// tree: T1 to T5. `why` gets what is wrong. Takes time linear in `bytes`. The memory must not
// change afterwards: copy what another process can still write.
[[nodiscard]] bool hwtree_check(const void *block, size_t bytes, const char **why);
