// SPDX-License-Identifier: MIT
//
// build: platform/aarch64/describe_fdt.c platform/aarch64/describe_power.c platform/fdt.c platform/fdt_reg.c platform/fdt_interrupt.c platform/fdt_chosen.c platform/boot_info.c
//
// What the platform reads out of a device tree of AArch64: the trees of QEMU's virt machine, dumped
// while the test runs, and a few changes to them; and RAM that is set aside for a controller.
#include <arch/arch.h>
#include <platform/aarch64/machine.h>
#include <platform/boot_info.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <libfdt.h>

#include "test.h"

constexpr uint64_t BASE = 0x4800'0000;

static uint8_t *blob;
static char said[4096];
static jmp_buf refused;

void klog(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const size_t at = strlen(said);
    vsnprintf(said + at, sizeof(said) - at, format, arguments);
    va_end(arguments);
}

void panic(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(said, sizeof(said), format, arguments);
    va_end(arguments);
    longjmp(refused, 1);
}

void *arch_device_map(paddr_t address, size_t bytes, enum arch_memory memory)
{
    (void)bytes, (void)memory;
    return address.value == BASE ? blob : nullptr;
}

// The tree of a machine, cut to what is in it.
static void dump(const char *options)
{
    char path[] = "/tmp/test_describe.XXXXXX", command[256];
    close(mkstemp(path));
    snprintf(
        command, sizeof(command),
        "qemu-system-aarch64 -cpu cortex-a57 -display none -M virt,dumpdtb=%s,%s > /dev/null 2>&1",
        path, options);
    free(blob);
    blob = calloc(1, 1 << 21);
    said[0] = '\0';
    if (system(command) == 0) {
        FILE *file = fopen(path, "r");
        (void)fread(blob, 1, 1 << 21, file);
        fclose(file);
        const uint32_t *header = (const uint32_t *)(const void *)blob;
        ((uint32_t *)(void *)blob)[1] =
            __builtin_bswap32(__builtin_bswap32(header[3]) + __builtin_bswap32(header[8]));
    }
    unlink(path);
}

static const void *property(const char *node, const char *name, int *bytes)
{
    const int at = fdt_path_offset(blob, node);
    return at < 0 ? nullptr : fdt_getprop(blob, at, name, bytes);
}

// Writes over the value of a property, from a byte on.
static bool change(const char *node, const char *name, int from, const void *value, int length)
{
    int bytes;
    uint8_t *old = (uint8_t *)(uintptr_t)property(node, name, &bytes);
    if (old == nullptr || from + length > bytes)
        return false;
    memcpy(old + from, value, (size_t)length);
    return true;
}

static struct machine_description machine;

// false: it panicked.
static bool describe(void)
{
    uint64_t bytes;
    machine = (struct machine_description){};
    const struct fdt *tree = fdt_open((paddr_t){BASE}, &bytes);
    if (tree == nullptr || setjmp(refused) != 0)
        return false;
    describe_console(tree, &machine);
    describe_devices(tree, &machine);
    return true;
}

