// SPDX-License-Identifier: MIT
// build: platform/aarch64/describe_fdt.c platform/aarch64/describe_power.c platform/fdt.c platform/fdt_chosen.c platform/fdt_cpus.c platform/fdt_interrupt.c platform/fdt_memory.c platform/fdt_reg.c platform/boot_info.c user/devd/tree.c lib/firmware/acpi.c lib/firmware/fdt.c lib/hwtree/acpi.c lib/hwtree/acpi_arm.c lib/hwtree/acpi_devices.c lib/hwtree/acpi_dmar.c lib/hwtree/acpi_madt.c lib/hwtree/acpi_numa.c lib/hwtree/acpi_pci.c lib/hwtree/acpi_pptt.c lib/hwtree/aml.c lib/hwtree/aml_resources.c lib/hwtree/aml_terms.c lib/hwtree/builder.c lib/hwtree/check.c lib/hwtree/copy.c lib/hwtree/diff.c lib/hwtree/fdt.c lib/hwtree/fdt_interrupts.c lib/hwtree/fdt_kinds.c lib/hwtree/fdt_pci.c lib/hwtree/fdt_ranges.c lib/hwtree/print.c lib/hwtree/properties.c lib/hwtree/read.c
//
// Device trees, as the kernel's start and the hardware tree's front end read them: nothing outside of the blob is read, both
// come to an end, and what was found makes sense. The kernel may refuse a tree by a panic that says
// so. What is changed keeps a header that is right.
#include <platform/aarch64/machine.h>
#include <platform/boot_info.h>

#include <arch/arch.h>
#include <hwtree/front.h>
#include <hwtree/text.h>
#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "hwtree_expect.h"
#include "user/devd/tree.h"

constexpr uint64_t BASE = 0x4000'0000; // where the blob is said to be
constexpr size_t HEADER = 40;

static uint8_t *blob;
static size_t blob_bytes;
static jmp_buf refused;

void fuzz_begin(void)
{
}

// ---- what the readers ask for

void *arch_device_map(paddr_t address, size_t bytes, enum arch_memory kind)
{
    FUZZ_EXPECT(kind == ARCH_MEMORY_NORMAL);
    uint64_t at = address.value - BASE;
    return at <= blob_bytes && bytes <= blob_bytes - at ? blob + at : nullptr;
}

static void say(const char *format, va_list arguments)
{
    char line[512]; // the sanitizer sees each byte that is printed
    vsnprintf(line, sizeof(line), format, arguments);
}

void klog(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}

void panic(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    longjmp(refused, 1);
}

// ---- what must hold: the kernel's part

static void expect_sound_ranges(const struct boot_range *ranges, uint32_t count)
{
    FUZZ_EXPECT(count <= BOOT_RANGES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        FUZZ_EXPECT(ranges[i].start < ranges[i].end);
        FUZZ_EXPECT(ranges[i].start % PAGE_SIZE == 0 && ranges[i].end % PAGE_SIZE == 0);
        FUZZ_EXPECT(i == 0 || ranges[i].start > ranges[i - 1].end);
    }
}

static void expect_sound_boot(const struct boot_info *boot, uint64_t boot_cpu)
{
    bool inside = boot->bundle.end == 0;
    FUZZ_EXPECT(strnlen(boot->command_line, sizeof(boot->command_line)) <
                sizeof(boot->command_line));
    for (uint32_t i = 0; i < boot->ram_count; i++)
        inside |= boot->bundle.start >= boot->ram[i].start && boot->bundle.end <= boot->ram[i].end;
    FUZZ_EXPECT(inside && boot->bundle.start % PAGE_SIZE == 0 && boot->bundle.end % PAGE_SIZE == 0);
    FUZZ_EXPECT(boot->cpu_count >= 1 && boot->cpu_count <= BOOT_CPUS_MAX);
    FUZZ_EXPECT(boot->cpu_ids[0] == boot_cpu);
    for (uint32_t i = 0; i < boot->cpu_count; i++)
        for (uint32_t k = 0; k < i; k++)
            FUZZ_EXPECT(boot->cpu_ids[i] != boot->cpu_ids[k]);
}

