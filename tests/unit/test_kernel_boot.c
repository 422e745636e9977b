// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Start-up, from kernel_main: what init finds when it runs, every way in which the boot bundle can
// be wrong, and the other CPUs: those that come, and those that are refused, late or wrong.
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include <entry/entry.h>
#include <hal/hal.h>
#include <kernel/boot.h>

#include "cpu.h"
#include "frame.h"
#include "host.h"
#include "interrupt.h"
#include "kernel_test.h"
#include "process.h"
#include "thread.h"
#include "vm.h"

constexpr size_t RAM = 16 << 20;
constexpr uint64_t BUNDLE_AT = HOST_RAM_START + 0x10'0000, BUNDLE_BYTES = 16 * PAGE_SIZE;
constexpr uint64_t TEXT = 0x40'1000, READ_ONLY = 0x40'2010, DATA = 0x40'3000, ENTRY = TEXT + 0x10;
constexpr uint64_t DATA_FILE_BYTES = 0x1810, DATA_BYTES = 0x4800;

static struct boot_info boot;
static struct abi_bundle *bundle;

struct image {
    Elf64_Ehdr file;
    Elf64_Phdr segment[3];
    unsigned char rest[0x5000 - sizeof(Elf64_Ehdr) - 3 * sizeof(Elf64_Phdr)];
};

static void make_image(struct image *i)
{
    for (size_t at = 0; at < sizeof i->rest; at++)
        i->rest[at] = (unsigned char)(at * 7 + at / 256 + 1);
    i->file = (Elf64_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                           .e_type = ET_EXEC,
                           .e_machine = EM_X86_64,
                           .e_version = EV_CURRENT,
                           .e_entry = ENTRY,
                           .e_phoff = sizeof(Elf64_Ehdr),
                           .e_phentsize = sizeof(Elf64_Phdr),
                           .e_phnum = 3};
    i->segment[0] = (Elf64_Phdr){PT_LOAD, PF_R | PF_X, 0x1000, TEXT, 0, 0x800, 0x800, 0x1000};
    i->segment[1] = (Elf64_Phdr){PT_LOAD, PF_R, 0x2010, READ_ONLY, 0, 0x100, 0x100, 0x1000};
    i->segment[2] =
        (Elf64_Phdr){PT_LOAD, PF_R | PF_W, 0x3000, DATA, 0, DATA_FILE_BYTES, DATA_BYTES, 0x1000};
}

static void prepare(unsigned cpu_total)
{
    host_reset(RAM, 0); // without numbers of address spaces, which a second machine would find used
    memset(host_ram, 0xa5, RAM); // RAM holds anything when a machine starts
    boot = (struct boot_info){.ram_count = 1, .firmware = FIRMWARE_ACPI, .cpu_count = cpu_total};
    boot.ram[0] = (struct boot_range){HOST_RAM_START, HOST_RAM_START + RAM};
    boot.bundle = (struct boot_range){BUNDLE_AT, BUNDLE_AT + BUNDLE_BYTES};
    boot.kernel = (struct boot_range){HOST_RAM_START, BUNDLE_AT};
    boot.reserved_count = 1;
    boot.reserved[0] = (struct boot_range){HOST_RAM_START, boot.bundle.end};
    for (unsigned i = 0; i < cpu_total; i++)
        boot.cpu_ids[i] = 0x100 + i;
    bundle = arch_ram((paddr_t){BUNDLE_AT});
    memcpy(bundle->magic, "SKBUNDLE", 8);
    bundle->version = 1;
    bundle->count = 3;
    bundle->entries[0] = (struct abi_bundle_entry){"initial", PAGE_SIZE, 100};
    bundle->entries[1] = (struct abi_bundle_entry){"init", 2 * PAGE_SIZE, sizeof(struct image)};
    bundle->entries[2] = (struct abi_bundle_entry){"other", PAGE_SIZE, 5};
    make_image((struct image *)(void *)((uint8_t *)bundle + 2 * PAGE_SIZE));
    static struct arch_percpu before; // until kernel_main has its own
    host_cpu_attach(0, &before);
    host_interleave(UINT32_MAX, 1); // who spins lets the test go on
}

static struct arch_context *main_entry(void)
{
    kernel_main(&boot);
}

static void boots(void)
{
    host_enter(0, main_entry);
    host_run(0);
}