TEST(gicv2_with_a_frame)
{
    dump("gic-version=2");
    EXPECT(describe() && said[0] == '\0');
    EXPECT(machine.console.registers.value == 0x900'0000 && machine.console.bytes == 0x1000);
    EXPECT(machine.gic == GIC_V2 && machine.distributor.value == 0x800'0000);
    EXPECT(machine.cpu_interface.value == 0x801'0000);
    EXPECT(machine.frame_count == 1 && machine.frames[0].registers.value == 0x802'0000);
    EXPECT(machine.redistributor_count == 0 && machine.its_count == 0);
    EXPECT(machine.timer_virtual == 27 && machine.timer_physical == 30 && machine.timer_hz == 0);
    EXPECT(machine.psci == CONDUIT_HVC && strcmp(machine.source, "device tree") == 0);
}

TEST(gicv3_with_an_its)
{
    dump("gic-version=3,virtualization=on");
    EXPECT(describe() && said[0] == '\0');
    EXPECT(machine.gic == GIC_V3 && machine.distributor.value == 0x800'0000);
    EXPECT(machine.redistributor_count == 1 && machine.frame_count == 0);
    EXPECT(machine.redistributors[0].registers.value == 0x80a'0000);
    EXPECT(machine.redistributors[0].bytes == 0xf6'0000 && machine.redistributors[0].stride == 0);
    EXPECT(machine.its_count == 1 && machine.its[0].value == 0x808'0000);
    EXPECT(machine.timer_virtual == 27 && machine.psci == CONDUIT_SMC);
    dump("gic-version=3,its=off");
    EXPECT(describe() && machine.gic == GIC_V3 && machine.its_count == 0);
}

// More CPUs than the first region has room for.
TEST(two_regions)
{
    dump("gic-version=3 -smp 130");
    EXPECT(describe() && said[0] == '\0');
    EXPECT(machine.redistributor_count == 2);
    EXPECT(machine.redistributors[1].registers.value == 0x40'0000'0000);
    EXPECT(machine.redistributors[1].bytes == 0x400'0000);
}

TEST(regions_that_are_not_there)
{
    dump("gic-version=3");
    static const uint8_t many[] = {0, 1, 0, 0};
    EXPECT(change("/intc@8000000", "#redistributor-regions", 0, many, 4));
    EXPECT(describe() && machine.redistributor_count == 1);
    EXPECT(strstr(said, "fewer redistributor regions") != nullptr);
    EXPECT(change("/intc@8000000", "#redistributor-regions", 0, (uint8_t[4]){}, 4));
    EXPECT(!describe() && strstr(said, "a GICv3 has redistributors") != nullptr);
}

TEST(an_its_of_another_kind)
{
    dump("gic-version=3");
    EXPECT(change("/intc@8000000/its@8080000", "compatible", 0, "arm,gic-v3-itz", 14));
    EXPECT(describe() && machine.its_count == 0);
}

// The order of the binding: secure, non-secure, virtual, hypervisor.
TEST(timers)
{
    int bytes;
    dump("gic-version=3");
    EXPECT(property("/timer", "interrupts", &bytes) != nullptr && bytes == 48);
    // An SPI is no timer of a CPU; the physical one is left.
    EXPECT(change("/timer", "interrupts", 24, (uint8_t[4]){}, 4));
    EXPECT(describe() && machine.timer_virtual == 0 && machine.timer_physical == 30);
    EXPECT(strstr(said, "not the CPU's own") != nullptr);
    EXPECT(change("/timer", "interrupts", 16, (uint8_t[4]){0, 0, 0, 16}, 4));
    EXPECT(!describe() && strstr(said, "no interrupt of a timer of EL1") != nullptr);
}

TEST(controllers_that_nobody_knows)
{
    dump("gic-version=3");
    EXPECT(change("/intc@8000000", "compatible", 0, "arm,gic-v9", 10));
    EXPECT(!describe() && strstr(said, "no node is an interrupt controller") != nullptr);
    dump("gic-version=2");
    EXPECT(change("/intc@8000000", "compatible", 0, "arm,gic-400\0\0\0\0\0\0\0", 19));
    EXPECT(describe() && machine.gic == GIC_V2);
}

TEST(four_cells)
{
    dump("gic-version=3");
    EXPECT(change("/intc@8000000", "#interrupt-cells", 0, (uint8_t[4]){0, 0, 0, 4}, 4));
    // The timer's twelve cells are three interrupts then: of kinds 1, 4 and so on.
    static const uint8_t cells[48] = {
        [3] = 1,  [7] = 13,  [11] = 4, // secure
        [19] = 1, [23] = 14, [27] = 4, // physical
        [35] = 1, [39] = 11, [43] = 4, // virtual
    };
    EXPECT(change("/timer", "interrupts", 0, cells, 48));
    EXPECT(describe() && machine.timer_physical == 30 && machine.timer_virtual == 27);
    EXPECT(change("/intc@8000000", "#interrupt-cells", 0, (uint8_t[4]){0, 0, 0, 5}, 4));
    EXPECT(!describe());
}

TEST(consoles)
{
    dump("gic-version=2");
    EXPECT(describe() && machine.console.kind == CONSOLE_PL011);
    // 24 bytes: two names.
    EXPECT(change("/pl011@9000000", "compatible", 0, "brcm,bcm2835-aux-uart\0\0", 24));
    EXPECT(describe() && machine.console.kind == CONSOLE_BCM_AUX);
    EXPECT(machine.console.registers.value == 0x900'0000);
    EXPECT(change("/pl011@9000000", "compatible", 0, "brcm,bcm9999-aux-uart", 21));
    EXPECT(describe() && machine.console.registers.value == 0);
    EXPECT(strstr(said, "no UART that the kernel can drive") != nullptr);
}

// ---- RAM

static uint64_t take(struct boot_info *boot, uint64_t bytes, uint64_t alignment)
{
    return boot_take_ram(boot, bytes, alignment).value;
}

TEST(ram_is_taken_from_the_top)
{
    static struct boot_info boot;
    memset(&boot, 0, sizeof(boot));
    boot_add_ram(&boot, 0x4000'0000, 0x5000'0000);
    boot_add_ram(&boot, 0x8000'0000, 0x8004'0000);
    boot_add_reserved(&boot, 0x8003'8000, 0x8004'0000);
    boot_info_normalise(&boot);
    EXPECT(take(&boot, 0x1'1000, 0x1'0000) == 0x8002'0000);
    EXPECT(take(&boot, 0x1000, 0x1000) == 0x8003'7000); // what the alignment left
    EXPECT(take(&boot, 0x2'0000, 0x1'0000) == 0x8000'0000);
    EXPECT(take(&boot, 0x1'0000, 0x1'0000) == 0x4fff'0000);
    EXPECT(take(&boot, 0x1'0000, 0x1'0000) == 0x4ffe'0000);
    EXPECT(take(&boot, 0x1000'0000, 0x1000) == 0);
    EXPECT(take(&boot, 0x0ffe'0000, 0x1000) == 0x4000'0000);
    EXPECT(take(&boot, 0x1'0000, 0x1000) == 0);
    // All of it but the 24 KiB below the first range's end.
    uint64_t reserved = 0;
    for (uint32_t i = 0; i < boot.reserved_count; i++)
        reserved += boot.reserved[i].end - boot.reserved[i].start;
    EXPECT(reserved == 0x1000'0000 + 0x4'0000 - 0x6000);
    EXPECT(take(&boot, 0x6000, 0x1000) == 0x8003'1000 && take(&boot, 0x1000, 0x1000) == 0);
}

TEST(ram_and_reservations_are_whole_pages)
{
    static struct boot_info boot;
    memset(&boot, 0, sizeof(boot));
    boot_add_ram(&boot, 0x4000'0001, 0x4000'3fff);
    boot_add_ram(&boot, 0x5000'0001, 0x5000'1fff); // no whole page
    boot_add_reserved(&boot, 0x4000'1fff, 0x4000'2001);
    boot_add_reserved(&boot, UINT64_MAX - 0xff, UINT64_MAX); // in the last page, which is nobody's
    boot_info_normalise(&boot);
    EXPECT(boot.ram_count == 1 && boot.ram[0].start == 0x4000'1000);
    EXPECT(boot.ram[0].end == 0x4000'3000);
    EXPECT(boot.reserved_count == 1 && boot.reserved[0].start == 0x4000'1000);
    EXPECT(boot.reserved[0].end == 0x4000'3000);
}
