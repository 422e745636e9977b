// SPDX-License-Identifier: MIT
//
// build: platform/aarch64/describe_power.c platform/fdt.c platform/fdt_reg.c hal/syscon.c hal/bcm_pm.c
//
// What switches a machine off and resets it: as trees of both forms of the bindings tell of it, and what is then
// written to registers in memory. A tree that makes no sense costs that way, with a message, and no other.
#include <arch/arch.h>
#include <hal/bcm_pm.h>
#include <hal/syscon.h>
#include <platform/aarch64/machine.h>
#include <stdarg.h>

#include "dt_maker.h"
#include "test.h"

constexpr uint64_t BASE = 0x4800'0000, CONTROLLER = 0x10'1000, PM = 0x7e10'0000;

static void *blob;
static char said[4096];

void klog(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const size_t at = strlen(said);
    vsnprintf(said + at, sizeof(said) - at, format, arguments);
    va_end(arguments);
}

void *arch_device_map(paddr_t address, size_t bytes, enum arch_memory memory)
{
    (void)bytes, (void)memory;
    return address.value == BASE ? blob : nullptr;
}

// ---- registers

static uint32_t registers[1024]; // of one page, whichever
static uint64_t owned;
static unsigned relaxed;

void *hal_own(paddr_t address, size_t bytes)
{
    owned = address.value;
    EXPECT(bytes <= PAGE_SIZE - address.value % PAGE_SIZE);
    return registers + address.value % PAGE_SIZE / 4;
}

void host_relax(void)
{
    relaxed++;
}

// ---- trees

static struct dt_maker maker;
static struct machine_description machine;

static void begin(void)
{
    maker = dt_make();
    dt_node(&maker, "");
    DT_CELLS(&maker, "#address-cells", 1);
    DT_CELLS(&maker, "#size-cells", 1);
}

static void begin_controller(const char *compatible)
{
    dt_node(&maker, "syscon@101000");
    dt_string(&maker, "compatible", compatible);
    DT_CELLS(&maker, "reg", (uint32_t)CONTROLLER, 0x100);
    DT_CELLS(&maker, "phandle", 7);
}

static void begin_power(const char *compatible, uint32_t offset)
{
    dt_node(&maker, compatible);
    dt_string(&maker, "compatible", compatible);
    DT_CELLS(&maker, "regmap", 7);
    DT_CELLS(&maker, "offset", offset);
}

static void describe(void)
{
    uint64_t bytes;
    dt_end(&maker);
    (void)dt_finish(&maker);
    blob = maker.blob;
    said[0] = '\0';
    machine = (struct machine_description){};
    const struct fdt *tree = fdt_open((paddr_t){BASE}, &bytes);
    EXPECT(tree != nullptr);
    describe_power(tree, &machine);
    free(blob);
}

TEST(both_by_a_system_controller)
{
    begin();
    begin_power("syscon-poweroff", 0x10); // before its controller
    DT_CELLS(&maker, "value", 0x5555);
    DT_CELLS(&maker, "mask", 0xffff);
    dt_end(&maker);
    begin_controller("syscon");
    dt_end(&maker);
    begin_power("syscon-reboot", 0xfc);
    DT_CELLS(&maker, "value", 0x7777);
    dt_end(&maker);
    describe();
    EXPECT(said[0] == '\0' && machine.psci == CONDUIT_NONE);
    EXPECT(machine.syscon_off.address.value == CONTROLLER + 0x10);
    EXPECT(machine.syscon_off.mask == 0xffff && machine.syscon_off.value == 0x5555);
    EXPECT(machine.syscon_reboot.address.value == CONTROLLER + 0xfc);
    EXPECT(machine.syscon_reboot.mask == UINT32_MAX && machine.syscon_reboot.value == 0x7777);

    const struct power *power = syscon_power_init(&machine.syscon_off, &machine.syscon_reboot);
    EXPECT(power != nullptr && power->off != nullptr && power->reboot != nullptr);
    memset(registers, 0xab, sizeof(registers));
    relaxed = 0;
    power->off();
    EXPECT(registers[0x10 / 4] == 0xabab5555 && registers[0xfc / 4] == 0xabababab);
    EXPECT(relaxed > 1000); // it may take a while
    power->reboot();
    EXPECT(registers[0xfc / 4] == 0x7777 && registers[0x14 / 4] == 0xabababab);
}