static void expect_sound_releases(const struct boot_info *boot, const paddr_t *releases)
{
    FUZZ_EXPECT(releases[0].value == 0);
    for (uint32_t i = 0; i < boot->cpu_count; i++) {
        const uint64_t at = releases[i].value;
        FUZZ_EXPECT(at % 8 == 0);
        FUZZ_EXPECT(at == 0 || boot_find_ram(boot, at, at + 8) != nullptr);
        for (uint32_t k = 0; k < i; k++)
            FUZZ_EXPECT(at == 0 || releases[k].value != at);
    }
}

static void read_boot(const struct fdt *fdt)
{
    static struct boot_info boot;
    memset(&boot, 0, sizeof(boot));
    if (setjmp(refused) == 0) {
        fdt_read_memory(fdt, &boot);
        expect_sound_ranges(boot.ram, boot.ram_count);
        expect_sound_ranges(boot.reserved, boot.reserved_count);
    }
    fdt_read_chosen(fdt, &boot);
    static paddr_t releases[BOOT_CPUS_MAX];
    memset(releases, 0xff, sizeof(releases));
    if (setjmp(refused) == 0) {
        fdt_read_cpus(fdt, 1, &boot, releases);
        expect_sound_releases(&boot, releases);
    }
    expect_sound_boot(&boot, 1);
}

static void expect_sound_machine(const struct machine_description *machine)
{
    FUZZ_EXPECT(machine->gic == GIC_V2 || machine->gic == GIC_V3);
    FUZZ_EXPECT((machine->redistributor_count > 0) == (machine->gic == GIC_V3));
    FUZZ_EXPECT(machine->redistributor_count <= REDISTRIBUTOR_REGIONS_MAX);
    for (uint32_t i = 0; i < machine->redistributor_count; i++)
        FUZZ_EXPECT(machine->redistributors[i].registers.value <=
                    UINT64_MAX - machine->redistributors[i].bytes);
    FUZZ_EXPECT(machine->its_count <= ITS_MAX && machine->frame_count <= MESSAGE_FRAMES_MAX);
    FUZZ_EXPECT(machine->timer_virtual != 0 || machine->timer_physical != 0);
    FUZZ_EXPECT(machine->timer_virtual < 32 && machine->timer_physical < 32);
    FUZZ_EXPECT(machine->syscon_off.address.value % 4 == 0);
    FUZZ_EXPECT(machine->syscon_reboot.address.value % 4 == 0);
}

// As the start of the machine looks for devices: registers, and interrupts at a controller.
static void read_devices(const struct fdt *fdt)
{
    static struct machine_description machine;
    memset(&machine, 0, sizeof(machine));
    if (setjmp(refused) == 0) {
        describe_console(fdt, &machine);
        describe_devices(fdt, &machine);
        expect_sound_machine(&machine);
    }
    const uint32_t console = fdt_find_console(fdt);
    if (console != FDT_NONE)
        FUZZ_EXPECT(fdt_enabled(fdt, console));
    uint32_t controller = 0;
    while (controller < fdt->count && !fdt_has(fdt, controller, "interrupt-controller"))
        controller++;
    for (uint32_t node = 0; node < fdt->count && node < 64; node++) {
        struct fdt_region region;
        struct fdt_interrupt interrupt;
        FUZZ_EXPECT(node == FDT_ROOT ? fdt_parent(fdt, node) == FDT_NONE
                                     : fdt_parent(fdt, node) < node);
        FUZZ_EXPECT(memchr(fdt_name(fdt, node), 0, blob_bytes) != nullptr);
        for (unsigned i = 0; fdt_reg(fdt, node, i, &region); i++)
            FUZZ_EXPECT(region.address + region.bytes >= region.address);
        if (controller < fdt->count)
            for (unsigned i = 0; i < 8 && fdt_interrupt(fdt, node, i, controller, &interrupt);
                 i++) {}
    }
}