// ---- init

static struct thread *init_thread(void)
{
    EXPECT_EQUAL(host_place(0), HOST_USER);
    struct thread *thread = cpus[0]->current;
    EXPECT(thread);
    return thread;
}

static bool can(enum host_access kind, uint64_t address)
{
    paddr_t physical;
    return host_access(0, address, kind, &physical);
}

static uint8_t byte_at(uint64_t address)
{
    paddr_t physical;
    EXPECT(host_access(0, address, HOST_LOAD, &physical));
    return *(uint8_t *)arch_ram(physical);
}

static void expect_bytes(uint64_t address, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        EXPECT_EQUAL(byte_at(address + i), bytes ? bytes[i] : 0);
}

static void expect_access(uint64_t address, bool write, bool execute)
{
    EXPECT(can(HOST_LOAD, address));
    EXPECT_EQUAL(can(HOST_STORE, address), write);
    EXPECT_EQUAL(can(HOST_FETCH, address), execute);
}

static uint64_t call(uint64_t number, const uint64_t arguments[6])
{
    struct arch_context *context = init_thread()->context;
    context->number = number;
    memcpy(context->argument, arguments, sizeof context->argument);
    host_enter(0, entry_syscall);
    host_run(0);
    return context->status;
}
#define INIT_CALL(name, ...) call(SYSCALL_##name, (const uint64_t[6]){__VA_ARGS__})

TEST(init_finds_its_image_and_its_stack)
{
    prepare(1);
    boots();
    const struct thread *thread = init_thread();
    EXPECT_EQUAL(thread->context->pc, ENTRY);
    EXPECT_EQUAL(thread->context->sp, ABI_INIT_STACK_TOP);
    EXPECT_EQUAL(thread->context->start[0], INIT_HANDLES);
    EXPECT_EQUAL(thread->context->start[1], ABI_INIT_MESSAGE_BUFFER);
    EXPECT_EQUAL(thread_priority(thread), 60);
    EXPECT(strcmp(thread->process->name, "init") == 0);
    const uint8_t *file = (const uint8_t *)bundle + 2 * PAGE_SIZE;
    expect_bytes(TEXT, file + 0x1000, 0x800);
    expect_bytes(TEXT + 0x800, nullptr, 0x800);
    expect_bytes(READ_ONLY - 0x10, nullptr, 0x10);
    expect_bytes(READ_ONLY, file + 0x2010, 0x100);
    expect_bytes(READ_ONLY + 0x100, nullptr, PAGE_SIZE - 0x110);
    expect_bytes(DATA, file + 0x3000, DATA_FILE_BYTES);
    expect_bytes(DATA + DATA_FILE_BYTES, nullptr, 5 * PAGE_SIZE - DATA_FILE_BYTES);
    expect_access(TEXT, false, true);
    expect_access(READ_ONLY, false, false);
    expect_access(DATA + DATA_BYTES - 1, true, false);
    EXPECT(!can(HOST_LOAD, TEXT - 1));
    EXPECT(!can(HOST_LOAD, DATA + 5 * PAGE_SIZE));
    expect_bytes(ABI_INIT_STACK_TOP - 16 * PAGE_SIZE, nullptr, 16 * PAGE_SIZE);
    expect_access(ABI_INIT_STACK_TOP - 1, true, false);
    expect_access(ABI_INIT_STACK_TOP - 16 * PAGE_SIZE, true, false);
    EXPECT(!can(HOST_LOAD, ABI_INIT_STACK_TOP));
    EXPECT(!can(HOST_LOAD, ABI_INIT_STACK_TOP - 16 * PAGE_SIZE - 1));
    expect_access(ABI_INIT_MESSAGE_BUFFER, true, false);
}

// Its data begin inside a page.
static void prepare_data_inside(void)
{
    prepare(1);
    struct image *image = (struct image *)(void *)((uint8_t *)bundle + 2 * PAGE_SIZE);
    image->segment[2].p_offset += 0x100;
    image->segment[2].p_vaddr += 0x100;
    image->segment[2].p_filesz -= 0x100;
    image->segment[2].p_memsz -= 0x100;
}

