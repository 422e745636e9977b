// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Who may have which registers and ports: to the page and to the port, and when the kernel lets go
// of the console. What a driver's pins cover, to the byte.
#include <hal/hal.h>
#include <string.h>

#include "kernel_world.h"
#include "machine.h"

constexpr uint64_t DEVICE = 0xd000'0000, CONSOLE = 0x9000'0000;

static struct actor *a;
static uint64_t machine;

static void begin(void)
{
    world_begin((struct world_options){});
    a = spawn(new_account(3000, 300), 10);
    machine = grant(a, world.boss, world.machine);
}

static status_t mint(uint64_t address, uint64_t pages)
{
    return CALL(a, MACHINE_DEVICE_MEMORY, machine, a->account, address, pages * PAGE_SIZE,
                MEMORY_DEVICE)
        .status;
}

static status_t ports(uint64_t base, uint64_t count)
{
    return CALL(a, MACHINE_IO_RANGE, machine, a->account, base, count).status;
}

// MEM-13
TEST(neighbours_do_not_overlap)
{
    begin();
    EXPECT_STATUS(mint(DEVICE, 4), OK);
    for (uint64_t page = 0; page < 4; page++)
        EXPECT_STATUS(mint(DEVICE + page * PAGE_SIZE, 1), OVERLAP);
    EXPECT_STATUS(mint(DEVICE - PAGE_SIZE, 2), OVERLAP);
    EXPECT_STATUS(mint(DEVICE - PAGE_SIZE, 9), OVERLAP);
    EXPECT_STATUS(mint(DEVICE - PAGE_SIZE, 1), OK);
    EXPECT_STATUS(mint(DEVICE + 4 * PAGE_SIZE, 1), OK);
    EXPECT_STATUS(mint(DEVICE + 64 * PAGE_SIZE, 1), OK);
    // Tables are not taken from anybody, and nothing comes back with them.
    uint64_t tables =
        MUST(a, MACHINE_DEVICE_MEMORY, machine, a->account, DEVICE, 2 * PAGE_SIZE, MEMORY_TABLES);
    MUST(a, HANDLE_CLOSE, tables);
    EXPECT_STATUS(mint(DEVICE, 4), OVERLAP);
    EXPECT_STATUS(mint(DEVICE - PAGE_SIZE, 1), OVERLAP);
    world_end();
}

TEST(as_large_and_as_high_as_can_be)
{
    begin();
    constexpr uint64_t MOST = 1u << 18, END = 1ull << 48;
    EXPECT_STATUS(mint(1ull << 40, MOST + 1), INVALID);
    EXPECT_STATUS(mint(1ull << 40, MOST), OK);
    EXPECT_STATUS(mint(END - PAGE_SIZE, 2), INVALID);
    EXPECT_STATUS(mint(END + PAGE_SIZE, 1), INVALID);
    EXPECT_STATUS(mint(END - PAGE_SIZE, 1), OK);
    world_end();
}

// MEM-13
TEST(what_the_kernel_drives_itself)
{
    begin();
    hal.owned[0] = (struct hal_range){DEVICE, DEVICE + PAGE_SIZE};
    hal.owned[1] = (struct hal_range){DEVICE + 4 * PAGE_SIZE, DEVICE + 6 * PAGE_SIZE};
    hal.owned[2] = (struct hal_range){DEVICE + 8 * PAGE_SIZE, DEVICE + 9 * PAGE_SIZE};
    hal.owned_count = 2;
    uint64_t before = account_behind(a, a->account)->objects.used;
    for (uint64_t page = 0; page < 10; page++) {
        bool owned = page == 0 || page == 4 || page == 5;
        EXPECT_EQUAL(mint(DEVICE + page * PAGE_SIZE, 1), owned ? STATUS_OVERLAP : STATUS_OK);
    }
    EXPECT_STATUS(mint(DEVICE - PAGE_SIZE, 2), OVERLAP);
    EXPECT_STATUS(mint(DEVICE - PAGE_SIZE, 1), OK);
    EXPECT_EQUAL(account_behind(a, a->account)->objects.used, before + 8);
    world_end();
}

