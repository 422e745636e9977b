// SPDX-License-Identifier: MIT
//
// The state as text. See kernel_state.h.
#include "kernel_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "clock.h"
#include "cpu.h"
#include "dma.h"
#include "frame.h"
#include "interrupt.h"
#include "kernel_world.h"
#include "machine.h"
#include "port.h"

static struct state *to;

[[gnu::format(printf, 1, 2)]] static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(to->text + to->bytes, STATE_BYTES - to->bytes, format, arguments);
    va_end(arguments);
    to->bytes += (size_t)length;
    if (to->bytes >= STATE_BYTES)
        abort();
}

static unsigned long number(uint64_t value)
{
    return (unsigned long)value;
}

static long index_of(const void *object)
{
    return object ? (long)object_index(object) : -1;
}

static void say_list(const char *name, const struct list *list, size_t node_offset)
{
    say(" %s:", name);
    for (const struct list_node *node = list->head.next; node != &list->head; node = node->next)
        say(" %ld", index_of((const char *)node - node_offset));
}

// ---- by type

static void say_account(const struct account *account)
{
    say(" parent %ld pages %lu %lu %lu objects %lu %lu %lu quarantined %lu closed %d",
        index_of(account->parent), number(account->pages.limit), number(account->pages.used),
        number(account->pages.children), number(account->objects.limit),
        number(account->objects.used), number(account->objects.children),
        number(account->quarantined_pages), account->closed);
    say(" contiguous %lu %lu %lu free %lu", number(account->contiguous.limit),
        number(account->contiguous.used), number(account->contiguous.children),
        number(account->blocks_free));
    say_list("outlived", &account->outlived, offsetof(struct vmo, block.node));
    for (uint32_t cpu = 0; cpu < world.cpus; cpu++) {
        const struct budget *budget = budget_at(account, cpu);
        if (!account->parent)
            say(" promised %lu", number(cpus[cpu]->promised));
        if (budget)
            say(" share %lu %lu %u", number(budget->share), number(budget->children),
                budget->wanted_period_ns);
    }
    say_list("live", &account->live, offsetof(struct object, account_node));
    say_list("dying", &account->dying, offsetof(struct object, account_node));
    say_list("pins", &account->quarantined, offsetof(struct object, account_node));
}

static void say_handles(const struct process *process)
{
    for (uint32_t slot = 0; slot < process->handle_pages * HANDLES_PER_PAGE; slot++) {
        const struct handle_entry *entry =
            &process->pages[slot / HANDLES_PER_PAGE][slot % HANDLES_PER_PAGE];
        bool free = (entry->tag & 3) == HANDLE_FREE;
        if (!free || entry->tag >> 2 > 1)
            say("\n  handle %u: %#lx %#lx %lu", slot, number(entry->tag),
                number(free ? 0 : entry->word), number(free ? 0 : entry->object_generation));
    }
}

static void say_process(const struct process *process)
{
    say(" aspace %ld exceptions %ld threads %u ending %d handles: %u used, %u reserved, %u "
        "retired, "
        "%u pages, %u paid, first free %u",
        index_of(process->aspace), index_of(process->exceptions.object), process->thread_count,
        process->ending, process->handles_used, process->handles_reserved, process->handles_retired,
        process->handle_pages, process->pages_paid, process->free_head);
    say_list("threads", &process->threads, offsetof(struct thread, process_node));
    say_handles(process);
}

static void say_thread(const struct thread *thread)
{
    say(" process %ld home %u runs %u priority %u started %d fault slot %u",
        index_of(thread->process), thread->home->number, thread_state(thread),
        thread_priority(thread), thread->started, thread->fault_slot);
    if ((thread->wait_word & 3) == PHASE_BLOCKED)
        say(" waits %u on %ld for %#x reserved %u held %u call %u", thread->wait_kind,
            index_of(thread->wait_object), thread->wait_mask, thread->reserved_handles,
            thread->held_handles, thread->call_slot);
    if (thread->deadline.node.linked)
        say(" until %lu", number(thread->deadline.node.key));
}

static void say_aspace(const struct aspace *aspace)
{
    say(" asid %u pages %lu tables %lu", aspace->asid, number(aspace->pages),
        number(aspace->table_pages));
    struct tree_node *node = tree_find_at_least(&aspace->mappings, 0);
    while (node) {
        say(" at %#lx: %ld", number(node->key), index_of(CONTAINER_OF(node, struct mapping, node)));
        node = tree_find_at_least(&aspace->mappings, node->key + 1);
    }
}

static void say_vmo(const struct vmo *vmo)
{
    say(" pages %lu filled %lu charged %lu mappings %u pins %u unpaid %u populating %u device %d "
        "%#lx",
        number(vmo->pages), number(vmo->filled), number(vmo->charged_pages), vmo->mapping_count,
        vmo->pin_count, vmo->unpaid, vmo->populating, vmo->device, number(vmo->device_base));
    if (vmo->block.page)
        say(" block of order %u held by %ld", vmo->block.order, index_of(vmo->block.account));
    if (!vmo_is_slice(vmo)) {
        say_list("mappings", &vmo->mappings, offsetof(struct mapping, vmo_node));
    } else {
        say(" of %ld of %ld from %lu shown %lu", index_of(vmo->parent.object),
            index_of(vmo->whole.object), number(vmo->first), number(counter_read(&vmo->shown)));
        say_list("mappings", &vmo->mappings, offsetof(struct mapping, slice_node));
    }
    say_list("slices", &vmo->slices, offsetof(struct vmo, slice_node));
    say_list("ending", &vmo->ending_slices, offsetof(struct vmo, slice_node));
}

