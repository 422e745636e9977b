// SPDX-License-Identifier: MIT
//
// build: platform/fdt.c platform/fdt_reg.c platform/fdt_cpus.c platform/boot_info.c
//
// Which CPUs the kernel starts by a device tree, and how: by PSCI, or from a spin table where nothing else
// is. A CPU whose release address cannot be right is left off with a message, and the others are not.
#include <arch/arch.h>
#include <platform/boot_info.h>
#include <platform/fdt.h>
#include <stdarg.h>

#include "dt_maker.h"
#include "test.h"

constexpr uint64_t BASE = 0x4800'0000; // of the tree
constexpr uint64_t RAM = 0x4000'0000, RAM_END = 0x5000'0000;
constexpr uint64_t KERNEL = 0x4020'0000, BUNDLE = 0x4100'0000;
constexpr uint64_t BOOT_CPU = 0x100;

static uint8_t *blob;
static char said[4096];

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
    printf("panic: %s\n", format);
    abort();
}

void *arch_device_map(paddr_t address, size_t bytes, enum arch_memory memory)
{
    (void)bytes, (void)memory;
    return address.value == BASE ? blob : nullptr;
}

// ---- a tree with the CPUs of a test

static struct dt_maker maker;
static struct boot_info boot;
static paddr_t releases[BOOT_CPUS_MAX];

static void begin(void)
{
    maker = dt_make();
    dt_node(&maker, "");
    dt_node(&maker, "cpus");
    DT_CELLS(&maker, "#address-cells", 1);
    DT_CELLS(&maker, "#size-cells", 0);
}

static void begin_cpu(uint32_t id, const char *method)
{
    char name[32];
    snprintf(name, sizeof(name), "cpu@%x", id);
    dt_node(&maker, name);
    dt_string(&maker, "device_type", "cpu");
    DT_CELLS(&maker, "reg", id);
    if (method != nullptr)
        dt_string(&maker, "enable-method", method);
}

// A CPU that waits at `release`.
static void waiting_cpu(uint32_t id, uint64_t release)
{
    begin_cpu(id, "spin-table");
    DT_CELLS(&maker, "cpu-release-addr", (uint32_t)(release >> 32), (uint32_t)release);
    dt_end(&maker);
}

