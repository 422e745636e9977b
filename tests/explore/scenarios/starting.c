// SPDX-License-Identifier: MIT
//
// A second CPU comes, too late maybe, and takes the first thread; or its clock is ahead. One that
// was given up must halt: it would go on as soon as the boot CPU waits for the next.
#include "../kernel/starting.h"

#include <kernel/boot.h>
#include <string.h>

#include "harness.h"

static struct cpu boot_cpu;

static void on_switch(unsigned thread)
{
    host_running = thread == 1 && starting_cpu ? &starting_cpu->arch : &boot_cpu.arch;
}

static void halted(void)
{
    host_console[host_console_bytes] = '\0';
    const char *line = strstr(host_console, "PANIC: ");
    if (line)
        explore_fail("panic", "%.200s", line + 7);
    starting_over();
}

static void make_thread(struct account *root)
{
    struct process *process;
    struct object_ref account = object_reference((struct object *)root), thread;
    EXPECT_STATUS(process_create(account, "first\0\0\0\0\0\0\0\0\0\0", &process), OK);
    object_publish(&process->aspace->object);
    object_publish(&process->object);
    EXPECT_STATUS(
        thread_create(object_reference(&process->object), 10, ABI_INIT_MESSAGE_BUFFER, &thread),
        OK);
    starting_thread = thread_of(thread.object);
    arch_context_init(starting_thread->context, 0x1000, 0, 0, 0);
    starting_thread->started = true;
}

static void two_cpus(uint64_t ahead)
{
    constexpr size_t RAM = 4 << 20;
    host_reset(RAM, 0);
    starting_boot = (struct boot_info){
        .ram_count = 1, .firmware = FIRMWARE_ACPI, .cpu_count = 2, .cpu_ids = {0, 1}};
    starting_boot.ram[0] = (struct boot_range){HOST_RAM_START, HOST_RAM_START + RAM};
    starting_ahead = ahead;
    boot_cpu = (struct cpu){};
    cpu_init(&boot_cpu, 0);
    host_cpu_attach(0, &boot_cpu.arch);
    explore_on_switch = on_switch;
    starting_take_over();
    make_thread(kernel_setup(&boot_cpu, &starting_boot));
    host_on_halt = halted;
    explore_thread("boot", starting_boot_cpu, nullptr);
    explore_thread("second", starting_second_cpu, nullptr);
}

static uint8_t one_has_the_thread(void)
{
    uint8_t arrival = starting_cpu->arrival;
    bool comes = arrival == CPU_RUNS;
    EXPLORE_CHECK(cpu_count() == 1 + comes && (!comes || cpus[1] == starting_cpu));
    EXPLORE_CHECK(starting_halted == !comes);
    EXPLORE_CHECK(starting_ran[comes] && !starting_ran[!comes]);
    seen(arrival);
    return arrival;
}

static void cpu_comes_late(void)
{
    two_cpus(0);
    starting_late = true;
}
static void it_comes_or_not(void)
{
    uint8_t arrival = one_has_the_thread();
    EXPLORE_CHECK(arrival == CPU_RUNS || arrival == CPU_GIVEN_UP);
}
SCENARIO(cpu_comes_late, .canary = "late CPU", .setup = cpu_comes_late, .finish = it_comes_or_not,
         .raw = true, .finer = "no entries", .budget = 6'000);
SCENARIO(cpu_is_announced, .canary = "weak runs", .setup = cpu_comes_late,
         .finish = it_comes_or_not, .raw = true, .finer = "no entries", .weak_only = true,
         .budget = 6'000);

static void cpu_comes(void)
{
    two_cpus(0);
}
static void it_comes(void)
{
    EXPLORE_CHECK(one_has_the_thread() == CPU_RUNS);
}
SCENARIO(cpu_clock_is_right, .canary = "T1 looks", .setup = cpu_comes, .finish = it_comes,
         .raw = true, .finer = "no entries");

static void cpu_comes_ahead(void)
{
    two_cpus(100'000'000);
}
static void it_is_refused(void)
{
    EXPLORE_CHECK(one_has_the_thread() == CPU_REFUSED);
}
SCENARIO(cpu_clock_is_ahead, .canary = "T1 ahead", .setup = cpu_comes_ahead,
         .finish = it_is_refused, .raw = true, .finer = "no entries");
