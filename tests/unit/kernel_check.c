// SPDX-License-Identifier: MIT
//
// The whole system, seen from outside with nothing in progress: what accounts were charged,
// recounted from every object (A1, A2); handles and messages (O1, O2, O3, I1, I5); waiting
// threads and run queues (I3, I4, S1, S2); interrupts (Q1, Q2); locks (L1). Memory is in
// kernel_check_memory.c. A check that fails is a panic, as one in the kernel is.
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "channel.h"
#include "cpu.h"
#include "dma.h"
#include "interrupt.h"
#include "kernel_check.h"
#include "kernel_world.h"
#include "port.h"

// By object index, rebuilt by each check.
static struct tally {
    uint64_t pages, objects;                   // charged to this account
    uint64_t children_pages, children_objects; // limits carved out of this account
    uint64_t blocks, children_contiguous;      // contiguous pages that are used, or lent
    uint32_t handles;                          // to this object
    uint32_t queued;    // how often this thread or operation is in a run queue
    uint32_t waits;     // how often this thread is on a queue of waiters
    uint32_t throttled; // how often this thread is on a list of a budget
} *tallies;
static uint32_t tallies_size, tallies_used;

static struct tally *tally_of(const void *object)
{
    return &tallies[object_index(object)];
}

// What exists, gathered once by each check, which walks it many times.
static struct object **existing;
static uint32_t existing_count;

static void gather(void)
{
    existing_count = 0;
    for (uint32_t i = 0; i < tallies_used; i++)
        if (object_at(i)->life != LIFE_FREE)
            existing[existing_count++] = object_at(i);
}

void for_each_object(enum abi_object type, void (*visit)(struct object *))
{
    for (uint32_t i = 0; i < existing_count; i++)
        if (type == OBJECT_NONE || existing[i]->type == type)
            visit(existing[i]);
}

// ---- accounts: what each object costs

static void charge(const struct account *account, uint64_t pages, uint64_t objects)
{
    if (account) {
        tally_of(account)->pages += pages;
        tally_of(account)->objects += objects;
    }
}

static void tally_costs(struct object *object)
{
    struct account *account = object->account;
    if (account)
        charge(account, 0, 1);
    if (object->life == LIFE_GHOST)
        return;
    switch (object->type) {
    case OBJECT_ACCOUNT: {
        const struct account *child = (struct account *)(void *)object;
        if (child->parent) {
            tally_of(child->parent)->children_pages += child->pages.limit;
            tally_of(child->parent)->children_objects += child->objects.limit;
            tally_of(child->parent)->children_contiguous += child->contiguous.limit;
        } else {
            charge(child, 0, 1); // its own slot
        }
        for (unsigned i = 0; i < BUDGET_PAGES_MAX; i++)
            charge(child, child->budgets[i] ? 1 : 0, 0);
        break;
    }
    case OBJECT_PROCESS:
        charge(account, process_of(object)->pages_paid, 0);
        break;
    case OBJECT_THREAD:
        charge(account, thread_of(object)->buffer_mapping.object ? 2 : 0, 0);
        break;
    case OBJECT_ASPACE:
        charge(account, 1 + ((struct aspace *)(void *)object)->table_pages, 0);
        break;
    case OBJECT_VMO:
        charge(account, vmo_of(object)->charged_pages, 0);
        if (vmo_of(object)->block.page)
            tally_of(vmo_of(object)->block.account)->blocks += 1ull << vmo_of(object)->block.order;
        break;
    case OBJECT_MAPPING: {
        const struct mapping *mapping = mapping_of(object);
        charge(account, mapping->charged_pages + mapping->charged_tables, mapping->charged_objects);
        break;
    }
    case OBJECT_CHANNEL: {
        const struct channel *channel = channel_of(object);
        charge(account, channel->pages + (channel->calls_max > 0 ? 1u : 0u), 0);
        break;
    }
    case OBJECT_PORT:
        charge(account, 0, ((struct port *)(void *)object)->binding_count);
        break;
    case OBJECT_PIN: {
        const struct pin *pin = (struct pin *)(void *)object;
        charge(account, pin->charged_pages, pin->charged_objects);
        break;
    }
    case OBJECT_NONE:
    case OBJECT_EVENT:
    case OBJECT_TIMER:
    case OBJECT_INTERRUPT:
    case OBJECT_IORANGE:
    case OBJECT_DMASPACE:
    case OBJECT_MACHINE:
    case OBJECT_LOG:
    case OBJECT_COUNT:
        break;
    }
}

