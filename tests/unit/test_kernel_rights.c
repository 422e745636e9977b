// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Every handle argument of every call, from the ABI's own table: a handle of each other type, one
// that lacks one of the rights, one that nobody has, one whose object is gone. The arguments before
// it are in order, so that it is the one that is refused.
#include <abi_table.h>

#include "kernel_world.h"

static struct actor *a;
static uint64_t live[OBJECT_COUNT]; // a handle with all rights to one of each type
static uint64_t dead[OBJECT_COUNT]; // ... that is gone; 0: one of this type never goes

// What `account` pays for, in `made`; `nth`: of those that take something of the machine.
static uint64_t own(enum abi_object type, uint64_t account, unsigned nth, const uint64_t *made)
{
    uint64_t machine = live[OBJECT_MACHINE], vmo = made[OBJECT_VMO], space = made[OBJECT_DMASPACE];
    switch (type) {
    case OBJECT_ACCOUNT:
        return MUST(a, ACCOUNT_CREATE, account, 10, 10);
    case OBJECT_PROCESS:
        return MUST(a, PROCESS_CREATE, account, 0);
    case OBJECT_THREAD:
        return MUST(a, THREAD_CREATE, made[OBJECT_PROCESS], 5, 0x4000'0000);
    case OBJECT_ASPACE:
        return CALL(a, PROCESS_CREATE, account, 0).value[1];
    case OBJECT_VMO:
        return MUST(a, VMO_CREATE, account, PAGE_SIZE, 0);
    case OBJECT_CHANNEL:
        return MUST(a, CHANNEL_CREATE, account, account, ABI_CHANNEL_SHAPE(2, 64, 1, 1), 0);
    case OBJECT_PORT:
        return MUST(a, PORT_CREATE, account);
    case OBJECT_EVENT:
        return MUST(a, EVENT_CREATE, account);
    case OBJECT_TIMER:
        return MUST(a, TIMER_CREATE, account);
    case OBJECT_INTERRUPT:
        return MUST(a, MACHINE_INTERRUPT, machine, account, 10 + nth, TRIGGER_EDGE);
    case OBJECT_IORANGE:
        return MUST(a, MACHINE_IO_RANGE, machine, account, 0x60 + 4 * nth, 4);
    case OBJECT_DMASPACE:
        return MUST(a, MACHINE_DMA_SPACE, machine, account, 7);
    case OBJECT_PIN:
        return MUST(a, PIN_CREATE, space, account, vmo, 0, PAGE_SIZE, DMA_BOTH);
    case OBJECT_MACHINE:
        return machine;
    case OBJECT_LOG:
        return grant(a, world.boss, world.log);
    case OBJECT_NONE:
    case OBJECT_MAPPING:
    case OBJECT_COUNT:
        break;
    }
    return 0;
}

static void own_all(uint64_t account, unsigned nth, uint64_t *made)
{
    static const enum abi_object first[] = {OBJECT_DMASPACE, OBJECT_PROCESS};
    for (unsigned i = 0; i < ARRAY_SIZE(first); i++)
        made[first[i]] = own(first[i], account, nth, made);
    for (unsigned type = 1; type < OBJECT_COUNT; type++)
        if (!made[type])
            made[type] = own((enum abi_object)type, account, nth, made);
}

static void begin(void)
{
    world_begin((struct world_options){});
    a = spawn(new_account(400, 400), 10);
    live[OBJECT_MACHINE] = grant(a, world.boss, world.machine);
    own_all(a->account, 0, live);
    // What an account pays for goes with it.
    uint64_t account = MUST(a, ACCOUNT_CREATE, a->account, 100, 100);
    own_all(account, 1, dead);
    MUST(a, OBJECT_DESTROY, account);
    for (unsigned type = 1; type < OBJECT_COUNT; type++)
        EXPECT(is_live(a, dead[type]) == (type == OBJECT_MACHINE || type == OBJECT_LOG));
    dead[OBJECT_MACHINE] = dead[OBJECT_LOG] = 0;
}

static uint64_t number; // what the arguments are that are no handles

static uint64_t good_argument(const struct abi_arg *arg)
{
    if (arg->kind != ARG_HANDLE)
        return number;
    return live[arg->object ? arg->object : OBJECT_EVENT];
}

static void expect_refused(unsigned call, unsigned index, uint64_t handle, status_t wanted)
{
    const struct abi_call *row = &abi_calls[call];
    uint64_t arguments[6] = {};
    for (unsigned i = 0; i < row->args; i++)
        arguments[i] = i == index ? handle : good_argument(&row->arg[i]);
    status_t status = call_number(a, call, arguments).status;
    if (status != wanted)
        test_fail(__FILE__, __LINE__, "%s, argument %u: %s, not %s", row->name, index,
                  status < STATUS_COUNT ? abi_status_names[status] : "BLOCKED",
                  abi_status_names[wanted]);
}

static uint32_t rights_of(uint64_t handle)
{
    const struct handle_entry *entry =
        &a->process->pages[(uint32_t)handle / HANDLES_PER_PAGE][handle % HANDLES_PER_PAGE];
    return (uint32_t)(entry->word >> 32);
}

static void expect_each_right_is_needed(unsigned call, unsigned index, const struct abi_arg *arg)
{
    uint64_t good = good_argument(arg);
    for (unsigned bit = 0; bit < 32; bit++) {
        if (!(arg->rights & 1u << bit))
            continue;
        uint64_t less = MUST(a, HANDLE_DUPLICATE, good, rights_of(good) & ~(1u << bit));
        expect_refused(call, index, less, STATUS_NO_RIGHT);
        number = UINT64_MAX; // handles are looked at first
        expect_refused(call, index, less, STATUS_NO_RIGHT);
        number = 0;
        MUST(a, HANDLE_CLOSE, less);
    }
}

static void expect_each_type_is_told(unsigned call, unsigned index, const struct abi_arg *arg)
{
    for (unsigned type = 1; arg->object && type < OBJECT_COUNT; type++)
        if (type != arg->object && live[type])
            expect_refused(call, index, live[type], STATUS_WRONG_TYPE);
}

// IPC-6, OBJ-2
TEST(every_handle_argument_of_every_call)
{
    begin();
    unsigned count = 0;
    for (unsigned call = 0; call < SYSCALL_COUNT; call++)
        for (unsigned i = 0; i < abi_calls[call].args; i++) {
            const struct abi_arg *arg = &abi_calls[call].arg[i];
            if (arg->kind != ARG_HANDLE)
                continue;
            expect_each_type_is_told(call, i, arg);
            expect_each_right_is_needed(call, i, arg);
            expect_refused(call, i, 0x7777'0000'0001, STATUS_BAD_HANDLE);
            uint64_t gone = dead[arg->object ? arg->object : OBJECT_EVENT];
            if (gone)
                expect_refused(call, i, gone, STATUS_GONE);
            count++;
        }
    EXPECT(count > 50);
    test_note("%u handle arguments", count);
    world_end_after_quarantine(7);
}

// What a duplicate may do is what both its source and the caller say.
// OBJ-3
TEST(a_duplicate_has_the_rights_that_were_asked_for)
{
    begin();
    for (unsigned type = 1; type < OBJECT_COUNT; type++) {
        if (!live[type])
            continue;
        uint32_t all = rights_of(live[type]);
        for (unsigned bit = 0; bit < 32; bit++) {
            uint32_t rights = all & 1u << bit ? all & ~(1u << bit) : all | 1u << bit;
            struct outcome out = CALL(a, HANDLE_DUPLICATE, live[type], rights);
            EXPECT_EQUAL(out.status, rights & ~all ? STATUS_INVALID : STATUS_OK);
            if (out.status != STATUS_OK)
                continue;
            EXPECT_EQUAL(rights_of(out.value[0]), rights);
            MUST(a, HANDLE_CLOSE, out.value[0]);
        }
    }
    world_end_after_quarantine(7);
}