// ---- what must hold: the hardware tree's part

// As many nodes as an input has room for, and some fewer, so that trees are cut.
constexpr uint32_t HARDWARE_NODES = 96;
static struct fdt_place hardware_places[HARDWARE_NODES];
static struct hwtree_fdt_node hardware_nodes[HARDWARE_NODES];

// What devd makes of the PCI hosts: no more buses than their registers have room for, and messages
// that go to something with registers.
static void expect_sound_hosts(const struct hwtree_builder *builder)
{
    static struct tree tree;
    memset(&tree, 0, sizeof(tree));
    tree.builder = *builder;
    tree_find_hosts(&tree);
    tree_send_messages(&tree);
    FUZZ_EXPECT(tree.host_count <= PCI_HOSTS);
    for (uint32_t i = 0; i < tree.host_count; i++) {
        const struct pci_host *host = &tree.hosts[i];
        const struct hwtree_range *registers = hwtree_range(tree.hardware, host->node, 0);
        uint64_t buses = (uint64_t)host->last_bus - host->first_bus + 1;
        FUZZ_EXPECT(host->first_bus <= host->last_bus && host->ecam == registers->base);
        FUZZ_EXPECT(buses << 20 <= registers->bytes);
        FUZZ_EXPECT(host->space.window_count <= PCI_WINDOWS);
        for (uint32_t k = 0; k < host->space.window_count; k++)
            FUZZ_EXPECT(host->space.windows[k].bytes > 0);
    }
    for (uint32_t i = 0; i < hwtree_count(tree.hardware, HWTREE_NODES); i++) {
        uint64_t controller;
        uint32_t device;
        if (tree_messages(&tree, i, &device, &controller))
            FUZZ_EXPECT(controller != 0);
    }
}

// What we find in a sound structure, libfdt finds there too.
static void expect_as_libfdt(const struct fdt *fdt)
{
    uint32_t node = 0;
    int depth = -1;
    for (int at = fdt_next_node(blob, -1, &depth); at >= 0 && depth >= 0;
         at = fdt_next_node(blob, at, &depth), node++) {
        uint32_t next = 0;
        int property, bytes;
        const char *name, *own_name;
        struct fdt_value own;
        FUZZ_EXPECT(node < fdt->count && fdt->nodes[node].offset == (uint32_t)at);
        fdt_for_each_property_offset(property, blob, at)
        {
            const void *value = fdt_getprop_by_offset(blob, property, &name, &bytes);
            FUZZ_EXPECT(fdt_next_property(fdt, node, &next, &own_name, &own));
            if (value == nullptr) // its name is outside
                FUZZ_EXPECT(own_name[0] == 0);
            else
                FUZZ_EXPECT(own.at == value && own.bytes == (uint32_t)bytes &&
                            strcmp(own_name, name) == 0);
        }
        FUZZ_EXPECT(!fdt_next_property(fdt, node, &next, &own_name, &own));
    }
    FUZZ_EXPECT(node == fdt->count);
}

static void read_as_devd(void)
{
    static uint64_t memory[8192];
    struct hwtree_builder builder;
    struct fdt fdt;
    FUZZ_EXPECT(hwtree_begin(&builder, memory, sizeof(memory), HWTREE_DEVICE_TREE));
    (void)fdt_read(&fdt, blob, blob_bytes, hardware_places, HARDWARE_NODES);
    if (fdt.fault == FDT_SOUND && fdt.too_deep == FDT_NONE)
        expect_as_libfdt(&fdt);
    if (!hwtree_read_fdt(&builder, &fdt, hardware_nodes)) {
        FUZZ_EXPECT(fdt.fault != FDT_SOUND);
        return;
    }
    expect_sound_hosts(&builder);
    expect_sound_hardware(&builder);
}

