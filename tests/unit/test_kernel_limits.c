// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Every call that makes something, with an account that has 0, 1, 2... pages and objects left:
// it fails with the error that says which, leaves everything as it was, and succeeds as soon as
// there is enough (A1-A3).
#include "kernel_world.h"

constexpr uint64_t PAGES = 40, OBJECTS = 40;

static struct actor *a; // who calls; its handle table is paid elsewhere
static uint64_t payer;  // a's handle of the account that pays
static struct outcome process;
static uint64_t vmo, port, event, space, machine; // of a's own account
static unsigned round_number;

static void fill(uint64_t pages_left, uint64_t objects_left)
{
    const struct account *account = account_behind(a, payer);
    while (account->pages.limit - account->pages.used > pages_left) {
        uint64_t pages = account->pages.limit - account->pages.used - pages_left;
        MUST(a, VMO_CREATE, payer, (pages > 16 ? 16 : pages) * PAGE_SIZE, 0);
    }
    while (account->objects.limit - account->objects.used > objects_left)
        MUST(a, EVENT_CREATE, payer);
}

struct creation {
    const char *name;
    struct outcome (*make)(void);
    bool in_process; // the account pays for a process, too
};

static struct outcome make_event(void)
{
    return CALL(a, EVENT_CREATE, payer);
}

static struct outcome make_timer(void)
{
    return CALL(a, TIMER_CREATE, payer);
}

static struct outcome make_port(void)
{
    return CALL(a, PORT_CREATE, payer);
}

static struct outcome make_vmo(void)
{
    return CALL(a, VMO_CREATE, payer, 5 * PAGE_SIZE, 0);
}

static struct outcome make_large_vmo(void)
{
    return CALL(a, VMO_CREATE, payer, 20 * PAGE_SIZE, 0);
}

static struct outcome make_channel(void)
{
    return CALL(a, CHANNEL_CREATE, payer, payer, ABI_CHANNEL_SHAPE(4, 1024, 2, 2), OVERFLOW_REJECT);
}

static struct outcome make_account(void)
{
    return CALL(a, ACCOUNT_CREATE, payer, 4, 3);
}

static struct outcome make_process(void)
{
    return CALL(a, PROCESS_CREATE, payer, 0);
}

