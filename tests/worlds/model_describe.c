// SPDX-License-Identifier: MIT
//
// The model's state in the words of describe.h, in the same order as describe.c says the kernel's.
#include <stdlib.h>

#include "model.h"

static struct description *to;
static uint8_t met[M_OBJECTS];
static unsigned met_count;

static void say(enum word word, uint64_t value)
{
    put(to, word, value);
}

static uint64_t number_of(uint8_t object)
{
    if (object == NOTHING)
        return WORD_NOBODY;
    for (unsigned i = 0; i < met_count; i++)
        if (met[i] == object)
            return i;
    met[met_count] = object;
    return met_count++;
}

static uint64_t actor_number(uint8_t actor)
{
    return actor == NOTHING ? WORD_NOBODY : actor;
}

static uint64_t units_from_now(uint64_t ns)
{
    return ns == ABI_DEADLINE_NEVER ? WORD_NEVER
           : ns <= model.now        ? 0
                                    : (ns - model.now) / TIME_UNIT;
}

static void say_handle(const struct m_handle *handle, enum m_phase phase)
{
    say(WORD_HANDLE, phase);
    if (phase == M_EMPTY)
        return;
    say(WORD_HANDLE_TYPE, handle->type);
    say(WORD_HANDLE_RIGHTS, handle->rights);
    say(WORD_HANDLE_OBJECT, number_of(handle->object));
}

static void say_actor(uint8_t number)
{
    const struct m_actor *actor = &model.actors[number];
    say(WORD_ACTOR, number);
    say(WORD_DEAD, actor->dead);
    if (actor->dead)
        return;
    say(WORD_WAITS, actor->waits);
    if (actor->waits != M_RUNS)
        say(WORD_WAITS_ON, number_of(actor->waits_on));
    if (actor->waits == M_SIGNALS)
        say(WORD_WAIT_MASK, actor->wait_mask);
    for (unsigned i = 0; i < register_count; i++)
        say_handle(&actor->registers[i], actor->registers[i].phase);
    const struct m_call *call = nullptr;
    if (actor->token_end != NOTHING) {
        const struct m_object *end = object_of(actor->token_end);
        call = &end->calls[actor->token_slot];
        if (end->life != M_LIVE || end->type != OBJECT_CHANNEL ||
            call->serial != actor->token_serial)
            call = nullptr;
    }
    say(WORD_TOKEN_PHASE, call ? call->phase : M_NO_CALL);
    if (call && call->phase != M_NO_CALL)
        say(WORD_TOKEN_END, number_of(actor->token_end));
}

static void say_account(const struct m_object *account)
{
    say(WORD_STATE, account->state);
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
        if (account->share[cpu] != 0)
            say(WORD_SHARE, account->share[cpu]);
        if (account->shares_below[cpu] != 0)
            say(WORD_SHARES_BELOW, account->shares_below[cpu]);
    }
    for (unsigned i = 0; i < account->children.count; i++)
        say(WORD_CHILD, number_of(account->children.at[i]));
    for (unsigned i = 0; i < account->quarantined.count; i++)
        say(WORD_QUARANTINED, number_of(account->quarantined.at[i]));
}

static void say_channel(const struct m_object *channel)
{
    say(WORD_STATE, channel->state);
    say(WORD_PEER, number_of(channel->peer));
    say(WORD_QUEUED, channel->queued);
    for (unsigned i = 0; i < channel->queued; i++) {
        const struct m_message *message = &channel->queue[i];
        say(WORD_MESSAGE, MSG(message->bytes, message->handles));
        say(WORD_MESSAGE_TAG, message->tag);
        say(WORD_MESSAGE_CALL, message->call == NOTHING ? WORD_NOBODY : message->call);
        for (unsigned k = 0; k < message->handles; k++)
            say_handle(&message->carried[k], M_USABLE);
    }
    for (unsigned i = 0; i < channel->calls_max; i++) {
        say(WORD_CALL_SLOT, channel->calls[i].phase);
        if (channel->calls[i].caller != NOTHING)
            say(WORD_CALLER, channel->calls[i].caller);
    }
    for (unsigned i = 0; i < channel->callers.count; i++)
        say(WORD_CALLER, channel->callers.at[i]);
    for (unsigned i = 0; i < channel->senders.count; i++) {
        say(WORD_SENDER, channel->senders.at[i]);
        say(WORD_SENDING, model.actors[channel->senders.at[i]].sending);
    }
    say(WORD_LOST, channel->lost < LOST_MAX ? channel->lost : LOST_MAX);
}