void fuzz_one(const uint8_t *data, size_t bytes)
{
    blob = fuzz_copy(data, bytes);
    blob_bytes = bytes;
    if (bytes >= HEADER && fdt_check_header(blob) == 0 && fdt_totalsize(blob) <= bytes)
        fuzz_past_header();
    uint64_t size;
    const struct fdt *fdt = fdt_open((paddr_t){BASE}, &size);
    if (fdt != nullptr) {
        FUZZ_EXPECT(fdt->blob == blob && size <= bytes);
        read_boot(fdt);
        read_devices(fdt);
    }
    read_as_devd();
    free(blob);
}

// ---- changing

// The fields of the header, in its order.
enum {
    MAGIC,
    TOTAL,
    STRUCTURE,
    STRINGS,
    RESERVATIONS,
    VERSION,
    OLDEST,
    BOOT,
    STRINGS_BYTES,
    STRUCTURE_BYTES
};

static uint64_t field(const uint8_t *data, unsigned index)
{
    return get_high_first(data + 4 * index, 4);
}

static void set_field(uint8_t *data, unsigned index, uint64_t value)
{
    put_high_first(data + 4 * index, value, 4);
}

static void repair_header(uint8_t *data, size_t bytes)
{
    set_field(data, MAGIC, FDT_MAGIC);
    set_field(data, TOTAL, bytes);
    set_field(data, VERSION, 17);
    set_field(data, OLDEST, 16);
    if (field(data, RESERVATIONS) < HEADER || field(data, RESERVATIONS) > bytes)
        set_field(data, RESERVATIONS, HEADER);
    if (field(data, STRUCTURE) < HEADER || field(data, STRUCTURE) > bytes)
        set_field(data, STRUCTURE, HEADER);
    set_field(data, STRUCTURE, field(data, STRUCTURE) & ~3ull);
    set_field(data, RESERVATIONS, field(data, RESERVATIONS) & ~7ull);
    if (field(data, STRUCTURE_BYTES) > bytes - field(data, STRUCTURE))
        set_field(data, STRUCTURE_BYTES, bytes - field(data, STRUCTURE));
    if (field(data, STRINGS) < HEADER || field(data, STRINGS) > bytes)
        set_field(data, STRINGS, field(data, STRUCTURE));
    if (field(data, STRINGS_BYTES) > bytes - field(data, STRINGS))
        set_field(data, STRINGS_BYTES, bytes - field(data, STRINGS));
}

// Where a property of the structure begins, drawn among all, or among those that are called like the one at
// `like`; 0: there is none.
static size_t draw_property(const uint8_t *data, size_t bytes, size_t like, struct dice *dice)
{
    size_t found = 0, end = field(data, STRUCTURE) + field(data, STRUCTURE_BYTES);
    uint64_t count = 0;
    for (size_t at = field(data, STRUCTURE); at + 12 <= end && end <= bytes; at += 4)
        if (get_high_first(data + at, 4) == FDT_PROP && get_high_first(data + at + 4, 4) <= 512 &&
            at + 12 + get_high_first(data + at + 4, 4) <= end &&
            (like == 0 || memcmp(data + at + 8, data + like + 8, 4) == 0) &&
            dice_below(dice, ++count) == 0)
            found = at;
    return found;
}

// Repeats a property: everything behind it moves.
static size_t repeat_property(uint8_t *data, size_t bytes, size_t room, size_t at)
{
    size_t length = 12 + (get_high_first(data + at + 4, 4) + 3) / 4 * 4;
    if (bytes + length > room || at + length > bytes)
        return bytes;
    memmove(data + at + length, data + at, bytes - at);
    set_field(data, STRUCTURE_BYTES, field(data, STRUCTURE_BYTES) + length);
    if (field(data, STRINGS) > at)
        set_field(data, STRINGS, field(data, STRINGS) + length);
    return bytes + length;
}