// The mask alone: the value of the whole register. In the controller itself, which needs no name then.
TEST(the_old_binding)
{
    begin();
    begin_controller("syscon");
    dt_node(&maker, "reboot");
    dt_string(&maker, "compatible", "syscon-reboot");
    DT_CELLS(&maker, "offset", 0x14);
    DT_CELLS(&maker, "mask", 2);
    dt_end(&maker);
    dt_end(&maker);
    describe();
    EXPECT(machine.syscon_reboot.address.value == CONTROLLER + 0x14);
    EXPECT(machine.syscon_reboot.mask == UINT32_MAX && machine.syscon_reboot.value == 2);
    EXPECT(strstr(said, "nothing that the kernel knows switches the machine off") != nullptr);
    const struct power *power = syscon_power_init(&machine.syscon_off, &machine.syscon_reboot);
    EXPECT(power != nullptr && power->off == nullptr && power->reboot != nullptr);
    const struct syscon_write none = {};
    EXPECT(syscon_power_init(&none, &none) == nullptr);
}

static void expect_refused(const char *why)
{
    dt_end(&maker);
    describe();
    EXPECT(machine.syscon_off.address.value == 0 && strstr(said, why) != nullptr);
}

TEST(trees_that_make_no_sense)
{
    static const struct {
        uint32_t offset;
        const char *why;
    } offsets[] = {{0xfd, "no register"}, {0x100, "no register"}, {UINT32_MAX - 3, "no register"}};
    for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
        begin();
        begin_controller("syscon");
        dt_end(&maker);
        begin_power("syscon-poweroff", offsets[i].offset);
        DT_CELLS(&maker, "value", 1);
        expect_refused(offsets[i].why);
    }
    begin();
    begin_controller("syscon");
    dt_end(&maker);
    begin_power("syscon-poweroff", 0);
    expect_refused("property value: is absent");

    begin();
    begin_power("syscon-poweroff", 0);
    DT_CELLS(&maker, "value", 1);
    expect_refused("property regmap: names no node");

    begin();
    begin_controller("fixed-clock");
    dt_end(&maker);
    begin_power("syscon-poweroff", 0);
    DT_CELLS(&maker, "value", 1);
    expect_refused("is no system controller");

    begin();
    begin_controller("syscon");
    DT_CELLS(&maker, "reg-io-width", 2);
    dt_end(&maker);
    begin_power("syscon-poweroff", 0);
    DT_CELLS(&maker, "value", 1);
    expect_refused("are not read by this kernel");

    begin();
    begin_controller("syscon");
    dt_node(&maker, "poweroff");
    dt_string(&maker, "compatible", "syscon-poweroff");
    DT_CELLS(&maker, "value", 1);
    dt_end(&maker);
    expect_refused("property offset: is absent");
}

TEST(psci)
{
    for (unsigned i = 0; i < 3; i++) {
        const char *methods[] = {"hvc", "smc", "jump"};
        const enum conduit conduits[] = {CONDUIT_HVC, CONDUIT_SMC, CONDUIT_NONE};
        begin();
        dt_node(&maker, "psci");
        dt_string(&maker, "compatible", "arm,psci-0.2");
        dt_string(&maker, "method", methods[i]);
        dt_end(&maker);
        describe();
        EXPECT(machine.psci == conduits[i] && (said[0] == '\0') == (i < 2));
    }
}

TEST(broadcom)
{
    for (unsigned can_halt = 0; can_halt < 2; can_halt++) {
        begin();
        dt_node(&maker, "watchdog@7e100000");
        dt_string(&maker, "compatible", "brcm,bcm2835-pm-wdt");
        DT_CELLS(&maker, "reg", (uint32_t)PM, 0x114, 0x7e00'a000, 0x24);
        if (can_halt)
            DT_CELLS(&maker, "system-power-controller", 1);
        dt_end(&maker);
        describe();
        EXPECT(machine.bcm_pm.registers.value == PM && machine.bcm_pm.bytes == 0x114);
        EXPECT(machine.bcm_pm.can_halt == can_halt && (said[0] == '\0') == can_halt);
    }
    memset(registers, 0, sizeof(registers));
    registers[0x1c / 4] = 0x112;
    registers[0x20 / 4] = 0x1002;
    const struct power *power = bcm_pm_init((paddr_t){PM}, 0x114, true);
    EXPECT(power != nullptr && owned == PM);
    power->off();
    EXPECT(registers[0x20 / 4] == (0x5a00'1002 | 0x555)); // partition 63
    EXPECT(registers[0x24 / 4] == 0x5a00'000a && registers[0x1c / 4] == 0x5a00'0122);
    power->reboot();
    EXPECT(registers[0x20 / 4] == 0x5a00'1002 && registers[0x1c / 4] == 0x5a00'0122);
    EXPECT(bcm_pm_init((paddr_t){PM}, 0x114, false)->off == nullptr);
    EXPECT(bcm_pm_init((paddr_t){PM}, 0x24, true) == nullptr);
}
