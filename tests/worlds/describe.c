// SPDX-License-Identifier: MIT
//
// The kernel's state in the words of describe.h, read from its structures while nothing runs.
#include "describe.h"

#include <stdio.h>
#include <stdlib.h>

#include "channel.h"
#include "cpu.h"
#include "dma.h"
#include "interrupt.h"
#include "machine.h"
#include "perform.h"
#include "port.h"

constexpr unsigned MET_MAX = 64;

static struct description *to;
static const struct object *met[MET_MAX];
static unsigned met_count;

void put(struct description *description, enum word word, uint64_t value)
{
    if (description->count == WORDS_MAX)
        abort();
    description->words[description->count++] = (uint64_t)word << 56 | (value & (1ull << 56) - 1);
}

static void say(enum word word, uint64_t value)
{
    put(to, word, value);
}

// The number of an object, which is described later if it is new.
static uint64_t number_of(const struct object *object)
{
    if (!object)
        return WORD_NOBODY;
    for (unsigned i = 0; i < met_count; i++)
        if (met[i] == object)
            return i;
    if (met_count == MET_MAX)
        abort();
    met[met_count] = object;
    return met_count++;
}

static uint64_t actor_number(const struct thread *thread)
{
    for (unsigned i = 0; i < hands_count; i++)
        if (hands[i].actor->thread == thread)
            return i;
    return WORD_NOBODY;
}

static uint64_t units_from_now(uint64_t ns)
{
    return ns == ABI_DEADLINE_NEVER ? WORD_NEVER
           : ns <= host_ticks       ? 0
                                    : (ns - host_ticks) / TIME_UNIT;
}

// ---- actors

static void say_handle(uint64_t phase, uint64_t type, uint32_t rights, const struct object *object,
                       uint64_t generation)
{
    say(WORD_HANDLE, phase);
    if (phase == HANDLE_FREE)
        return;
    say(WORD_HANDLE_TYPE, type);
    say(WORD_HANDLE_RIGHTS, rights);
    bool is_there = object->generation == generation;
    say(WORD_HANDLE_OBJECT, is_there ? number_of(object) : WORD_NOBODY);
}