// Puts the structure last, so that what is read behind it is read behind the blob.
static size_t move_structure(uint8_t *data, size_t bytes)
{
    size_t at = field(data, STRUCTURE), length = field(data, STRUCTURE_BYTES);
    size_t behind = at + length;
    if (length == 0 || length % 4 != 0 || behind >= bytes || field(data, RESERVATIONS) >= at)
        return bytes;
    // Anything else stays whole words away from where it was.
    const size_t moved = (bytes - behind) / 4 * 4;
    uint8_t *structure = fuzz_copy(data + at, length);
    memmove(data + at, data + behind, moved);
    memcpy(data + at + moved, structure, length);
    free(structure);
    set_field(data, STRUCTURE, at + moved);
    if (field(data, STRINGS) >= behind)
        set_field(data, STRINGS, field(data, STRINGS) - length);
    return at + moved + length;
}

// The length of a value of which the header is at `at`: a little more or less, or as much as there is up to
// the end of the structure, and a little more.
static uint64_t other_length(const uint8_t *data, size_t at, uint64_t length, struct dice *dice)
{
    const uint64_t end = field(data, STRUCTURE) + field(data, STRUCTURE_BYTES);
    return dice_below(dice, 2) && at + 12 < end ? end - (at + 12) + dice_below(dice, 12)
                                                : dice_below(dice, length + 8);
}

// How many cells something has, for which many places must have room.
static bool is_number_of_cells(const uint8_t *data, size_t bytes, size_t at)
{
    const uint64_t name = field(data, STRINGS) + get_high_first(data + at + 8, 4);
    return get_high_first(data + at + 4, 4) == 4 && name < bytes && data[name] == '#';
}

// Another number, or one that is near it or near the end.
static void change_cell(uint8_t *cell, struct dice *dice)
{
    uint64_t value = dice_number(dice);
    if (dice_below(dice, 2))
        value = get_high_first(cell, 4) + dice_below(dice, 17) - 8;
    else if (dice_below(dice, 4) == 0)
        value = -dice_below(dice, 20);
    put_high_first(cell, value, 4);
}

static size_t change_property(uint8_t *data, size_t bytes, size_t room, struct dice *dice)
{
    size_t at = draw_property(data, bytes, 0, dice);
    if (at == 0)
        return bytes;
    size_t other = draw_property(data, bytes, dice_below(dice, 2) ? at : 0, dice);
    uint64_t length = get_high_first(data + at + 4, 4);
    if (is_number_of_cells(data, bytes, at)) {
        put_high_first(data + at + 12, dice_below(dice, 18), 4);
        return bytes;
    }
    switch (dice_below(dice, 8)) {
    case 0: // its name is another's
        memcpy(data + at + 8, data + other + 8, 4);
        break;
    case 1: // its value is the beginning of another's
        if (get_high_first(data + other + 4, 4) >= length)
            memmove(data + at + 12, data + other + 12, length);
        break;
    case 2:
        put_high_first(data + at + 4, other_length(data, at, length, dice), 4);
        break;
    case 3:
        return repeat_property(data, bytes, room, at);
    case 4: // it is not there
        for (uint64_t word = 0; word < 12 + length; word += 4)
            put_high_first(data + at + word, FDT_NOP, 4);
        break;
    default:
        if (length >= 4)
            change_cell(data + at + 12 + dice_below(dice, length / 4) * 4, dice);
        break;
    }
    return bytes;
}

size_t fuzz_mutate(uint8_t *data, size_t bytes, size_t room, struct dice *dice)
{
    if (dice_below(dice, 4) == 0 || bytes < HEADER)
        bytes = mutate_bytes(data, bytes, room);
    if (bytes < HEADER && room >= HEADER) {
        memset(data + bytes, 0, HEADER - bytes);
        bytes = HEADER;
    }
    if (bytes < HEADER || dice_below(dice, 20) == 0)
        return bytes;
    repair_header(data, bytes);
    if (dice_below(dice, 8) == 0)
        bytes = move_structure(data, bytes);
    for (uint64_t n = dice_below(dice, 4); n > 0; n--)
        bytes = change_property(data, bytes, room, dice);
    repair_header(data, bytes);
    return bytes;
}