static struct outcome make_thread(void)
{
    return CALL(a, THREAD_CREATE, process.value[0], 5, 0x4000'0000);
}

static struct outcome make_mapping(void)
{
    return CALL(a, VM_MAP, process.value[1], vmo, 0, 0x4000'0000, 3 * PAGE_SIZE, PROT_READ);
}

static struct outcome make_binding(void)
{
    uint64_t paid = CALL(a, PORT_CREATE, payer).value[0];
    struct outcome out = CALL(a, PORT_BIND, paid, event, 1, 1);
    if (out.status != STATUS_OK && paid)
        (void)CALL(a, HANDLE_CLOSE, paid);
    return out.status == STATUS_BAD_HANDLE ? (struct outcome){.status = STATUS_NO_OBJECTS} : out;
}

static struct outcome make_pin(void)
{
    return CALL(a, PIN_CREATE, space, payer, vmo, 0, 3 * PAGE_SIZE, DMA_BOTH);
}

static struct outcome make_device_memory(void)
{
    return CALL(a, MACHINE_DEVICE_MEMORY, machine, payer, 0xd000'0000, PAGE_SIZE, MEMORY_DEVICE);
}

static struct outcome make_io_range(void)
{
    return CALL(a, MACHINE_IO_RANGE, machine, payer, 0x60, 4);
}

static struct outcome make_interrupt(void)
{
    return CALL(a, MACHINE_INTERRUPT, machine, payer, 20, TRIGGER_EDGE);
}

static struct outcome make_message_interrupt(void)
{
    return CALL(a, MACHINE_MESSAGE_INTERRUPT, machine, payer, 0xd100'0000, 0, 8);
}

static struct outcome make_dma_space(void)
{
    return CALL(a, MACHINE_DMA_SPACE, machine, payer, 8);
}

static const struct creation creations[] = {
    {"event", make_event, false},
    {"timer", make_timer, false},
    {"port", make_port, false},
    {"vmo", make_vmo, false},
    {"large vmo", make_large_vmo, false},
    {"channel", make_channel, false},
    {"account", make_account, false},
    {"process", make_process, false},
    {"thread", make_thread, true},
    {"mapping", make_mapping, true},
    {"binding", make_binding, false},
    {"pin", make_pin, false},
    {"device memory", make_device_memory, false},
    {"io range", make_io_range, false},
    {"interrupt", make_interrupt, false},
    {"message interrupt", make_message_interrupt, false},
    {"dma space", make_dma_space, false},
};

// One attempt; what it cost is returned where it succeeded.
static status_t attempt(const struct creation *creation, uint64_t pages, uint64_t objects)
{
    uint64_t boss_handle = new_account(PAGES, OBJECTS);
    payer = grant(a, world.boss, boss_handle);
    process = (struct outcome){};
    if (creation->in_process)
        process = CALL(a, PROCESS_CREATE, payer, 0);
    fill(pages, objects);
    const struct account *account = account_behind(a, payer);
    uint64_t pages_used = account->pages.used, objects_used = account->objects.used;
    uint32_t handles = a->process->handles_used;
    struct outcome out = creation->make();
    if (out.status != STATUS_OK) {
        if (account->pages.used != pages_used || account->objects.used != objects_used)
            test_fail(__FILE__, __LINE__, "%s with %lu pages and %lu objects left something",
                      creation->name, (unsigned long)pages, (unsigned long)objects);
        EXPECT_EQUAL(a->process->handles_used, handles);
        EXPECT_EQUAL(a->process->handles_reserved, 0);
    }
    world_check();
    MUST(world.boss, OBJECT_DESTROY, boss_handle);
    MUST(world.boss, HANDLE_CLOSE, boss_handle);
    MUST(world.boss, MACHINE_DEVICE_QUIET, world.machine, 7);
    // The caller's table is emptied of what died.
    for (uint32_t slot = 0; slot < HANDLES_PER_PAGE; slot++) {
        const struct handle_entry *entry = &a->process->pages[0][slot];
        const struct object *object = object_at((uint32_t)(entry->word & 0xff'ffff));
        if ((entry->tag & 3) == HANDLE_LIVE && object->generation != entry->object_generation)
            MUST(a, HANDLE_CLOSE, entry->tag >> 2 << 32 | slot);
    }
    round_number++;
    return out.status;
}

// IPC-5, OBJ-11
TEST(every_creating_call_with_too_little)
{
    world_begin((struct world_options){.ram_bytes = 16 << 20});
    a = spawn(new_account(200, 100), 10);
    machine = grant(a, world.boss, world.machine);
    vmo = MUST(a, VMO_CREATE, a->account, 3 * PAGE_SIZE, 0);
    port = MUST(a, PORT_CREATE, a->account);
    event = MUST(a, EVENT_CREATE, a->account);
    space = MUST(a, MACHINE_DMA_SPACE, machine, a->account, 7);
    for (unsigned i = 0; i < ARRAY_SIZE(creations); i++) {
        const struct creation *creation = &creations[i];
        uint64_t pages = 0, objects = 0;
        for (status_t status; (status = attempt(creation, pages, objects)) != STATUS_OK;) {
            // The error says what there was too little of.
            EXPECT(status == STATUS_NO_PAGES || status == STATUS_NO_OBJECTS);
            pages += status == STATUS_NO_PAGES;
            objects += status == STATUS_NO_OBJECTS;
            EXPECT(pages + objects < PAGES);
        }
        // Neither is more than it needs.
        if (pages > 0)
            EXPECT_EQUAL(attempt(creation, pages - 1, 10), STATUS_NO_PAGES);
        if (objects > 0)
            EXPECT_EQUAL(attempt(creation, 10 + pages, objects - 1), STATUS_NO_OBJECTS);
        test_note("%-18s %2lu pages, %lu objects", creation->name, (unsigned long)pages,
                  (unsigned long)objects);
    }
    world_end_after_quarantine(7);
}

// Of the machine's slots for objects none is lost, in whatever order they are used and freed.
TEST(the_whole_object_table)
{
    world_begin((struct world_options){.ram_bytes = 16 << 20});
    struct actor *one = spawn(new_account(100, objects_free() - 10), 10);
    uint64_t first = MUST(one, EVENT_CREATE, one->account);
    for (unsigned i = 0; i < 3; i++) {
        MUST(one, HANDLE_CLOSE, first);
        first = MUST(one, EVENT_CREATE, one->account);
    }
    for (unsigned round = 0; round < 2; round++) {
        uint64_t all[HANDLES_MAX];
        unsigned count = 0;
        struct outcome out;
        while ((out = CALL(one, EVENT_CREATE, one->account)).status == STATUS_OK)
            all[count++] = out.value[0];
        EXPECT_STATUS(out.status, NO_OBJECTS);
        EXPECT(objects_free() < 20);
        world_check();
        while (count > 0)
            MUST(one, HANDLE_CLOSE, all[--count]);
    }
    world_end();
}