static void say_mapping(const struct mapping *mapping)
{
    say(" aspace %ld vmo %ld at %#lx pages %lu from %lu protection %lu charged %lu %lu %lu",
        index_of(mapping->aspace), index_of(mapping->vmo), number(mapping->address),
        number(mapping->pages), number(mapping->offset_pages), number(mapping->protection),
        number(mapping->charged_pages), number(mapping->charged_objects),
        number(mapping->charged_tables));
}

static void say_queue(const struct channel *channel)
{
    uint16_t slot = channel->head;
    for (unsigned i = 0; i < channel->queued; i++) {
        const uint8_t *page = channel->queue[slot / channel->slots_per_page];
        const struct message *message =
            (const void *)(page + slot % channel->slots_per_page * channel->slot_bytes);
        say("\n  message: %u bytes, call %u, handles", message->bytes, message->call_slot);
        for (unsigned k = 0; k < message->handles; k++)
            say(" %ld.%lu/%#x", index_of(message->transfers[k].object),
                number(message->transfers[k].generation), message->transfers[k].rights);
        slot = message->next;
    }
    for (unsigned i = 0; i < channel->calls_max; i++)
        if (channel->calls[i].phase != CALL_FREE)
            say("\n  call %u: %u of %ld, generation %u", i, channel->calls[i].phase,
                index_of(channel->calls[i].thread), channel->calls[i].generation);
}

static void say_channel(const struct channel *channel)
{
    say(" peer %ld queued %u calls %u lost %u overflow %u", index_of(channel->peer.object),
        channel->queued, channel->calls_used, channel->lost, channel->overflow);
    say_list("senders", &channel->senders, offsetof(struct thread, wait_node));
    say_list("callers", &channel->callers, offsetof(struct thread, wait_node));
    say_list("faults", &channel->faults, offsetof(struct thread, wait_node));
    say_queue(channel);
}

static void say_port(const struct port *port)
{
    say(" bindings %u", port->binding_count);
    say_list("bound", &port->bindings, offsetof(struct object, binding.port_node));
    say_list("pending", &port->pending, offsetof(struct object, binding.node));
}

static void say_pin(const struct pin *pin)
{
    say(" vmo %ld device %lu first %lu pages %lu charged %lu %lu", index_of(pin->vmo),
        number(pin->device), number(pin->first), number(pin->pages), number(pin->charged_pages),
        number(pin->charged_objects));
}

static void say_body(struct object *object)
{
    void *body = object;
    switch (object->type) {
    case OBJECT_ACCOUNT:
        say_account(body);
        break;
    case OBJECT_PROCESS:
        say_process(body);
        break;
    case OBJECT_THREAD:
        say_thread(body);
        break;
    case OBJECT_ASPACE:
        say_aspace(body);
        break;
    case OBJECT_VMO:
        say_vmo(body);
        break;
    case OBJECT_MAPPING:
        say_mapping(body);
        break;
    case OBJECT_CHANNEL:
        say_channel(body);
        break;
    case OBJECT_PORT:
        say_port(body);
        break;
    case OBJECT_PIN:
        say_pin(body);
        break;
    case OBJECT_TIMER:
        say(" armed %d for %lu", ((struct timer *)body)->armed,
            number(((struct timer *)body)->when_ns));
        break;
    case OBJECT_INTERRUPT:
        say(" line %u count %lu acknowledged %lu", ((struct interrupt *)body)->line,
            number(((struct interrupt *)body)->count),
            number(((struct interrupt *)body)->acknowledged));
        break;
    case OBJECT_IORANGE:
        say(" base %u count %u", ((struct iorange *)body)->base, ((struct iorange *)body)->count);
        break;
    case OBJECT_DMASPACE:
        say(" device %lu", number(((struct dmaspace *)body)->device));
        break;
    case OBJECT_NONE:
    case OBJECT_EVENT:
    case OBJECT_MACHINE:
    case OBJECT_LOG:
    case OBJECT_COUNT:
        break;
    }
}

// ---- all

static void say_object(uint32_t index)
{
    struct object *object = object_at(index);
    if (object->life == LIFE_FREE)
        return;
    say("object %u: type %u id %lu life %u state %u account %ld handles %u signals %#x", index,
        object->type, number(object->id), object->life, object->state, index_of(object->account),
        object->handles, object->signals);
    if (object->binding.port)
        say(" bound to %ld key %lu mask %#x pending %d", index_of(object->binding.port),
            number(object->binding.key), object->binding.mask, object->binding.pending);
    say_list("waiters", &object->waiters, offsetof(struct thread, wait_node));
    say_body(object);
    say("\n");
}

void state_take(struct state *state)
{
    to = state;
    to->bytes = 0;
    say("frames free: %lu\nobjects free: %u\nquarantined: %lu\n", number(frames_free()),
        objects_free(), number(dma_quarantined_pages()));
    for (unsigned i = 0; i < HOST_LINES; i++)
        say("line %u: masked %d taken %d\n", i, host_lines[i].masked, host_lines[i].message_taken);
    for (uint32_t i = 0; i < objects_total(); i++)
        say_object(i);
}

static size_t line_at(const char *text, size_t at)
{
    while (at > 0 && text[at - 1] != '\n')
        at--;
    return at;
}

bool state_differs(const struct state *before, const struct state *after, char *said, size_t size)
{
    size_t at = 0;
    while (before->text[at] && before->text[at] == after->text[at])
        at++;
    if (before->text[at] == after->text[at])
        return false;
    size_t line = line_at(before->text, at);
    snprintf(said, size, "before: %.*s; after: %.*s", (int)strcspn(before->text + line, "\n"),
             before->text + line, (int)strcspn(after->text + line, "\n"), after->text + line);
    return true;
}
