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

uint64_t draw_handle(const struct actor *actor, enum abi_object type)
{
    static uint64_t found[HANDLES_MAX];
    const struct process *process = actor->process;
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < process->handle_pages * HANDLES_PER_PAGE; slot++) {
        const struct handle_entry *entry =
            &process->pages[slot / HANDLES_PER_PAGE][slot % HANDLES_PER_PAGE];
        if ((entry->tag & 3) == HANDLE_LIVE &&
            (type == OBJECT_NONE || (entry->word >> 24 & 0xff) == type))
            found[count++] = entry->tag >> 2 << 32 | slot;
    }
    return count > 0 ? found[below(count)] : 0;
}

static uint64_t draw_handle_argument(const struct actor *actor, const struct abi_arg *arg)
{
    if (arg->optional && below(2))
        return 0;
    switch (below(20)) {
    case 0:
        return any();
    case 1:
        return draw_handle(actor, OBJECT_NONE);
    case 2:
        return draw_handle(actor, (enum abi_object)arg->object) ^ 1ull << below(64);
    default:
        return draw_handle(actor, (enum abi_object)arg->object);
    }
}

static uint64_t draw(const struct actor *actor, uint64_t call, unsigned index)
{
    const struct abi_arg *arg = &abi_calls[call].arg[index];
    if (arg->kind != ARG_HANDLE && arg->kind != ARG_RAW_HANDLE && below(25) == 0)
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

// The calls that hardly ever succeed with arguments drawn one by one.
static struct {
    uint64_t end, token; // of the last call that the actor took
} notes[ACTORS_MAX];

static void make_sensible(const struct actor *actor, uint64_t number, uint64_t arguments[6])
{
    switch (number) {
    case SYSCALL_VMO_CREATE:
        arguments[1] = ONE_OF(1, 3, 20, 70) * PAGE_SIZE;
        arguments[2] = ONE_OF(0, 0, 0, VMO_CONTIGUOUS);
        break;
    case SYSCALL_ACCOUNT_CREATE:
        arguments[3] = below(20);
        break;
    case SYSCALL_ACCOUNT_RESIZE:
        for (unsigned i = 2; i < 5; i++)
            arguments[i] = below(9) - 4;
        break;
    case SYSCALL_VMO_SLICE:
        arguments[2] = ONE_OF(0, 0, 1, 2) * PAGE_SIZE;
        arguments[3] = ONE_OF(1, 1, 2, 3) * PAGE_SIZE;
        arguments[4] = RIGHTS_VMO;
        break;
    case SYSCALL_VM_MAP:
        arguments[2] = 0;
        arguments[4] = ONE_OF(1, 1, 3, 20) * PAGE_SIZE;
        arguments[5] = PROT_READ;
        break;
    case SYSCALL_VM_UNMAP:
        if (actor->process->aspace) {
            struct tree_node *node =
                tree_find_at_least(&actor->process->aspace->mappings, arguments[1]);
            arguments[1] = node ? node->key : arguments[1];
        }
        break;
    case SYSCALL_PIN_CREATE:
        arguments[3] = 0;
        arguments[4] = PAGE_SIZE;
        arguments[5] = DMA_BOTH;
        break;
    case SYSCALL_PIN_ADDRESSES:
        arguments[1] = 0;
        break;
    case SYSCALL_PIN_SYNC:
        arguments[1] = arguments[2] = 16;
        arguments[3] = SYNC_CPU;
        break;
    case SYSCALL_CHANNEL_CALL:
        arguments[1] = MSG(8, 0);
        arguments[2] = ABI_DEADLINE_NEVER;
        break;
    case SYSCALL_CHANNEL_REPLY:
    case SYSCALL_CHANNEL_REPLY_RECEIVE:
        arguments[0] = notes[actor - world.actors].end;
        arguments[1] = notes[actor - world.actors].token;
        arguments[2] = MSG(8, 0);
        break;
    default:
        break;
    }
}

void draw_call(struct actor *actor, uint64_t number, bool sensible, uint64_t arguments[6])
{
    for (unsigned i = 0; i < abi_calls[number].args; i++)
        arguments[i] = draw(actor, number, i);
    if (number == SYSCALL_MACHINE_DMA_SPACE)
        arguments[2] = DRAW_DEVICE;
    if (sensible)
        make_sensible(actor, number, arguments);
    uint64_t handles[] = {draw_handle(actor, OBJECT_NONE), draw_handle(actor, OBJECT_EVENT)};
    set_handles(actor, 2, handles);
}

void draw_note(const struct actor *actor)
{
    const struct outcome *out = &actor->out;
    if (actor->number == SYSCALL_CHANNEL_RECEIVE && out->status == STATUS_OK &&
        out->value[0] & MSG_CALL) {
        notes[actor - world.actors].end = actor->argument[0];
        notes[actor - world.actors].token = out->value[1];
    }
}

bool draw_is_listed(uint64_t number, status_t status)
{
    return status == STATUS_OK || (abi_calls[number].errors >> status & 1);
}