// Whether the pages become the kernel's, by their last entry, which is let go of again.
static bool claims(uint64_t start, uint64_t end)
{
    uint8_t *mapped;
    struct tree_node node = {};
    if (machine_vector_take(&node, start, end - VECTOR_ENTRY_BYTES, &mapped) != STATUS_OK)
        return false;
    machine_vector_returned(&node);
    return true;
}

static void claim_vectors(void)
{
    // In pairs that share a page with the next; each page counts once.
    for (uint64_t i = 0; i < 127; i++)
        EXPECT(claims(DEVICE + i * PAGE_SIZE, DEVICE + (i + 2) * PAGE_SIZE));
    EXPECT(claims(DEVICE, DEVICE + 128 * PAGE_SIZE));
    EXPECT(!claims(DEVICE + 127 * PAGE_SIZE, DEVICE + 129 * PAGE_SIZE));
    EXPECT(!claims(DEVICE + 200 * PAGE_SIZE, DEVICE + 201 * PAGE_SIZE));
}

TEST(as_many_pages_of_vectors_as_there_is_room_for)
{
    begin();
    on_cpu(0, claim_vectors);
    EXPECT_STATUS(mint(DEVICE, 1), OVERLAP);
    EXPECT_STATUS(mint(DEVICE + 127 * PAGE_SIZE, 1), OVERLAP);
    EXPECT_STATUS(mint(DEVICE + 128 * PAGE_SIZE, 1), OK); // what was not taken
    EXPECT_STATUS(mint(DEVICE - PAGE_SIZE, 1), OK);
    EXPECT_STATUS(mint(DEVICE - 9 * PAGE_SIZE, 1), OK);
    world_end();
}

static void claim_beside_a_driver(void)
{
    EXPECT(!claims(DEVICE, DEVICE + 2 * PAGE_SIZE));
    EXPECT(claims(DEVICE, DEVICE + PAGE_SIZE));
    EXPECT(claims(DEVICE + 2 * PAGE_SIZE, DEVICE + 3 * PAGE_SIZE));
    EXPECT(!claims(DEVICE, DEVICE + 3 * PAGE_SIZE));
}

TEST(vectors_beside_a_drivers_registers)
{
    begin();
    EXPECT_STATUS(mint(DEVICE + PAGE_SIZE, 1), OK);
    on_cpu(0, claim_beside_a_driver);
    EXPECT_STATUS(mint(DEVICE + 3 * PAGE_SIZE, 1), OK);
    world_end();
}

// Registers are reached as registers; tables and memory through the caches.
static bool as_registers(uint64_t address)
{
    return pagetable_get(a->process->aspace, address).value & PTE_DEVICE;
}

