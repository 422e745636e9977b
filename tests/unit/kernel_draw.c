// SPDX-License-Identifier: MIT
//
// Drawing calls by the ABI's table. See kernel_draw.h.
#include "kernel_draw.h"

#include <abi_table.h>

static uint64_t (*below)(uint64_t limit);
static uint64_t (*any)(void);

void draw_from(uint64_t (*new_below)(uint64_t limit), uint64_t (*new_any)(void))
{
    below = new_below;
    any = new_any;
}

static uint64_t one_of(const uint64_t *values, size_t count)
{
    return values[below(count)];
}
#define ONE_OF(...) \
    one_of((const uint64_t[]){__VA_ARGS__}, ARRAY_SIZE(((const uint64_t[]){__VA_ARGS__})))

// `newest_first`: half of the time the newest object's, since calls in a row are often about the same one.
static uint64_t choose_handle(const struct actor *actor, enum abi_object type, bool newest_first)
{
    static uint64_t found[HANDLES_MAX];
    const struct process *process = actor->process;
    uint32_t count = 0, newest = 0;
    uint64_t newest_id = 0;
    for (uint32_t slot = 0; slot < process->handle_pages * HANDLES_PER_PAGE; slot++) {
        const struct handle_entry *entry =
            &process->pages[slot / HANDLES_PER_PAGE][slot % HANDLES_PER_PAGE];
        if ((entry->tag & 3) != HANDLE_LIVE ||
            (type != OBJECT_NONE && (entry->word >> 24 & 0xff) != type))
            continue;
        const struct object *object = object_at((uint32_t)(entry->word & 0xff'ffff));
        if (object->id > newest_id) {
            newest_id = object->id;
            newest = count;
        }
        found[count++] = entry->tag >> 2 << 32 | slot;
    }
    if (count == 0)
        return 0;
    return newest_first && below(2) ? found[newest] : found[below(count)];
}

uint64_t draw_handle(const struct actor *actor, enum abi_object type)
{
    return choose_handle(actor, type, false);
}

// One of two MSI capabilities, which a function's configuration space has from now on.
static uint64_t draw_capability(uint64_t number)
{
    constexpr uint64_t SPACE = 0xd800'0000, FIRST = 0x50, BYTES = 0x10;
    constexpr uint32_t MSI_WIDE = 0x0080'0005;
    uint8_t *space = host_device_page(SPACE);
    if (space)
        *(uint32_t *)(void *)(space + FIRST + number * BYTES) |= MSI_WIDE;
    return SPACE + FIRST + number * BYTES;
}

static bool sensible_now; // the call that is being drawn

static uint64_t draw_handle_argument(const struct actor *actor, const struct abi_arg *arg)
{
    if (arg->optional && below(2))
        return 0;
    if (arg->object == OBJECT_ACCOUNT && below(2)) // its own can pay
        return actor->account;
    switch (sensible_now ? 3 : below(8)) {
    case 0:
        return any();
    case 1:
        return draw_handle(actor, OBJECT_NONE);
    case 2:
        return draw_handle(actor, (enum abi_object)arg->object) ^ 1ull << below(64);
    default:
        return choose_handle(actor, (enum abi_object)arg->object, true);
    }
}

static uint64_t draw(const struct actor *actor, uint64_t call, unsigned index)
{
    const struct abi_arg *arg = &abi_calls[call].arg[index];
    if (arg->kind != ARG_HANDLE && arg->kind != ARG_RAW_HANDLE && !sensible_now && below(8) == 0)
        return any() >> below(64);
    switch (arg->kind) {
    case ARG_HANDLE:
        return draw_handle_argument(actor, arg);
    case ARG_RAW_HANDLE:
        return below(10) ? draw_handle(actor, OBJECT_NONE) : any();
    case ARG_DEADLINE:
        return below(4) ? host_ticks + below(3000) : ONE_OF(0, ABI_DEADLINE_NEVER);
    case ARG_RIGHTS:
        return below(2) ? RIGHTS_ALL & any() : ONE_OF(RIGHTS_EVENT, RIGHTS_VMO, RIGHTS_CHANNEL, 0);
    case ARG_SIGNALS:
        return ONE_OF(1, 3, 0xffff, SIGNAL_READABLE, SIGNAL_READABLE | SIGNAL_PEER_CLOSED,
                      SIGNAL_TERMINATED, SIGNAL_FIRED, 0);
    case ARG_VADDR:
        return 0x4000'0000 + below(40) * PAGE_SIZE;
    case ARG_PROT:
        return ONE_OF(PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXECUTE, 7);
    case ARG_MSGINFO:
        return MSG(below(80), below(3)) | (below(3) ? 0 : (uint64_t)1 << MSG_REPLY_HANDLES_SHIFT);
    case ARG_CHANNEL_SHAPE:
        return ABI_CHANNEL_SHAPE(1 + below(4), 64, 2, below(4));
    case ARG_TOKEN:
        return below(4) ? actor->out.value[below(2) ? 1 : 3] : below(4) << 32 | below(4);
    case ARG_PADDR:
        return 0xd000'0000 + below(8) * PAGE_SIZE;
    case ARG_I64:
    case ARG_U64:
        return ONE_OF(0, 1, 2, 5, 16, 40, 0x1000, 0x2000, 0x5000, 0x14000, DRAW_DEVICE);
    case ARG_VMO_FLAGS:
    case ARG_OVERFLOW:
        return below(8) == 0;
    case ARG_DIRECTION:
    case ARG_SYNC_SIDE:
    case ARG_TRIGGER:
    case ARG_MEMORY_KIND:
    case ARG_POWER_ACTION:
        return below(4);
    case ARG_NONE:
        break;
    }
    return 0;
}

static struct {
    uint64_t end, token; // of the last call that the actor took
} notes[ACTORS_MAX];

// The start of a mapping, in the address space that the caller named if it is its own.
static uint64_t draw_mapping(const struct actor *actor, uint64_t otherwise)
{
    if (!actor->process->aspace)
        return otherwise;
    struct tree_node *node = tree_find_at_least(&actor->process->aspace->mappings, otherwise);
    if (!node)
        node = tree_first(&actor->process->aspace->mappings);
    return node ? node->key : otherwise;
}

// What hardly ever comes together when arguments are drawn one by one.
static void make_sensible(const struct actor *actor, uint64_t number, uint64_t arguments[6])
{
    switch (number) {
    case SYSCALL_OBJECT_WAIT:
        arguments[1] |= 1;
        break;
    case SYSCALL_ACCOUNT_CREATE:
        arguments[1] = below(12);
        arguments[2] = below(12);
        arguments[3] = ONE_OF(0, 0, 1, below(20));
        break;
    case SYSCALL_ACCOUNT_RESIZE:
        arguments[0] = actor->account;
        arguments[1] = choose_handle(actor, OBJECT_ACCOUNT, true);
        arguments[2] = ONE_OF(0, 1, 2, 8, 80, -1ull, -2ull, -8ull);
        arguments[3] = ONE_OF(0, 1, 2, 8, 80, -1ull, -2ull, -8ull);
        arguments[4] = ONE_OF(0, 0, 1, 2, -1ull);
        break;
    case SYSCALL_ACCOUNT_BUDGET:
        arguments[0] = actor->account;
        arguments[1] = choose_handle(actor, OBJECT_ACCOUNT, true);
        arguments[2] = below(2);
        arguments[3] = ONE_OF(1, 2, 5) * 1'000'000;
        arguments[4] = 10'000'000;
        break;
    case SYSCALL_THREAD_CREATE:
    case SYSCALL_THREAD_SET_PRIORITY:
        arguments[1] = below(32);
        break;
    case SYSCALL_THREAD_SET_CPU:
        arguments[1] = below(2);
        break;
    case SYSCALL_THREAD_START:
        arguments[1] = arguments[2] = 0x4000'0000;
        break;
    case SYSCALL_VMO_CREATE:
        arguments[1] = ONE_OF(1, 1, 3, 3, 8, 20, 70) * PAGE_SIZE;
        arguments[2] = ONE_OF(0, 0, 0, VMO_CONTIGUOUS);
        break;
    case SYSCALL_VMO_SLICE:
        arguments[2] = ONE_OF(0, 0, 1, 2) * PAGE_SIZE;
        arguments[3] = ONE_OF(1, 1, 2, 3) * PAGE_SIZE;
        arguments[4] = RIGHTS_VMO;
        break;
    case SYSCALL_VM_MAP:
        arguments[2] = 0;
        arguments[4] = ONE_OF(1, 1, 3, 20) * PAGE_SIZE;
        arguments[5] = ONE_OF(PROT_READ, PROT_READ | PROT_WRITE);
        break;
    case SYSCALL_VM_UNMAP:
        arguments[1] = draw_mapping(actor, arguments[1]);
        break;
    case SYSCALL_VM_PROTECT:
        arguments[1] = draw_mapping(actor, arguments[1]);
        arguments[2] = ONE_OF(PROT_READ, PROT_READ | PROT_WRITE);
        break;
    case SYSCALL_PIN_CREATE:
        arguments[3] = 0;
        arguments[4] = ONE_OF(1, 1, 3) * PAGE_SIZE;
        arguments[5] = 1 + below(3);
        break;
    case SYSCALL_PIN_ADDRESSES:
        arguments[1] = 0;
        break;
    case SYSCALL_PIN_SYNC:
        arguments[1] = arguments[2] = 16;
        arguments[3] = SYNC_CPU;
        break;
    case SYSCALL_CHANNEL_SEND:
        arguments[1] = MSG(below(64), below(3));
        break;
    case SYSCALL_CHANNEL_CALL:
        arguments[1] = MSG(8, below(4) == 0) | below(3) << MSG_REPLY_HANDLES_SHIFT;
        arguments[2] = ABI_DEADLINE_NEVER;
        break;
    case SYSCALL_CHANNEL_REPLY:
    case SYSCALL_CHANNEL_REPLY_RECEIVE:
        if (notes[actor - world.actors].end)
            arguments[0] = notes[actor - world.actors].end;
        arguments[1] = notes[actor - world.actors].token;
        arguments[2] = MSG(8, below(4) == 0);
        break;
    case SYSCALL_MACHINE_INTERRUPT:
        arguments[2] = HOST_LINE_FIRST + below(16);
        break;
    case SYSCALL_MACHINE_IO_RANGE:
        arguments[2] = below(64);
        arguments[3] = 1 + below(8);
        break;
    case SYSCALL_IO_READ:
    case SYSCALL_IO_WRITE:
        arguments[1] = below(4);
        arguments[2] = 1;
        break;
    case SYSCALL_MACHINE_DEVICE_MEMORY:
        arguments[3] = (1 + below(2)) * PAGE_SIZE;
        break;
    case SYSCALL_MACHINE_MESSAGE_INTERRUPT:
        arguments[3] = below(5);
        arguments[4] = DRAW_DEVICE;
        if (arguments[3] == 4) {
            arguments[2] = draw_capability(below(2));
            arguments[3] = ABI_VECTOR_MSI;
        }
        break;
    case SYSCALL_MACHINE_DEVICE_QUIET:
        arguments[1] = DRAW_DEVICE;
        break;
    default:
        break;
    }
}

void draw_call(struct actor *actor, uint64_t number, bool sensible, uint64_t arguments[6])
{
    sensible_now = sensible;
    for (unsigned i = 0; i < abi_calls[number].args; i++)
        arguments[i] = draw(actor, number, i);
    if (number == SYSCALL_MACHINE_DMA_SPACE)
        arguments[2] = DRAW_DEVICE;
    if (sensible)
        make_sensible(actor, number, arguments);
    uint64_t handles[] = {draw_handle(actor, OBJECT_NONE), draw_handle(actor, OBJECT_EVENT)};
    set_handles(actor, 2, handles);
}

uint64_t draw_token(const struct actor *actor)
{
    const struct outcome *out = &actor->out;
    if (out->status != STATUS_OK)
        return 0;
    switch (actor->number) {
    case SYSCALL_CHANNEL_RECEIVE:
        return out->value[0] & MSG_CALL ? out->value[1] : 0;
    case SYSCALL_CHANNEL_REPLY_RECEIVE:
    case SYSCALL_PORT_RECEIVE:
        return out->value[2] & MSG_CALL ? out->value[3] : 0;
    default:
        return 0;
    }
}

void draw_note(const struct actor *actor)
{
    if (draw_token(actor) == 0)
        return;
    // Where a port told of it, its end is taken to be the same as before.
    if (actor->number == SYSCALL_CHANNEL_RECEIVE)
        notes[actor - world.actors].end = actor->argument[0];
    notes[actor - world.actors].token = draw_token(actor);
}

bool draw_is_listed(uint64_t number, status_t status)
{
    return status == STATUS_OK || (abi_calls[number].errors >> status & 1);
}