static void read_cpus(void)
{
    dt_end(&maker);
    dt_end(&maker);
    free(blob);
    (void)dt_finish(&maker);
    blob = maker.blob;
    memset(&boot, 0, sizeof(boot));
    memset(releases, 0xff, sizeof(releases));
    said[0] = '\0';
    boot_add_ram(&boot, RAM, RAM_END);
    boot_info_normalise(&boot);
    boot.kernel = (struct boot_range){KERNEL, KERNEL + 0x10'0000};
    boot.bundle = (struct boot_range){BUNDLE, BUNDLE + 0x10'0000};
    boot.tables.value = BASE;
    const struct fdt *tree = fdt_open(boot.tables, &boot.tables_bytes);
    EXPECT(tree != nullptr);
    fdt_read_cpus(tree, BOOT_CPU, &boot, releases);
    boot_info_normalise(&boot);
}

// ---- the tests

TEST(a_spin_table)
{
    begin();
    waiting_cpu(BOOT_CPU, RAM + 0xd8); // the boot CPU does not wait any more
    waiting_cpu(0x101, RAM + 0xe0);
    waiting_cpu(0x102, RAM_END - 8);
    read_cpus();
    EXPECT(said[0] == '\0' && boot.cpu_count == 3);
    EXPECT(boot.cpu_ids[0] == BOOT_CPU && releases[0].value == 0);
    EXPECT(boot.cpu_ids[1] == 0x101 && releases[1].value == RAM + 0xe0);
    EXPECT(boot.cpu_ids[2] == 0x102 && releases[2].value == RAM_END - 8);
    // Whether or not firmware has reserved them.
    EXPECT(boot.reserved_count == 2);
    EXPECT(boot.reserved[0].start == RAM && boot.reserved[0].end == RAM + PAGE_SIZE);
    EXPECT(boot.reserved[1].start == RAM_END - PAGE_SIZE && boot.reserved[1].end == RAM_END);
}

TEST(psci_beside_a_spin_table)
{
    begin();
    waiting_cpu(0x101, RAM + 0xe0);
    begin_cpu(0x102, "psci");
    DT_CELLS(&maker, "cpu-release-addr", 0, 3); // nobody asks
    dt_end(&maker);
    begin_cpu(0x103, "brcm,bcm2836-smp");
    dt_end(&maker);
    begin_cpu(0x104, nullptr);
    dt_end(&maker);
    read_cpus();
    EXPECT(boot.cpu_count == 3 && boot.cpu_ids[2] == 0x102);
    EXPECT(releases[1].value == RAM + 0xe0 && releases[2].value == 0);
    EXPECT(strstr(said, "cpu@103, property enable-method: is neither") != nullptr);
    EXPECT(strstr(said, "cpu@104, property enable-method: is neither") != nullptr);
}

// The one with this release address is left off, the next comes.
static void expect_refused(uint64_t release, const char *why)
{
    begin();
    waiting_cpu(0x101, RAM + 0xe0);
    waiting_cpu(0x102, release);
    waiting_cpu(0x103, RAM + 0xf0);
    read_cpus();
    EXPECT(boot.cpu_count == 3 && boot.cpu_ids[1] == 0x101 && boot.cpu_ids[2] == 0x103);
    EXPECT(releases[1].value == RAM + 0xe0 && releases[2].value == RAM + 0xf0);
    EXPECT(strstr(said, "node cpu@102, property cpu-release-addr: ") != nullptr);
    EXPECT(strstr(said, why) != nullptr);
}

TEST(release_addresses_that_cannot_be)
{
    expect_refused(0, "no multiple of 8");
    expect_refused(RAM + 0xe4, "no multiple of 8");
    expect_refused(RAM - 8, "not in RAM");
    expect_refused(RAM_END, "not in RAM");
    expect_refused(UINT64_MAX - 7, "not in RAM");
    expect_refused(RAM + 0xe0, "that of another CPU");
    const char *ours = "where the kernel, its bundle or the device tree is";
    expect_refused(KERNEL, ours);
    expect_refused(KERNEL + 0x10'0000 - 8, ours);
    expect_refused(BUNDLE + 0x800, ours);
    expect_refused(BASE + 8, ours);
}

TEST(release_addresses_beside_the_kernel)
{
    begin();
    waiting_cpu(0x101, KERNEL - 8);
    waiting_cpu(0x102, KERNEL + 0x10'0000);
    read_cpus();
    EXPECT(said[0] == '\0' && boot.cpu_count == 3);
}

TEST(release_addresses_that_are_none)
{
    begin();
    begin_cpu(0x101, "spin-table");
    dt_end(&maker);
    begin_cpu(0x102, "spin-table");
    DT_CELLS(&maker, "cpu-release-addr", 0, 0x4000'00e0, 0);
    dt_end(&maker);
    begin_cpu(0x103, "spin-table");
    DT_CELLS(&maker, "cpu-release-addr", 0x4000'00e8); // one cell is enough for it
    dt_end(&maker);
    read_cpus();
    EXPECT(boot.cpu_count == 2 && boot.cpu_ids[1] == 0x103 && releases[1].value == RAM + 0xe8);
    EXPECT(strstr(said, "node cpu@101, property cpu-release-addr: is absent") != nullptr);
    EXPECT(strstr(said, "node cpu@102, property cpu-release-addr: ") != nullptr);
}

TEST(a_cpu_twice)
{
    begin();
    waiting_cpu(0x101, RAM + 0xe0);
    waiting_cpu(0x101, RAM + 0xe8);
    read_cpus();
    EXPECT(boot.cpu_count == 2 && releases[1].value == RAM + 0xe0);
    EXPECT(strstr(said, "number of another CPU") != nullptr);
}