static void check_account(struct object *object)
{
    const struct account *account = (struct account *)(void *)object;
    const struct tally *tally = tally_of(object);
    CHECK(A1, account->pages.used + account->pages.children <= account->pages.limit);
    CHECK(A1, account->objects.used + account->objects.children <= account->objects.limit);
    CHECK(A2, account->pages.used == tally->pages);
    CHECK(A2, account->objects.used == tally->objects);
    CHECK(A3, account->pages.children == tally->children_pages);
    CHECK(A3, account->objects.children == tally->children_objects);
    CHECK(A1, account->contiguous.used + account->contiguous.children <= account->contiguous.limit);
    CHECK(A2, account->contiguous.used == tally->blocks);
    CHECK(A3, account->contiguous.children == tally->children_contiguous);
}

// ---- budgets

static uint64_t shares_below(const struct account *account, uint32_t cpu)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < existing_count; i++) {
        const struct account *child = (struct account *)(void *)existing[i];
        if (existing[i]->type != OBJECT_ACCOUNT || child->parent != account)
            continue;
        const struct budget *budget = budget_at(child, cpu);
        sum += budget ? budget->share : 0;
    }
    return sum;
}

static void check_budget(const struct budget *budget, const struct cpu *cpu)
{
    CHECK(C1, budget->children == shares_below(budget->account, cpu->number));
    CHECK(C1, budget->children <= budget->share);
    CHECK(S2, !budget->posted);
    CHECK(C1, budget->active == (budget->share > 0));
    CHECK(C1, budget->in_use == (budget->active || !list_empty(&budget->throttled)));
    CHECK(S2, list_empty(&budget->throttled) || budget->allotment_ns == 0 ||
                  budget->deadline.node.linked);
    if (budget->deadline.node.linked)
        CHECK(S2, budget->deadline.node.key > host_ticks);
    LIST_FOR_EACH(node, &budget->throttled)
    {
        struct thread *thread = CONTAINER_OF(node, struct thread, runnable.node);
        CHECK(S1, thread->home == cpu);
        tally_of(thread)->throttled++;
    }
}

static void check_budgets(struct object *object)
{
    const struct account *account = (struct account *)(void *)object;
    for (uint32_t cpu = 0; cpu < world.cpus; cpu++) {
        const struct budget *budget = budget_at(account, cpu);
        if (!account->parent)
            CHECK(C1, cpus[cpu]->promised == shares_below(account, cpu));
        if (budget)
            check_budget(budget, cpus[cpu]);
    }
}

// ---- handles: in tables, in messages, in a process's exception channel

static const uint32_t first_rights[OBJECT_COUNT] = {
    [OBJECT_ACCOUNT] = RIGHTS_ACCOUNT, [OBJECT_PROCESS] = RIGHTS_PROCESS,
    [OBJECT_THREAD] = RIGHTS_THREAD,   [OBJECT_ASPACE] = RIGHTS_ASPACE,
    [OBJECT_VMO] = RIGHTS_VMO,         [OBJECT_CHANNEL] = RIGHTS_CHANNEL,
    [OBJECT_PORT] = RIGHTS_PORT,       [OBJECT_EVENT] = RIGHTS_EVENT,
    [OBJECT_TIMER] = RIGHTS_TIMER,     [OBJECT_INTERRUPT] = RIGHTS_INTERRUPT,
    [OBJECT_IORANGE] = RIGHTS_IORANGE, [OBJECT_DMASPACE] = RIGHTS_DMASPACE,
    [OBJECT_PIN] = RIGHTS_PIN,         [OBJECT_MACHINE] = RIGHTS_MACHINE,
    [OBJECT_LOG] = RIGHTS_LOG,
};