TEST(how_memory_is_reached)
{
    begin();
    uint64_t acc = a->account, as = a->own_aspace;
    uint64_t registers =
        MUST(a, MACHINE_DEVICE_MEMORY, machine, acc, DEVICE, PAGE_SIZE, MEMORY_DEVICE);
    uint64_t tables =
        MUST(a, MACHINE_DEVICE_MEMORY, machine, acc, DEVICE, PAGE_SIZE, MEMORY_TABLES);
    uint64_t vmo = MUST(a, VMO_CREATE, acc, PAGE_SIZE, 0);
    MUST(a, VM_MAP, as, registers, 0, 0x4000'0000, PAGE_SIZE, PROT_READ | PROT_WRITE);
    MUST(a, VM_MAP, as, tables, 0, 0x4100'0000, PAGE_SIZE, PROT_READ);
    MUST(a, VM_MAP, as, vmo, 0, 0x4200'0000, PAGE_SIZE, PROT_READ | PROT_WRITE);
    EXPECT(as_registers(0x4000'0000));
    EXPECT(!as_registers(0x4100'0000));
    EXPECT(!as_registers(0x4200'0000));
    EXPECT(!as_registers(ABI_INIT_MESSAGE_BUFFER));
    // Nobody gets rights to more than that.
    static const uint32_t more[] = {RIGHT_EXECUTE, RIGHT_PIN};
    for (unsigned i = 0; i < ARRAY_SIZE(more); i++) {
        EXPECT_CALL(INVALID, a, HANDLE_DUPLICATE, registers, more[i]);
        EXPECT_CALL(INVALID, a, HANDLE_DUPLICATE, tables, more[i]);
    }
    EXPECT_CALL(OK, a, HANDLE_DUPLICATE, registers, RIGHT_WRITE);
    EXPECT_CALL(INVALID, a, HANDLE_DUPLICATE, tables, RIGHT_WRITE);
    // Whatever rights somebody came by.
    uint64_t forced = grant_rights(a, a, registers, RIGHTS_VMO);
    EXPECT_CALL(INVALID, a, VM_MAP, as, forced, 0, 0x5000'0000, PAGE_SIZE,
                PROT_READ | PROT_EXECUTE);
    forced = grant_rights(a, a, tables, RIGHTS_VMO);
    EXPECT_CALL(INVALID, a, VM_MAP, as, forced, 0, 0x5000'0000, PAGE_SIZE, PROT_READ | PROT_WRITE);
    EXPECT_CALL(INVALID, a, VM_MAP, as, forced, 0, 0x5000'0000, PAGE_SIZE,
                PROT_READ | PROT_EXECUTE);
    world_end();
}

// ---- the console

static bool kernel_writes(void)
{
    size_t before = host_console_bytes;
    set_text(world.boss, "x");
    MUST(world.boss, LOG_WRITE, world.log, 1);
    return host_console_bytes > before;
}

static void expect_released_by(uint64_t address, uint64_t pages)
{
    begin();
    static const int64_t beside[] = {-3, -1, 1, 3};
    for (unsigned i = 0; i < ARRAY_SIZE(beside); i++)
        MUST(a, HANDLE_CLOSE,
             MUST(a, MACHINE_DEVICE_MEMORY, machine, a->account,
                  CONSOLE + (uint64_t)beside[i] * PAGE_SIZE, PAGE_SIZE, MEMORY_DEVICE));
    EXPECT_STATUS(ports(0, 0x1'0000), OK);
    EXPECT(kernel_writes());
    EXPECT_STATUS(mint(address, pages), OK);
    EXPECT(!kernel_writes());
    world_end();
}

TEST(a_drivers_console)
{
    expect_released_by(CONSOLE, 1);
}

TEST(a_console_among_other_registers)
{
    expect_released_by(CONSOLE - PAGE_SIZE, 3);
}

static void with_console_at_ports(void)
{
    static struct console console;
    begin();
    console = *hal.console;
    console.base = 0x3f8;
    console.bytes = 8;
    console.io_ports = true;
    hal.console = &console;
    EXPECT_STATUS(ports(0x10, 1), OK);
    EXPECT_STATUS(ports(0x3f7, 1), OK);
    EXPECT_STATUS(ports(0x400, 1), OK);
    EXPECT_STATUS(ports(0x500, 1), OK);
    EXPECT_CALL(INVALID, a, MACHINE_IO_RANGE, machine, a->account, 0x3f8, 0);
    EXPECT_STATUS(mint(0, 1), OK); // memory of the same number
    EXPECT(kernel_writes());
}

TEST(a_console_at_ports)
{
    with_console_at_ports();
    EXPECT_STATUS(ports(0x3f8, 8), OK);
    EXPECT(!kernel_writes());
    world_end();
}

TEST(the_last_port_of_a_console)
{
    with_console_at_ports();
    EXPECT_STATUS(ports(0x3ff, 1), OK);
    EXPECT(!kernel_writes());
    world_end();
}

TEST(no_console)
{
    begin();
    hal.console = nullptr;
    EXPECT_STATUS(mint(CONSOLE, 1), OK);
    EXPECT_STATUS(ports(0, 0x1'0000), OK);
    world_end();
}

// Ports of the same numbers as the console's registers.
TEST(ports_are_not_memory)
{
    static struct console console;
    begin();
    console = *hal.console;
    console.base = 0;
    hal.console = &console;
    EXPECT_STATUS(ports(0, 0x1'0000), OK);
    EXPECT(kernel_writes());
    world_end();
}

// ---- ports

TEST(ports_next_to_each_other)
{
    begin();
    EXPECT_STATUS(ports(0x70, 8), OK);
    EXPECT_STATUS(ports(0x6f, 2), OVERLAP);
    EXPECT_STATUS(ports(0x77, 1), OVERLAP);
    EXPECT_STATUS(ports(0x6f, 1), OK);
    EXPECT_STATUS(ports(0x78, 1), OK);
    EXPECT_STATUS(ports(0x100, 1), OK);
    EXPECT_STATUS(ports(0x1'0001, 1), INVALID);
    EXPECT_STATUS(ports(0xffff, 1), OK);
    uint64_t range = MUST(a, MACHINE_IO_RANGE, machine, a->account, 0x200, 8);
    MUST(a, IO_WRITE, range, 7, 1, 0xab);
    EXPECT_EQUAL(MUST(a, IO_READ, range, 7, 1), 0xab);
    EXPECT_EQUAL(host_io[0x207], 0xab);
    EXPECT_CALL(OK, a, IO_WRITE, range, 4, 4, UINT32_MAX);
    EXPECT_CALL(OK, a, IO_WRITE, range, 6, 2, 0xffff);
    EXPECT_CALL(OK, a, IO_WRITE, range, 0, 1, 0xff);
    world_end();
}

// ---- pins

// MEM-22
TEST(as_many_pages_as_a_pin_may_have)
{
    begin();
    uint64_t space = MUST(a, MACHINE_DMA_SPACE, machine, a->account, 5);
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 300 * PAGE_SIZE, 0), acc = a->account;
    constexpr unsigned ALL = ABI_PIN_MAX_PAGES;
    EXPECT_CALL(INVALID, a, PIN_CREATE, space, acc, vmo, 0, (ALL + 1) * PAGE_SIZE, DMA_BOTH);
    EXPECT_CALL(INVALID, a, PIN_CREATE, space, acc, vmo, 301 * PAGE_SIZE, PAGE_SIZE, DMA_BOTH);
    uint64_t all = MUST(a, PIN_CREATE, space, acc, vmo, 0, ALL * PAGE_SIZE, DMA_BOTH);
    uint64_t part = MUST(a, PIN_CREATE, space, acc, vmo, 20 * PAGE_SIZE, 200 * PAGE_SIZE, DMA_BOTH);
    uint64_t pages[ALL];
    EXPECT_EQUAL(MUST(a, PIN_ADDRESSES, all, 0), ALL);
    memcpy(pages, text_of(a), sizeof pages);
    for (unsigned i = 0; i < ALL; i++)
        for (unsigned j = 0; j < i; j++)
            EXPECT(pages[i] != pages[j]);
    EXPECT_EQUAL(MUST(a, PIN_ADDRESSES, part, 0), 200);
    EXPECT(memcmp(text_of(a), pages + 20, 200 * sizeof pages[0]) == 0);
    EXPECT_EQUAL(MUST(a, PIN_ADDRESSES, part, 150), 50);
    EXPECT(memcmp(text_of(a), pages + 170, 50 * sizeof pages[0]) == 0);
    EXPECT_CALL(OK, a, PIN_SYNC, all, 5, ABI_PIN_SYNC_BYTES, SYNC_CPU);
    EXPECT_CALL(INVALID, a, PIN_SYNC, all, 5, ABI_PIN_SYNC_BYTES + 1, SYNC_CPU);
    MUST(a, PIN_RELEASE, all);
    MUST(a, PIN_RELEASE, part);
    world_end();
}

// MEM-18
TEST(rights_by_direction)
{
    begin();
    uint64_t space = MUST(a, MACHINE_DMA_SPACE, machine, a->account, 5), acc = a->account;
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, PAGE_SIZE, 0);
    uint64_t writable = grant_rights(a, a, vmo, RIGHT_WRITE | RIGHT_PIN);
    uint64_t readable = grant_rights(a, a, vmo, RIGHT_READ | RIGHT_PIN);
    EXPECT_CALL(NO_RIGHT, a, PIN_CREATE, space, acc, writable, 0, PAGE_SIZE, DMA_TO_DEVICE);
    EXPECT_CALL(NO_RIGHT, a, PIN_CREATE, space, acc, writable, 0, PAGE_SIZE, DMA_BOTH);
    EXPECT_CALL(NO_RIGHT, a, PIN_CREATE, space, acc, readable, 0, PAGE_SIZE, DMA_FROM_DEVICE);
    EXPECT_CALL(NO_RIGHT, a, PIN_CREATE, space, acc, readable, 0, PAGE_SIZE, DMA_BOTH);
    MUST(a, PIN_RELEASE, MUST(a, PIN_CREATE, space, acc, writable, 0, PAGE_SIZE, DMA_FROM_DEVICE));
    MUST(a, PIN_RELEASE, MUST(a, PIN_CREATE, space, acc, readable, 0, PAGE_SIZE, DMA_TO_DEVICE));
    world_end();
}

// Exactly the bytes that were named, on the pages that the device sees.
static void expect_work(enum host_maintenance_kind kind, const uint64_t *pages, uint64_t offset,
                        uint64_t bytes)
{
    EXPECT(host_maintenance_count <= HOST_MAINTENANCE);
    for (unsigned i = 0; i < host_maintenance_count; i++) {
        EXPECT_EQUAL(host_maintenance[i].kind, kind);
        EXPECT_EQUAL(host_maintenance[i].start.value,
                     pages[offset / PAGE_SIZE] + offset % PAGE_SIZE);
        EXPECT(host_maintenance[i].bytes > 0 &&
               offset % PAGE_SIZE + host_maintenance[i].bytes <= PAGE_SIZE);
        offset += host_maintenance[i].bytes;
        bytes -= host_maintenance[i].bytes;
    }
    EXPECT_EQUAL(bytes, 0);
    host_maintenance_count = 0;
}

// MEM-22
TEST(caches_are_made_to_agree_with_the_device)
{
    begin();
    uint64_t space = MUST(a, MACHINE_DMA_SPACE, machine, a->account, 5);
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 8 * PAGE_SIZE, 0);
    uint64_t pin =
        MUST(a, PIN_CREATE, space, a->account, vmo, 2 * PAGE_SIZE, 4 * PAGE_SIZE, DMA_BOTH);
    EXPECT_EQUAL(MUST(a, PIN_ADDRESSES, pin, 0), 4);
    uint64_t pages[4];
    memcpy(pages, text_of(a), sizeof pages);
    host_maintenance_count = 0;
    static const uint64_t parts[][2] = {{0, 1},     {0, 4096},     {100, 200},         {4095, 2},
                                        {8192, 1},  {0, 4 * 4096}, {77, 2 * 4096 + 1}, {4096, 4096},
                                        {16383, 1}, {500, 0}};
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        MUST(a, PIN_SYNC, pin, parts[i][0], parts[i][1], SYNC_DEVICE);
        expect_work(HOST_DMA_CLEAN, pages, parts[i][0], parts[i][1]);
        MUST(a, PIN_SYNC, pin, parts[i][0], parts[i][1], SYNC_CPU);
        expect_work(HOST_DMA_INVALIDATE, pages, parts[i][0], parts[i][1]);
    }
    // Code, before it can run; and nothing else.
    MUST(a, VM_MAP, a->own_aspace, vmo, 2 * PAGE_SIZE, 0x4000'0000, 4 * PAGE_SIZE,
         PROT_READ | PROT_EXECUTE);
    expect_work(HOST_CODE_SYNC, pages, 0, 4 * PAGE_SIZE);
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, 0x5000'0000, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE);
    EXPECT_EQUAL(host_maintenance_count, 0);
    MUST(a, PIN_RELEASE, pin);
    world_end();
}