static void say_register(const struct actor *actor, uint64_t handle)
{
    const struct handle_entry *entry = handle_entry_of(actor, handle);
    if (!entry) {
        say(WORD_HANDLE, HANDLE_FREE);
        return;
    }
    say_handle(entry->tag & 3, entry->word >> 24 & 0xff, (uint32_t)(entry->word >> 32),
               object_at((uint32_t)(entry->word & 0xff'ffff)), entry->object_generation);
}

static void say_token(const struct hands *hand)
{
    const struct channel *end = channel_of(hand->token_end.object);
    uint64_t slot = hand->token & UINT32_MAX;
    uint64_t phase = CALL_FREE;
    if (end && end->object.generation == hand->token_end.generation && slot < end->calls_max &&
        end->calls[slot].generation == hand->token >> 32)
        phase = end->calls[slot].phase;
    say(WORD_TOKEN_PHASE, phase);
    if (phase != CALL_FREE)
        say(WORD_TOKEN_END, number_of(&end->object));
}

static void say_actor(unsigned number)
{
    const struct hands *hand = &hands[number];
    const struct thread *thread = hand->actor->thread;
    say(WORD_ACTOR, number);
    say(WORD_DEAD, is_dead(hand->actor));
    if (is_dead(hand->actor))
        return;
    enum wait_kind kind = hand->actor->calling ? thread->wait_kind : WAIT_NONE;
    say(WORD_WAITS, kind);
    if (kind != WAIT_NONE)
        say(WORD_WAITS_ON, number_of(thread->wait_object));
    if (kind == WAIT_SIGNALS)
        say(WORD_WAIT_MASK, thread->wait_mask);
    for (unsigned i = 0; i < register_count; i++)
        say_register(hand->actor, hand->registers[i]);
    say_token(hand);
}

// ---- objects

static void say_account(const struct object *object)
{
    const struct account *account = (const struct account *)(const void *)object;
    say(WORD_STATE, object->state);
    say(WORD_PAGES_LIMIT, account->pages.limit);
    say(WORD_PAGES_USED, account->pages.used);
    say(WORD_PAGES_CHILDREN, account->pages.children);
    say(WORD_OBJECTS_LIMIT, account->objects.limit);
    say(WORD_OBJECTS_USED, account->objects.used);
    say(WORD_OBJECTS_CHILDREN, account->objects.children);
    say(WORD_CONTIGUOUS_LIMIT, account->contiguous.limit);
    say(WORD_CONTIGUOUS_USED, account->contiguous.used);
    say(WORD_CONTIGUOUS_CHILDREN, account->contiguous.children);
    for (unsigned cpu = 0; cpu < world_cpus; cpu++) {
        const struct budget *budget = budget_at(account, cpu);
        if (budget && budget->share != 0)
            say(WORD_SHARE, budget->share);
        if (budget && budget->children != 0)
            say(WORD_SHARES_BELOW, budget->children);
    }
    LIST_FOR_EACH(node, &account->live)
    {
        const struct object *child = CONTAINER_OF(node, struct object, account_node);
        if (child->type == OBJECT_ACCOUNT)
            say(WORD_CHILD, number_of(child));
    }
    LIST_FOR_EACH(node, &account->quarantined)
    {
        say(WORD_QUARANTINED, number_of(CONTAINER_OF(node, struct object, account_node)));
    }
}

static void say_channel(const struct object *object)
{
    const struct channel *channel = (const struct channel *)(const void *)object;
    bool has_peer = channel->peer.object->generation == channel->peer.generation;
    say(WORD_STATE, object->state);
    say(WORD_PEER, has_peer ? number_of(channel->peer.object) : WORD_NOBODY);
    say(WORD_QUEUED, channel->queued);
    for (uint16_t slot = channel->head; slot != SLOT_NONE;) {
        const struct message *message =
            (const void *)(channel->queue[slot / channel->slots_per_page] +
                           slot % channel->slots_per_page * channel->slot_bytes);
        say(WORD_MESSAGE, MSG(message->bytes, message->handles));
        const uint8_t *payload = (const uint8_t *)&message->transfers[channel->message_handles];
        say(WORD_MESSAGE_TAG, message->bytes ? *payload : 0);
        say(WORD_MESSAGE_CALL, message->call_slot);
        for (uint32_t i = 0; i < message->handles; i++)
            say_handle(HANDLE_LIVE, message->transfers[i].type, message->transfers[i].rights,
                       message->transfers[i].object, message->transfers[i].generation);
        slot = message->next;
    }
    for (unsigned i = 0; i < channel->calls_max; i++) {
        say(WORD_CALL_SLOT, channel->calls[i].phase);
        if (channel->calls[i].thread)
            say(WORD_CALLER, actor_number(channel->calls[i].thread));
    }
    LIST_FOR_EACH(node, &channel->callers)
    {
        say(WORD_CALLER, actor_number(CONTAINER_OF(node, struct thread, wait_node)));
    }
    LIST_FOR_EACH(node, &channel->senders)
    {
        const struct thread *sender = CONTAINER_OF(node, struct thread, wait_node);
        say(WORD_SENDER, actor_number(sender));
        say(WORD_SENDING, sender->sending);
    }
    say(WORD_LOST, channel->lost < LOST_MAX ? channel->lost : LOST_MAX);
}

static void say_port(const struct object *object)
{
    const struct port *port = (const struct port *)(const void *)object;
    LIST_FOR_EACH(node, &port->bindings)
    {
        struct binding *binding = CONTAINER_OF(node, struct binding, port_node);
        say(WORD_BINDING, number_of(CONTAINER_OF(binding, struct object, binding)));
    }
    LIST_FOR_EACH(node, &port->pending)
    {
        struct binding *binding = CONTAINER_OF(node, struct binding, node);
        say(WORD_PENDING, number_of(CONTAINER_OF(binding, struct object, binding)));
    }
}

static void say_vmo(const struct object *object)
{
    const struct vmo *vmo = (const struct vmo *)(const void *)object;
    say(WORD_PAGES, vmo->pages);
    say(WORD_CONTIGUOUS, vmo->block.page ? 1u << vmo->block.order : 0);
    say(WORD_MAPPINGS, vmo_is_slice(vmo) ? counter_read(&vmo->shown) : vmo->mapping_count);
    say(WORD_PINS, vmo->pin_count);
    if (vmo_is_slice(vmo)) {
        say(WORD_SLICE_OF, number_of(vmo->parent.object));
        say(WORD_SLICE_FIRST, vmo->first);
    }
}

static void say_pin(const struct object *object)
{
    const struct pin *pin = (const struct pin *)(const void *)object;
    say(WORD_STATE, object->state);
    say(WORD_DEVICE, pin->device);
    say(WORD_PAGES, pin->pages);
    say(WORD_PINNED_VMO, number_of(&pin->vmo->object));
}

static void say_interrupt(const struct object *object)
{
    say(WORD_STATE, object->state);
    say(WORD_LINE, ((const struct interrupt *)(const void *)object)->line);
}

// But for message buffers.
static void say_aspace(const struct object *object)
{
    const struct aspace *aspace = (const struct aspace *)(const void *)object;
    for (struct tree_node *node = tree_first(&aspace->mappings); node; node = tree_next(node)) {
        const struct mapping *mapping = CONTAINER_OF(node, struct mapping, node);
        if (!mapping->vmo)
            continue;
        say(WORD_MAPPED_AT, mapping->address >> PAGE_SHIFT);
        say(WORD_MAPPED_PAGES, mapping->pages);
        say(WORD_MAPPED_OFFSET, mapping->offset_pages);
        say(WORD_MAPPED_PROTECTION, mapping->protection);
        say(WORD_MAPPED_RIGHTS, mapping->vmo_rights & PROTECTION_RIGHTS);
        say(WORD_MAPPED_VMO, number_of(&mapping->vmo->object));
        say(WORD_MAPPED_SLICE, number_of(mapping->slice ? &mapping->slice->object : nullptr));
    }
}

static void say_process(const struct object *object)
{
    const struct process *process = (const struct process *)(const void *)object;
    const struct object_ref *exceptions = &process->exceptions;
    bool handled = exceptions->object && exceptions->object->generation == exceptions->generation;
    say(WORD_STATE, object->state);
    say(WORD_THREADS, process->thread_count);
    say(WORD_EXCEPTIONS, handled ? number_of(exceptions->object) : WORD_NOBODY);
}

static void say_timer(const struct object *object)
{
    const struct timer *timer = (const struct timer *)(const void *)object;
    say(WORD_ARMED, timer->armed ? units_from_now(timer->when_ns) : WORD_NOBODY);
}

static void say_kind(const struct object *object)
{
    switch (object->type) {
    case OBJECT_ACCOUNT:
        say_account(object);
        break;
    case OBJECT_CHANNEL:
        say_channel(object);
        break;
    case OBJECT_PORT:
        say_port(object);
        break;
    case OBJECT_VMO:
        say_vmo(object);
        break;
    case OBJECT_ASPACE:
        say_aspace(object);
        break;
    case OBJECT_TIMER:
        say_timer(object);
        break;
    case OBJECT_PIN:
        say_pin(object);
        break;
    case OBJECT_INTERRUPT:
        say_interrupt(object);
        break;
    case OBJECT_DMASPACE:
        say(WORD_DEVICE, ((const struct dmaspace *)(const void *)object)->device);
        break;
    case OBJECT_PROCESS:
        say_process(object);
        break;
    case OBJECT_IORANGE:
        say(WORD_FIRST_PORT, ((const struct iorange *)(const void *)object)->base);
        say(WORD_PORTS, ((const struct iorange *)(const void *)object)->count);
        break;
    case OBJECT_NONE:
    case OBJECT_THREAD:
    case OBJECT_EVENT:
    case OBJECT_MACHINE:
    case OBJECT_LOG:
    case OBJECT_MAPPING:
    case OBJECT_COUNT:
        break;
    }
}

static void say_object(const struct object *object)
{
    say(WORD_OBJECT, object->type);
    say(WORD_LIFE, object->life);
    say(WORD_BOUND_TO, number_of(object->binding.port));
    if (object->binding.port) {
        say(WORD_BOUND_KEY, object->binding.key);
        say(WORD_BOUND_MASK, object->binding.mask);
        say(WORD_BOUND_PENDING, object->binding.pending);
    }
    if (object->life == LIFE_GHOST)
        return;
    // The machine and the actors' accounts are the root account's, which is not described.
    bool is_root = object->account == world.root;
    say(WORD_PAYER,
        object->account && !is_root ? number_of(&object->account->object) : WORD_NOBODY);
    say(WORD_SIGNALS, object->signals);
    say(WORD_HANDLES, object->handles);
    LIST_FOR_EACH(node, &object->waiters)
    {
        say(WORD_WAITER, actor_number(CONTAINER_OF(node, struct thread, wait_node)));
    }
    say_kind(object);
}

// Those of actors that wait in a call, and of timers, in the order in which they pass.
static void say_deadlines(void)
{
    if (world.cpus > 1)
        return; // each CPU has its own: they are told with the timers, and by who wakes
    for (struct tree_node *node = tree_first(&cpus[0]->timers); node; node = tree_next(node)) {
        struct deadline *deadline = CONTAINER_OF(node, struct deadline, node);
        say(WORD_DEADLINE, units_from_now(node->key));
        if (deadline->kind == DEADLINE_TIMER)
            say(WORD_DEADLINE_OF_TIMER,
                number_of(&CONTAINER_OF(deadline, struct timer, deadline)->object));
        else
            say(WORD_DEADLINE_OF_ACTOR,
                actor_number(CONTAINER_OF(deadline, struct thread, deadline)));
    }
}

void describe(struct description *out)
{
    to = out;
    out->count = 0;
    met_count = 0;
    for (unsigned i = 0; i < hands_count; i++)
        say_actor(i);
    say_deadlines();
    for (unsigned i = 0; i < met_count; i++)
        say_object(met[i]);
}

// In the order of their pages: how they came in does not matter.
void describe_hidden(struct description *out)
{
    to = out;
    for (unsigned i = HOST_LINE_FIRST; i < HOST_LINE_FIRST + 2; i++) {
        const struct host_line *line = &host_lines[i];
        say(WORD_LINE_STATE, line->masked + 2ull * line->level + 4ull * line->latched);
    }
    for (uint64_t last = 0;;) {
        const struct host_tlb_entry *next = nullptr;
        for (unsigned i = 0; i < HOST_TLB_ENTRIES; i++) {
            const struct host_tlb_entry *entry = &host_tlb[0][i];
            if (entry->valid && (entry->page | entry->asid) > last &&
                (!next || (entry->page | entry->asid) < (next->page | next->asid)))
                next = entry;
        }
        if (!next)
            return;
        last = next->page | next->asid;
        say(WORD_TRANSLATION, next->page >> PAGE_SHIFT);
        say(WORD_TRANSLATION_OF, next->asid);
        say(WORD_TRANSLATION_PROTECTION, pte_protection(next->leaf));
    }
}

// ---- comparing

struct hash description_hash(const struct description *description)
{
    struct hash hash = {0x243f'6a88'85a3'08d3, 0x1319'8a2e'0370'7344};
    for (uint32_t i = 0; i < description->count; i++) {
        hash.low = (hash.low ^ description->words[i]) * 0x9e37'79b9'7f4a'7c15;
        hash.low ^= hash.low >> 29;
        hash.high = (hash.high + description->words[i]) * 0xbf58'476d'1ce4'e5b9;
        hash.high ^= hash.high >> 32;
    }
    return hash;
}

bool description_differs(const struct description *kernel, const struct description *model,
                         char *said, unsigned long size)
{
    static const char *const texts[WORD_COUNT] = {
#define WORD(name, text) [WORD_##name] = text,
#include "words.def"
#undef WORD
    };
    constexpr uint64_t VALUE = (1ull << 56) - 1;
    uint32_t at = 0;
    while (at < kernel->count && at < model->count && kernel->words[at] == model->words[at])
        at++;
    if (at == kernel->count && at == model->count)
        return false;
    uint64_t k = at < kernel->count ? kernel->words[at] : 0;
    uint64_t m = at < model->count ? model->words[at] : 0;
    int used = snprintf(said, size, "kernel: %s %#lx; model: %s %#lx; after", texts[k >> 56],
                        (unsigned long)(k & VALUE), texts[m >> 56], (unsigned long)(m & VALUE));
    for (uint32_t i = at > 6 ? at - 6 : 0; i < at; i++)
        used += snprintf(said + used, size - (unsigned long)used, "%s %s %#lx",
                         i + 6 < at || i == 0 ? "" : ",", texts[kernel->words[i] >> 56],
                         (unsigned long)(kernel->words[i] & VALUE));
    return true;
}