static void tally_handle(struct object *object, uint64_t generation, uint32_t rights)
{
    if (object->generation != generation)
        return; // it died first
    CHECK(O2, object->life == LIFE_LIVE);
    CHECK(O1, (rights & ~first_rights[object->type]) == 0);
    tally_of(object)->handles++;
}

static const struct handle_entry *entry_of(const struct process *process, uint32_t slot)
{
    return &process->pages[slot / HANDLES_PER_PAGE][slot % HANDLES_PER_PAGE];
}

static bool waits_for_room(const struct thread *thread)
{
    return thread->wait_kind == WAIT_SEND ||
           (thread->wait_kind == WAIT_REPLY && thread->call_slot == CALL_NONE);
}

// In free slots, or in a page that is paid for and there once it is needed.
static bool reserved_fits(const struct process *process, uint32_t free)
{
    uint32_t to_come = (uint32_t)(process->pages_paid - process->handle_pages) * HANDLES_PER_PAGE;
    return process->handles_reserved <= free + to_come &&
           (to_come == 0 || process->handles_reserved > free);
}

static void tally_table(struct object *object)
{
    const struct process *process = process_of(object);
    if (object->life == LIFE_GHOST)
        return;
    uint32_t used = 0, held = 0, free = 0;
    for (uint32_t slot = 0; slot < process->handle_pages * HANDLES_PER_PAGE; slot++) {
        const struct handle_entry *entry = entry_of(process, slot);
        enum handle_phase phase = (enum handle_phase)(entry->tag & 3);
        if (phase == HANDLE_FREE) {
            free += entry->tag >> 2 != 0;
            continue;
        }
        used++;
        // One that is held is in the message of a queued call, and counts there; or waits with its
        // sender, and counts with it.
        if (phase == HANDLE_LIVE)
            tally_handle(object_at((uint32_t)(entry->word & 0xff'ffff)), entry->object_generation,
                         (uint32_t)(entry->word >> 32));
        else
            held++;
    }
    CHECK(O3, used == process->handles_used);
    CHECK(O3, free + used + process->handles_retired == process->handle_pages * HANDLES_PER_PAGE);
    uint32_t in_messages = 0, reserved = 0;
    LIST_FOR_EACH(node, &process->threads)
    {
        const struct thread *thread = CONTAINER_OF(node, struct thread, process_node);
        in_messages += thread->held_handles;
        reserved += thread->reserved_handles;
        for (unsigned i = 0; waits_for_room(thread) && i < thread->held_handles; i++) {
            const struct handle_entry *entry = entry_of(process, thread->held[i]);
            tally_handle(object_at((uint32_t)(entry->word & 0xff'ffff)), entry->object_generation,
                         (uint32_t)(entry->word >> 32));
        }
    }
    CHECK(O3, held == in_messages);
    CHECK(O3, process->handles_reserved == reserved);
    CHECK(O3, reserved_fits(process, free));
    if (process->exceptions.object)
        tally_handle(process->exceptions.object, process->exceptions.generation, 0);
}

// A slice keeps what it was cut out of as a handle does.
static void tally_slice(struct object *object)
{
    const struct object_ref *parent = &vmo_of(object)->parent;
    if (object->life == LIFE_GHOST || !vmo_is_slice(vmo_of(object)))
        return;
    if (parent->object->life == LIFE_LIVE)
        CHECK(O2, parent->object->generation == parent->generation);
    tally_of(parent->object)->handles++;
}

static void check_handles(struct object *object)
{
    if (object->life == LIFE_LIVE)
        CHECK(O3, object->handles == tally_of(object)->handles);
}

// ---- channels

static const struct message *message_in(const struct channel *channel, uint16_t slot)
{
    return (const struct message *)(const void *)(channel->queue[slot / channel->slots_per_page] +
                                                  slot % channel->slots_per_page *
                                                      channel->slot_bytes);
}

static void check_calls(const struct channel *channel)
{
    unsigned used = 0;
    for (unsigned i = 0; i < channel->calls_max; i++) {
        const struct call *call = &channel->calls[i];
        used += call->phase != CALL_FREE;
        const struct thread *thread = call->thread;
        if (call->phase == CALL_QUEUED || (call->phase == CALL_TAKEN && !call->fault)) {
            CHECK(I5, thread && thread->wait_kind == WAIT_REPLY && thread->call_slot == i);
            CHECK(I5, thread->wait_object == &channel->object);
        }
        if (call->phase == CALL_TAKEN && call->fault)
            CHECK(I5, thread && thread->wait_kind == WAIT_FAULT && thread->fault_slot == i);
    }
    CHECK(I5, used == channel->calls_used);
}

static void check_channel(struct object *object)
{
    const struct channel *channel = channel_of(object);
    if (object->life == LIFE_GHOST)
        return;
    unsigned queued = 0, free = 0;
    uint16_t last = SLOT_NONE;
    for (uint16_t slot = channel->head; slot != SLOT_NONE; slot = message_in(channel, slot)->next) {
        const struct message *message = message_in(channel, slot);
        CHECK(I1, ++queued <= channel->depth);
        CHECK(I2, message->previous == last);
        for (uint32_t i = 0; i < message->handles; i++)
            tally_handle(message->transfers[i].object, message->transfers[i].generation,
                         message->transfers[i].rights);
        if (message->call_slot != CALL_NONE)
            CHECK(I5, channel->calls[message->call_slot].phase == CALL_QUEUED &&
                          channel->calls[message->call_slot].message == slot);
        last = slot;
    }
    CHECK(I2, channel->head == SLOT_NONE || channel->tail == last);
    for (uint16_t slot = channel->free; slot != SLOT_NONE; slot = message_in(channel, slot)->next)
        CHECK(I2, ++free <= channel->depth);
    CHECK(I1, queued == channel->queued && queued + free == channel->fresh &&
                  channel->fresh <= channel->depth);
    if (object->life == LIFE_LIVE)
        CHECK(S2, !(object->signals & SIGNAL_READABLE) == !channel_has_message_locked(channel));
    check_calls(channel);
}

// ---- ports

static void check_binding(struct object *object)
{
    if (!object->binding.port || object->life != LIFE_LIVE)
        return;
    CHECK(S2, object->binding.port->life != LIFE_FREE);
    // A message is told until it is taken.
    if (object->type == OBJECT_CHANNEL && object->binding.mask & SIGNAL_READABLE &&
        object->signals & SIGNAL_READABLE)
        CHECK(S2, object->binding.pending);
    CHECK(S2, object->binding.pending == list_node_linked(&object->binding.node));
}

static void check_port(struct object *object)
{
    const struct port *port = (struct port *)(void *)object;
    if (object->life == LIFE_GHOST)
        return;
    unsigned bindings = 0;
    LIST_FOR_EACH(node, &port->bindings)
    {
        struct binding *binding = CONTAINER_OF(node, struct binding, port_node);
        CHECK(S2, binding->port == object);
        bindings++;
    }
    CHECK(A2, bindings == port->binding_count);
}

// ---- threads: who waits where, who is ready where

static void tally_waiters(struct object *object, const struct list *list, bool counted)
{
    unsigned count = 0;
    LIST_FOR_EACH(node, list)
    {
        const struct thread *thread = CONTAINER_OF(node, struct thread, wait_node);
        tally_of(thread)->waits++;
        CHECK(I3, thread->wait_object == object);
        CHECK(I3,
              thread_state(thread) == THREAD_BLOCKED && (thread->wait_word & 3) == PHASE_BLOCKED);
        count++;
    }
    if (counted)
        CHECK(I3, count == object->waiter_count);
}

static void tally_queues(struct object *object)
{
    if (object->life == LIFE_GHOST)
        return;
    tally_waiters(object, &object->waiters, true);
    if (object->type == OBJECT_CHANNEL) {
        tally_waiters(object, &channel_of(object)->callers, false);
        tally_waiters(object, &channel_of(object)->senders, false);
        tally_waiters(object, &channel_of(object)->faults, false);
    }
}

static void check_wait(const struct thread *thread)
{
    struct object *object = thread->wait_object;
    CHECK(I3, tally_of(thread)->waits == (thread->wait_kind == WAIT_SLEEP ? 0 : 1));
    if (object && object->life != LIFE_LIVE)
        // Only an operation that is still under way may be waited for.
        CHECK(I4, thread->wait_kind == WAIT_OPERATION && object->life == LIFE_DYING);
    if (thread->wait_kind == WAIT_SIGNALS)
        CHECK(S2, !(object->signals & thread->wait_mask));
    if (thread->wait_kind == WAIT_MESSAGE) {
        CHECK(S2, !channel_has_message_locked(channel_of(object)));
        CHECK(I4, object->state == CHANNEL_CONNECTED);
    }
    if (thread->wait_kind == WAIT_REPLY || thread->wait_kind == WAIT_SEND) {
        const struct channel *channel = channel_of(object);
        CHECK(I4, object->state == CHANNEL_CONNECTED &&
                      channel->peer.object->generation == channel->peer.generation);
        bool full = channel->queued == channel->depth;
        bool calls_full = channel->calls_used == channel->calls_max;
        if (waits_for_room(thread))
            CHECK(S2, full || (thread->wait_kind == WAIT_REPLY && calls_full));
    }
    if (thread->wait_kind == WAIT_PORT)
        CHECK(S2, list_empty(&((struct port *)(void *)object)->pending));
    if (thread->deadline.node.linked)
        CHECK(S2, thread->deadline.node.key > host_ticks);
}

static void check_thread(struct object *object)
{
    const struct thread *thread = thread_of(object);
    if (object->life == LIFE_GHOST || !thread->home)
        return;
    const struct tally *tally = tally_of(object);
    bool current = thread->home->current == thread;
    // Its own place in a run queue, or its operation's.
    bool ready = list_node_linked(&thread->runnable.node);
    CHECK(S1, current == (thread_state(thread) == THREAD_RUNNING));
    bool throttled = thread_state(thread) == THREAD_THROTTLED;
    CHECK(S1, ready == (throttled || thread_state(thread) == THREAD_READY));
    CHECK(S1, tally->queued == (ready && !throttled ? 1 : 0));
    CHECK(S1, tally->throttled == (throttled ? 1 : 0));
    CHECK(S2, thread->requests == 0 || thread->requests & REQUEST_CLOSED);
    if (thread_state(thread) == THREAD_BLOCKED)
        check_wait(thread);
    else
        CHECK(I3, tally->waits == 0 && !thread->deadline.node.linked);
    CHECK(I3,
          (thread_state(thread) == THREAD_BLOCKED) == ((thread->wait_word & 3) == PHASE_BLOCKED));
}

static void check_cpu(struct cpu *cpu)
{
    CHECK(L1, cpu->locks_held == 0);
    CHECK(S2, !inbox_waiting(&cpu->inbox) && !cpu->flush_ticket.busy);
    for (unsigned priority = 0; priority < ABI_PRIORITIES; priority++) {
        struct list *queue = &cpu->ready[priority];
        CHECK(S1, list_empty(queue) == !(cpu->ready_mask >> priority & 1));
        LIST_FOR_EACH(node, queue)
        {
            struct runnable *runnable = CONTAINER_OF(node, struct runnable, node);
            CHECK(S1, runnable->priority == priority);
            if (runnable->kind == RUNNABLE_THREAD)
                tally_of(CONTAINER_OF(runnable, struct thread, runnable))->queued++;
        }
    }
}

// ---- the rest

static bool idle; // all CPUs: whatever could move has moved

// With nothing left to run, only what others still use goes on dying.
static bool may_still_be_dying(struct object *object)
{
    const struct vmo *vmo = vmo_of(object);
    if (object->type == OBJECT_VMO)
        return vmo->mapping_count > 0 || vmo->pin_count > 0 || counter_read(&vmo->shown) > 0;
    return object->type == OBJECT_PIN && object->state == PIN_QUARANTINED;
}

static void check_common(struct object *object)
{
    CHECK(L1, object->lock.next == object->lock.serving);
    CHECK(P1, object_types[object->type].states == 0 ||
                  object->state < object_types[object->type].states);
    // Whatever is dying still has something to wait for, or a step to make.
    if (object->life == LIFE_DYING)
        CHECK(I4, object->operation.phase == OPERATION_PARKED ||
                      object->operation.phase == OPERATION_FLUSHING ||
                      object->operation.phase == OPERATION_QUEUED);
    if (idle && object->life == LIFE_DYING)
        CHECK(I4, may_still_be_dying(object));
    if (idle && object->life == LIFE_LIVE)
        CHECK(I4, object->operation.phase == OPERATION_IDLE);
}

static void check_interrupt(struct object *object)
{
    const struct interrupt *interrupt = (struct interrupt *)(void *)object;
    if (object->life != LIFE_LIVE)
        return;
    const struct host_line *line = &host_lines[interrupt->line];
    bool masks = interrupt->trigger != TRIGGER_EDGE;
    bool aside = interrupt->storm.aside;
    CHECK(Q1, line->masked ==
                  ((masks && object->state != INTERRUPT_IDLE) || (aside && !interrupt->message)));
    CHECK(Q1, !interrupt->message || *interrupt->source.word ==
                                         (aside ? interrupt->source.off : interrupt->source.on));
    CHECK(Q3, aside == interrupt->storm.end.node.linked);
    // A device that forgets is taken to have said something in each storm.
    uint64_t assumed = interrupt->source.forgets ? interrupt->storm.count : 0;
    CHECK(Q2, interrupt->acknowledged <= interrupt->count &&
                  interrupt->count <= line->claimed + assumed);
}

void world_check(void)
{
    if (tallies_size != objects_total()) {
        free(tallies);
        free(existing);
        tallies_size = objects_total();
        tallies = malloc(tallies_size * sizeof *tallies);
        existing = malloc(tallies_size * sizeof(struct object *));
    }
    tallies_used = objects_ever();
    gather();
    memset(tallies, 0, tallies_used * sizeof *tallies);
    // Nothing is in progress: a CPU is borrowed for what looks at its own.
    host_running = &cpus[0]->arch;
    idle = true;
    for (unsigned i = 0; i < world.cpus; i++) {
        check_cpu(cpus[i]);
        idle &= host_place(i) == HOST_IDLE && cpus[i]->ready_mask == 0;
    }
    for_each_object(OBJECT_NONE, check_common);
    for_each_object(OBJECT_NONE, tally_costs);
    for_each_object(OBJECT_ACCOUNT, check_account);
    for_each_object(OBJECT_ACCOUNT, check_budgets);
    for_each_object(OBJECT_PROCESS, tally_table);
    for_each_object(OBJECT_CHANNEL, check_channel);
    for_each_object(OBJECT_VMO, tally_slice);
    for_each_object(OBJECT_NONE, check_handles);
    for_each_object(OBJECT_NONE, check_binding);
    for_each_object(OBJECT_PORT, check_port);
    for_each_object(OBJECT_NONE, tally_queues);
    for_each_object(OBJECT_THREAD, check_thread);
    for_each_object(OBJECT_INTERRUPT, check_interrupt);
    CHECK(A2, existing_count + objects_free() == objects_total());
    check_memory();
}