// The frames of an image need not be next to each other.
TEST(an_image_around_a_gap)
{
    prepare_data_inside();
    boots();
    paddr_t page; // the second of its data
    EXPECT(host_access(0, DATA + PAGE_SIZE, HOST_LOAD, &page));
    memset(cpus[0], 0, sizeof *cpus[0]);
    memset(cpus, 0, sizeof(struct cpu *) * CPUS_MAX);
    prepare_data_inside();
    boot.reserved[boot.reserved_count++] = (struct boot_range){page.value, page.value + PAGE_SIZE};
    boots();
    expect_bytes(DATA + 0x100, (const uint8_t *)bundle + 2 * PAGE_SIZE + 0x3100,
                 DATA_FILE_BYTES - 0x100);
    paddr_t first, second;
    EXPECT(host_access(0, DATA, HOST_LOAD, &first));
    EXPECT(host_access(0, DATA + PAGE_SIZE, HOST_LOAD, &second));
    EXPECT(second.value != first.value + PAGE_SIZE);
}

static const struct handle_entry *entry_of(uint64_t handle)
{
    return &init_thread()->process->pages[0][handle % HANDLES_PER_PAGE];
}

static void expect_handle(unsigned index, enum abi_object type, uint32_t rights)
{
    uint64_t word = entry_of(init_thread()->message->handles[index])->word;
    EXPECT_EQUAL(word >> 24 & 0xff, type);
    EXPECT_EQUAL(word >> 32, rights);
}

