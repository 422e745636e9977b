// SPDX-License-Identifier: MIT
//
// Events: a word of signal bits, 16 of them the user's.
#include "handlers.h"
#include "process.h"

status_t sys_event_create(struct entry *entry, const struct handle_lookup *account)
{
    struct object *object;
    status_t status = create_with_handle(entry, account, OBJECT_EVENT, &object);
    if (status == STATUS_OK)
        entry->result[0] = handle_publish(entry->process, object, RIGHTS_EVENT);
    return status;
}

status_t sys_event_signal(struct entry *entry, const struct handle_lookup *event, uint32_t raise)
    NO_THREAD_SAFETY
{
    (void)entry;
    if (raise & ~(uint32_t)SIGNALS_USER)
        return STATUS_INVALID;
    if (!object_lock(event->object, event->generation))
        return STATUS_GONE;
    object_signal_locked(event->object, raise);
    object_unlock(event->object);
    return STATUS_OK;
}

status_t sys_event_clear(struct entry *entry, const struct handle_lookup *event, uint32_t clear)
    NO_THREAD_SAFETY
{
    if (clear & ~(uint32_t)SIGNALS_USER)
        return STATUS_INVALID;
    if (!object_lock(event->object, event->generation))
        return STATUS_GONE;
    entry->result[0] = event->object->signals;
    event->object->signals &= ~clear;
    if (!SEEDED_BUG("L1"))
        object_unlock(event->object);
    return STATUS_OK;
}