static void say_aspace(const struct m_object *space)
{
    for (unsigned i = 0; i < space->mapping_count; i++) {
        const struct m_mapping *mapping = &space->mappings[i];
        say(WORD_MAPPED_AT, mapping->page);
        say(WORD_MAPPED_PAGES, mapping->pages);
        say(WORD_MAPPED_OFFSET, mapping->offset);
        say(WORD_MAPPED_PROTECTION, mapping->protection);
        say(WORD_MAPPED_RIGHTS, mapping->rights & PROTECTION_RIGHTS);
        say(WORD_MAPPED_VMO, number_of(mapping->vmo));
        say(WORD_MAPPED_SLICE, number_of(mapping->slice));
    }
}

static void say_kind(const struct m_object *object)
{
    switch (object->type) {
    case OBJECT_ACCOUNT:
        say_account(object);
        break;
    case OBJECT_CHANNEL:
        say_channel(object);
        break;
    case OBJECT_PORT:
        for (unsigned i = 0; i < object->bound.count; i++)
            say(WORD_BINDING, number_of(object->bound.at[i]));
        for (unsigned i = 0; i < object->telling.count; i++)
            say(WORD_PENDING, number_of(object->telling.at[i]));
        break;
    case OBJECT_VMO:
        say(WORD_PAGES, object->size);
        say(WORD_CONTIGUOUS, object->block);
        say(WORD_MAPPINGS, object->mapped);
        say(WORD_PINS, object->pinned);
        if (object->source != NOTHING) {
            say(WORD_SLICE_OF, number_of(object->source));
            say(WORD_SLICE_FIRST, object->first);
        }
        break;
    case OBJECT_PIN:
        say(WORD_STATE, object->state);
        say(WORD_DEVICE, object->device);
        say(WORD_PAGES, object->size);
        say(WORD_PINNED_VMO, number_of(object->vmo));
        break;
    case OBJECT_INTERRUPT:
        say(WORD_STATE, object->state);
        say(WORD_LINE, object->line);
        break;
    case OBJECT_PROCESS:
        say(WORD_STATE, object->state);
        say(WORD_THREADS, object->threads.count);
        say(WORD_EXCEPTIONS, number_of(object->exceptions));
        break;
    case OBJECT_IORANGE:
        say(WORD_FIRST_PORT, object->first_port);
        say(WORD_PORTS, object->ports);
        break;
    case OBJECT_DMASPACE:
        say(WORD_DEVICE, object->device);
        break;
    case OBJECT_ASPACE:
        say_aspace(object);
        break;
    case OBJECT_TIMER:
        say(WORD_ARMED, object->armed ? units_from_now(object->when) : WORD_NOBODY);
        break;
    default:
        break;
    }
}

static void say_object(const struct m_object *object)
{
    say(WORD_OBJECT, object->type);
    say(WORD_LIFE, object->life);
    say(WORD_BOUND_TO, number_of(object->port));
    if (object->port != NOTHING) {
        say(WORD_BOUND_KEY, object->key);
        say(WORD_BOUND_MASK, object->mask);
        say(WORD_BOUND_PENDING, object->pending);
    }
    if (object->life == M_LAST_EVENT)
        return;
    say(WORD_PAYER, number_of(object->payer));
    say(WORD_SIGNALS, object->signals);
    say(WORD_HANDLES, object->handles);
    for (unsigned i = 0; i < object->waiters.count; i++)
        say(WORD_WAITER, object->waiters.at[i]);
    say_kind(object);
}

void model_describe(struct description *out)
{
    to = out;
    out->count = 0;
    met_count = 0;
    for (uint8_t i = 0; i < model.actor_count; i++)
        say_actor(i);
    for (unsigned i = 0; world_cpus == 1 && i < model.deadline_count; i++) {
        const struct m_deadline *deadline = &model.deadlines[i];
        say(WORD_DEADLINE, units_from_now(deadline->when));
        if (deadline->timer != NOTHING)
            say(WORD_DEADLINE_OF_TIMER, number_of(deadline->timer));
        else
            say(WORD_DEADLINE_OF_ACTOR, actor_number(deadline->actor));
    }
    for (unsigned i = 0; i < met_count; i++)
        say_object(object_of(met[i]));
}