TEST(init_finds_its_handles)
{
    prepare(1);
    boots();
    const uint64_t *handles = init_thread()->message->handles;
    expect_handle(INIT_ACCOUNT, OBJECT_ACCOUNT, RIGHTS_ACCOUNT);
    expect_handle(INIT_PROCESS, OBJECT_PROCESS, RIGHTS_PROCESS);
    expect_handle(INIT_ASPACE, OBJECT_ASPACE, RIGHTS_ASPACE);
    expect_handle(INIT_MACHINE, OBJECT_MACHINE, RIGHTS_MACHINE);
    expect_handle(INIT_LOG, OBJECT_LOG, RIGHTS_LOG);
    expect_handle(INIT_BUNDLE, OBJECT_VMO,
                  RIGHT_DUPLICATE | RIGHT_TRANSFER | RIGHT_INSPECT | RIGHT_READ | RIGHT_MAP);
    const struct process *process = init_thread()->process;
    EXPECT_EQUAL(process->handles_used, INIT_HANDLES);
    EXPECT_EQUAL(process->handles_reserved, 0);
    const struct account *root = process->object.account;
    EXPECT_EQUAL(object_index(&root->object), entry_of(handles[INIT_ACCOUNT])->word & 0xff'ffff);
    // All memory is the root account's, and what is not used is free.
    EXPECT_EQUAL(root->pages.limit - root->pages.used, frames_free());
    EXPECT_EQUAL(root->objects.limit - root->objects.used, objects_free());
    EXPECT_EQUAL(root->objects.limit, objects_total());
    EXPECT(!root->closed && root->parent == nullptr);
    EXPECT_EQUAL(INIT_CALL(OBJECT_DESTROY, handles[INIT_ACCOUNT]), STATUS_NOT_SUPPORTED);
    EXPECT_EQUAL(INIT_CALL(EVENT_CREATE, handles[INIT_ACCOUNT]), STATUS_OK);
    EXPECT_EQUAL(INIT_CALL(MACHINE_INFO, handles[INIT_MACHINE]), STATUS_OK);
    EXPECT_EQUAL(INIT_CALL(LOG_READ, handles[INIT_LOG], 0), STATUS_OK);
    EXPECT_EQUAL(INIT_CALL(OBJECT_DESTROY, handles[INIT_PROCESS]), STATUS_OK);
}

static void raised(uint32_t line)
{
    host_line_pulse(line);
    host_enter(0, entry_interrupt);
    host_run(0);
}

// Storms are told on the Machine that init has.
TEST(init_is_told_of_storms)
{
    prepare(1);
    boots();
    const uint64_t *handles = init_thread()->message->handles;
    const struct object *machine = object_at(entry_of(handles[INIT_MACHINE])->word & 0xff'ffff);
    EXPECT_EQUAL(INIT_CALL(MACHINE_INTERRUPT, handles[INIT_MACHINE], handles[INIT_ACCOUNT],
                           HOST_LINE_FIRST, TRIGGER_EDGE),
                 STATUS_OK);
    EXPECT_EQUAL(INIT_CALL(INTERRUPT_LIMIT, init_thread()->context->result[0], 1, 1), STATUS_OK);
    raised(HOST_LINE_FIRST);
    EXPECT(!(machine->signals & SIGNAL_STORM));
    raised(HOST_LINE_FIRST);
    EXPECT(machine->signals & SIGNAL_STORM);
}

TEST_THAT_PANICS(init_has_ended, "init has ended, with code 3")
{
    prepare(1);
    boots();
    (void)INIT_CALL(PROCESS_EXIT, 3);
}

TEST(init_can_read_the_bundle_and_not_write_it)
{
    prepare(1);
    boots();
    const uint64_t *handles = init_thread()->message->handles;
    constexpr uint64_t at = 0x6000'0000;
    uint64_t aspace = handles[INIT_ASPACE], vmo = handles[INIT_BUNDLE];
    EXPECT_EQUAL(INIT_CALL(VM_MAP, aspace, vmo, 0, at, BUNDLE_BYTES, PROT_READ | PROT_WRITE),
                 STATUS_NO_RIGHT);
    EXPECT_EQUAL(INIT_CALL(VM_MAP, aspace, vmo, 0, at, BUNDLE_BYTES + PAGE_SIZE, PROT_READ),
                 STATUS_INVALID);
    EXPECT_EQUAL(INIT_CALL(VM_MAP, aspace, vmo, 0, at, BUNDLE_BYTES, PROT_READ), STATUS_OK);
    expect_bytes(at, (const uint8_t *)bundle, BUNDLE_BYTES);
    expect_access(at, false, false);
    EXPECT_EQUAL(INIT_CALL(OBJECT_INSPECT, vmo), STATUS_OK);
    const struct abi_inspect *seen = (const void *)init_thread()->message->data;
    EXPECT_EQUAL(seen->vmo.bytes, BUNDLE_BYTES);
    // Memory, and not registers.
    EXPECT(!(pagetable_get(init_thread()->process->aspace, at).value & PTE_DEVICE));
}

TEST(init_may_be_the_first_file)
{
    prepare(1);
    struct abi_bundle_entry first = bundle->entries[0];
    bundle->entries[0] = bundle->entries[1];
    bundle->entries[1] = first;
    boots();
    EXPECT_EQUAL(init_thread()->context->pc, ENTRY);
}

TEST(an_image_of_many_pages)
{
    prepare(1);
    constexpr uint64_t PAGES = 3 * VM_STEP_PAGES + 1;
    struct image *image = (struct image *)(void *)((uint8_t *)bundle + 2 * PAGE_SIZE);
    image->segment[2].p_memsz = PAGES * PAGE_SIZE;
    boots();
    expect_bytes(DATA, (const uint8_t *)bundle + 2 * PAGE_SIZE + 0x3000, DATA_FILE_BYTES);
    expect_bytes(DATA + DATA_FILE_BYTES, nullptr, PAGES * PAGE_SIZE - DATA_FILE_BYTES);
    EXPECT(!can(HOST_LOAD, DATA + PAGES * PAGE_SIZE));
}

static status_t mint(uint64_t address, uint64_t bytes)
{
    const uint64_t *handles = init_thread()->message->handles;
    return (status_t)INIT_CALL(MACHINE_DEVICE_MEMORY, handles[INIT_MACHINE], handles[INIT_ACCOUNT],
                               address, bytes, MEMORY_TABLES);
}

// Of an image and a bundle that lie apart from RAM, as in flash, no page is given away, and all
// pages beside them.
TEST(no_page_of_the_image_or_the_bundle_is_minted)
{
    prepare(1);
    constexpr uint64_t IMAGE = HOST_RAM_START + 0x8'0000;
    boot.ram[0].start = HOST_RAM_START + 0x20'0000;
    boot.reserved_count = 0;
    boot.kernel = (struct boot_range){IMAGE, IMAGE + 2 * PAGE_SIZE};
    boots();
    for (uint64_t page = HOST_RAM_START; page < boot.ram[0].start; page += PAGE_SIZE) {
        bool owned = (page >= BUNDLE_AT && page < BUNDLE_AT + BUNDLE_BYTES) ||
                     (page >= IMAGE && page < IMAGE + 2 * PAGE_SIZE);
        EXPECT_EQUAL(mint(page, PAGE_SIZE), owned ? STATUS_INVALID : STATUS_OK);
    }
    EXPECT_EQUAL(mint(boot.ram[0].start - PAGE_SIZE, 2 * PAGE_SIZE), STATUS_INVALID);
    EXPECT_EQUAL(mint(IMAGE - PAGE_SIZE, 4 * PAGE_SIZE), STATUS_INVALID);
}

TEST(init_is_told_what_the_firmware_said)
{
    prepare(1);
    boot.ram_count = 2;
    boot.ram[0].end = HOST_RAM_START + 0x40'0000;
    boot.ram[1] = (struct boot_range){HOST_RAM_START + 0x80'0000, HOST_RAM_START + RAM};
    boot.ram[2] = (struct boot_range){HOST_RAM_START + RAM, HOST_RAM_START + 2 * RAM}; // not one
    boot.tables = (paddr_t){0x1234'5678};
    boot.tables_bytes = 777;
    memcpy(boot.command_line, "quiet slowly", 13);
    boots();
    memset(init_thread()->message->data, 0xee, ABI_MESSAGE_BYTES);
    EXPECT_EQUAL(INIT_CALL(MACHINE_INFO, init_thread()->message->handles[INIT_MACHINE]), STATUS_OK);
    const struct abi_machine_info *info = (const void *)init_thread()->message->data;
    EXPECT_EQUAL(info->tables, 0x1234'5678);
    EXPECT_EQUAL(info->tables_bytes, 777);
    EXPECT_EQUAL(info->ram_bytes, 12 << 20);
    EXPECT(strcmp(info->command_line, "quiet slowly") == 0);
    EXPECT_EQUAL(info->objects_total, 1024); // never fewer
    host_console[host_console_bytes] = 0;
    EXPECT(strstr(host_console, "Skerry dev: 1 CPU, simulated, virtual at 1000 MHz\n"));
    EXPECT(strstr(host_console, "memory: 12 MiB, "));
    EXPECT(strstr(host_console, " contiguous, 1024 objects\n"));
}

// ---- a bundle that is wrong, and one that only just is not

#define BOOT_PANICS(name, text, ...) \
    TEST_THAT_PANICS(name, text)     \
    {                                \
        prepare(1);                  \
        __VA_ARGS__;                 \
        boots();                     \
    }
#define NOT_A_BUNDLE "missing or not a version 1 bundle"
BOOT_PANICS(no_bundle, NOT_A_BUNDLE, boot.bundle.end = boot.bundle.start)
BOOT_PANICS(a_bundle_of_less_than_a_page, NOT_A_BUNDLE, boot.bundle.end = BUNDLE_AT + PAGE_SIZE - 1)
BOOT_PANICS(a_page_of_something_else, NOT_A_BUNDLE, bundle->magic[7] = 'X')
BOOT_PANICS(another_version, NOT_A_BUNDLE, bundle->version = 2)
BOOT_PANICS(a_bundle_of_one_page, "reaches outside", boot.bundle.end = BUNDLE_AT + PAGE_SIZE)
BOOT_PANICS(too_many_entries, "and has room for 1023",
            bundle->count = (BUNDLE_BYTES - sizeof *bundle) / sizeof bundle->entries[0] + 1)
BOOT_PANICS(no_init, "holds no 'init'", bundle->entries[1].name[0] = 'x')
BOOT_PANICS(init_behind_the_last_entry, "holds no 'init'", bundle->count = 1)
BOOT_PANICS(init_off_a_page, "reaches outside", bundle->entries[1].offset++)
BOOT_PANICS(init_begins_outside, "reaches outside",
            bundle->entries[1].offset = BUNDLE_BYTES + PAGE_SIZE)
BOOT_PANICS(init_begins_at_the_end, "not a usable program", bundle->entries[1].bytes = 0,
            bundle->entries[1].offset = BUNDLE_BYTES)
BOOT_PANICS(init_ends_outside, "reaches outside",
            bundle->entries[1].bytes = BUNDLE_BYTES - 2 * PAGE_SIZE + 1)
BOOT_PANICS(init_ends_in_its_middle, "not a usable program",
            bundle->entries[1].bytes = sizeof(Elf64_Ehdr))
BOOT_PANICS(init_is_no_program, "not a usable program", ((uint8_t *)bundle)[2 * PAGE_SIZE] = 0)
BOOT_PANICS(init_is_too_large, "cannot start init: memory for its image: NO_PAGES",
            ((struct image *)(void *)((uint8_t *)bundle + 2 * PAGE_SIZE))->segment[2].p_memsz = RAM)
BOOT_PANICS(
    init_is_under_its_stack, "cannot start init: its stack: OVERLAP",
    ((struct image *)(void *)((uint8_t *)bundle + 2 * PAGE_SIZE))->segment[0].p_vaddr = 0x1f'f000,
    ((struct image *)(void *)((uint8_t *)bundle + 2 * PAGE_SIZE))->file.e_entry = 0x1f'f010)

TEST(a_bundle_as_full_as_can_be)
{
    prepare(1);
    bundle->count = (BUNDLE_BYTES - sizeof *bundle) / sizeof bundle->entries[0];
    bundle->entries[1].bytes = BUNDLE_BYTES - 2 * PAGE_SIZE;
    boots();
    EXPECT_EQUAL(init_thread()->context->pc, ENTRY);
}

// ---- other CPUs

constexpr uint64_t SECOND = 1'000'000'000;

static struct {
    bool refused;    // by the firmware
    bool never;      // it does not come
    uint64_t late;   // comes when the clock says so
    int64_t skew;    // of its clock
    const char *why; // it cannot set up its interrupt controller
} plan[CPUS_MAX];
static struct arch_percpu *coming, *here;
static uint64_t coming_id;
static struct arch_percpu *told[CPUS_MAX]; // of each that was started
static uint64_t stacks[CPUS_MAX];          // of each, by its hardware's number
static unsigned started, halted, timers;
static uint64_t told_at; // when the last one was started
static struct irq_controller controller;
static struct clock_source source;

static bool start(uint64_t hardware_id, paddr_t entry, uint64_t argument)
{
    EXPECT(frame_of(entry)->state != FRAME_USER);
    coming_id = hardware_id;
    told_at = host_ticks;
    stacks[hardware_id - 0x100] = entry.value;
    started++;
    if (plan[hardware_id - 0x100].refused)
        return false;
    coming = told[hardware_id - 0x100] = (struct arch_percpu *)argument;
    return true;
}

static struct arch_context *secondary(void)
{
    entry_cpu(here);
}

static const char *controller_cpu_init(uint32_t cpu)
{
    EXPECT_EQUAL(cpu, cpu_self()->number);
    return plan[cpu_self()->hardware_id - 0x100].why;
}

static void timer_init(void)
{
    timers++;
}

static uint64_t skewed_ticks(void)
{
    uint64_t id = cpus[0] && host_running != &cpus[0]->arch ? cpu_self()->hardware_id - 0x100 : 0;
    return host_ticks + SECOND + (uint64_t)plan[id].skew;
}

static void stop_for_ever(void)
{
    if (!cpus[0] || host_running == &cpus[0]->arch)
        test_fail(__FILE__, __LINE__, "the boot CPU stops: %s",
                  host_console + (host_console_bytes > 1500 ? host_console_bytes - 1500 : 0));
    halted++;
    for (;;)
        host_relax();
}

// Each has its own place in the simulated machine, whatever number the kernel gives it.
static unsigned arrives(void)
{
    unsigned place = (unsigned)(coming_id - 0x100);
    here = coming;
    host_cpu_attach(place, here);
    coming = nullptr;
    host_enter(place, secondary);
    return place;
}

// Lets the boot CPU and the one that comes run by turns, until init does.
static void boots_with(unsigned cpus_wanted, uint32_t period, uint64_t step, struct random *random)
{
    prepare(cpus_wanted);
    controller = *hal.irq;
    controller.cpu_init = controller_cpu_init;
    source = *hal.clock;
    source.cpu_init = timer_init;
    source.ticks = skewed_ticks;
    hal.irq = &controller;
    hal.clock = &source;
    hal.cpu_start = start;
    host_on_halt = stop_for_ever;
    host_interleave(period, random ? random_next(random) : 1);
    host_enter(0, main_entry);
    unsigned other = 0;
    for (unsigned turn = 0; host_place(0) != HOST_USER; turn++) {
        if (turn > 200'000)
            test_fail(__FILE__, __LINE__, "the boot CPU waits for ever");
        host_ticks += step;
        if (coming && !plan[coming_id - 0x100].never && host_ticks >= plan[coming_id - 0x100].late)
            other = arrives();
        unsigned next = random ? (unsigned)random_below(random, 2) : turn % 2;
        if (next == 0 || other == 0 || host_place(other) == HOST_IDLE)
            host_run(0);
        else
            host_run(other);
    }
}

static void expect_log(const char *text)
{
    host_console[host_console_bytes] = 0;
    if (!strstr(host_console, text))
        test_fail(__FILE__, __LINE__, "'%s' is not in the log:\n%s", text, host_console);
}

static void expect_cpus(unsigned count)
{
    EXPECT_EQUAL(cpu_count(), count);
    for (unsigned i = 0; i < count; i++) {
        EXPECT_EQUAL(cpus[i]->number, i);
        if (i > 0)
            EXPECT_EQUAL(host_place((unsigned)cpus[i]->hardware_id - 0x100), HOST_IDLE);
    }
    EXPECT(cpus[count] == nullptr);
}

TEST(all_cpus_come)
{
    boots_with(4, UINT32_MAX, 1000, nullptr);
    expect_cpus(4);
    EXPECT_EQUAL(started, 3);
    EXPECT_EQUAL(timers, 3);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_EQUAL(cpus[i]->hardware_id, 0x100 + i);
        EXPECT_EQUAL(counter_read(&cpus[i]->idle_ns), 0); // its time begins as it comes
    }
    expect_log("4 of 4 CPUs run");
    EXPECT(!strstr(host_console, "is not used"));
    expect_log(": 4 CPUs, ");
    EXPECT_EQUAL(INIT_CALL(MACHINE_INFO, init_thread()->message->handles[INIT_MACHINE]), STATUS_OK);
}

// Where each has its structure and its stack, and what of RAM is left.
TEST(each_cpu_has_memory_of_its_own)
{
    boots_with(1, UINT32_MAX, 1000, nullptr);
    uint64_t alone = frames_total();
    memset(cpus[0], 0, sizeof *cpus[0]);
    memset(cpus, 0, sizeof(struct cpu *) * CPUS_MAX);
    boots_with(4, UINT32_MAX, 1000, nullptr);
    expect_cpus(4);
    uint64_t bytes = align_up(sizeof(struct cpu), PAGE_SIZE);
    EXPECT_EQUAL(alone - frames_total(), 3 * (bytes + ARCH_STACK_MEMORY) >> PAGE_SHIFT);
    struct boot_range parts[6];
    for (unsigned i = 0; i < 3; i++) {
        uint64_t at = arch_ram_address(cpus[i + 1]).value;
        parts[i] = (struct boot_range){at, at + bytes};
        parts[3 + i] = (struct boot_range){stacks[i + 1], stacks[i + 1] + ARCH_STACK_MEMORY};
    }
    // In one piece, below the other tables: no part of it is free memory's.
    uint64_t lowest = UINT64_MAX, highest = 0;
    for (unsigned i = 0; i < 6; i++) {
        EXPECT(parts[i].start % PAGE_SIZE == 0);
        EXPECT(parts[i].end <= HOST_RAM_START + RAM);
        lowest = parts[i].start < lowest ? parts[i].start : lowest;
        highest = parts[i].end > highest ? parts[i].end : highest;
        for (unsigned j = 0; j < i; j++)
            EXPECT(parts[i].end <= parts[j].start || parts[j].end <= parts[i].start);
    }
    EXPECT_EQUAL(highest - lowest, 3 * (bytes + ARCH_STACK_MEMORY));
    EXPECT_EQUAL(highest + align_up(interrupts_table_bytes(), PAGE_SIZE),
                 arch_ram_address(object_at(0)).value);
}

TEST(a_machine_that_cannot_start_cpus)
{
    prepare(2);
    boots();
    expect_cpus(1);
    expect_log("1 of 2 CPUs run");
}

TEST(one_cpu_alone_starts_nothing)
{
    boots_with(1, UINT32_MAX, 1000, nullptr);
    expect_cpus(1);
    EXPECT_EQUAL(started, 0);
    expect_log("1 of 1 CPU run");
}

TEST(what_cannot_be_used_leaves_no_gap)
{
    plan[1].refused = true;
    plan[2].why = "its controller is odd";
    boots_with(4, UINT32_MAX, 1000, nullptr);
    expect_cpus(2);
    EXPECT_EQUAL(cpus[1]->hardware_id, 0x103);
    EXPECT_EQUAL(halted, 1);
    EXPECT_EQUAL(timers, 1);
    expect_log("CPU 1 (0x101) is not used: the firmware refuses to start it");
    expect_log("CPU 2 (0x102) is not used: its controller is odd");
    expect_log("2 of 4 CPUs run");
}

TEST(a_cpu_without_room_for_its_stack)
{
    boots_with(HOST_CPUS + 1, UINT32_MAX, 1000, nullptr);
    expect_cpus(HOST_CPUS);
    EXPECT_EQUAL(started, HOST_CPUS - 1);
    expect_log("CPU 17 (0x111) is not used: there is no room to map its stack");
}

TEST(a_cpu_that_does_not_come)
{
    plan[1].never = true;
    boots_with(3, UINT32_MAX, 1'000'000, nullptr);
    expect_cpus(2);
    EXPECT_EQUAL(cpus[1]->hardware_id, 0x102);
    EXPECT(host_ticks >= SECOND && host_ticks < SECOND + SECOND / 10);
    expect_log("CPU 1 (0x101) is not used: it does not arrive");
}

TEST(how_long_a_cpu_is_waited_for)
{
    plan[1].never = true;
    boots_with(2, UINT32_MAX, SECOND / 1000, nullptr);
    EXPECT_EQUAL(host_ticks - told_at, SECOND);
}

TEST(a_cpu_that_comes_too_late_stops)
{
    plan[1].late = SECOND + SECOND / 2;
    plan[2].never = true;
    boots_with(3, UINT32_MAX, 1'000'000, nullptr);
    expect_cpus(1);
    EXPECT_EQUAL(halted, 0);
    coming = told[1];
    coming_id = 0x101;
    host_interleave(UINT32_MAX, 1);
    (void)arrives();
    host_run(1);
    EXPECT_EQUAL(halted, 1);
    EXPECT_EQUAL(cpu_count(), 1);
}

TEST(a_cpu_that_comes_just_in_time)
{
    plan[1].late = SECOND - 10'000'000;
    boots_with(2, UINT32_MAX, 1'000'000, nullptr);
    expect_cpus(2);
}

TEST(a_clock_behind)
{
    plan[1].skew = -50'000;
    plan[1].late = 200'000;
    boots_with(2, UINT32_MAX, 20'000, nullptr);
    expect_cpus(1);
    EXPECT_EQUAL(halted, 1);
    expect_log("is not used: its clock is behind the boot CPU's");
}

TEST(a_clock_ahead)
{
    plan[1].skew = 1'000'000;
    boots_with(2, UINT32_MAX, 1000, nullptr);
    expect_cpus(1);
    expect_log("is not used: its clock is ahead of the boot CPU's");
}

static void boots_again(unsigned cpus_wanted, uint32_t period, uint64_t step, struct random *random)
{
    if (cpus[0])
        memset(cpus[0], 0, sizeof *cpus[0]);
    memset(cpus, 0, sizeof(struct cpu *) * CPUS_MAX);
    boots_with(cpus_wanted, period, step, random);
}

// The clock moves by steps of 1000 between the looks of the two. A clock that is off by as many of
// them as there are between a look and the one that bounds it reads the same, which is in order.
static void expect_edge(int64_t direction, int64_t steps)
{
    constexpr int64_t STEP = 1000;
    plan[1].skew = direction * steps * STEP;
    boots_again(2, UINT32_MAX, STEP, nullptr);
    EXPECT_EQUAL(cpu_count(), 2);
    plan[1].skew += direction;
    boots_again(2, UINT32_MAX, STEP, nullptr);
    EXPECT_EQUAL(cpu_count(), 1);
}

TEST(how_far_apart_two_clocks_may_be)
{
    expect_edge(1, 3); // two looks of the boot CPU later
    expect_edge(-1, 1);
}

// Whatever the order in which the two look and write down what they saw.
TEST(equal_clocks_are_never_refused)
{
    struct random random = {test_seed()};
    unsigned orders = test_amount(400, 20);
    for (unsigned i = 0; i < orders; i++) {
        boots_again(2, 1 + (uint32_t)random_below(&random, 6), 1 + random_below(&random, 50),
                    &random);
        expect_cpus(2);
    }
}
