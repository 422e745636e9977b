// SPDX-License-Identifier: MIT
//
// One row per object type: its lock's rank, what its last handle means, its teardown, and the
// state table that every change of state is checked against (P1).
#include "account.h"
#include "channel.h"
#include "clock.h"
#include "dma.h"
#include "interrupt.h"
#include "log.h"
#include "machine.h"
#include "port.h"
#include "process.h"
#include "thread.h"
#include "vm.h"

// The event stands in the documents, whose tables of states come from these lines.
#define TO(state, event) (1u << (state))

static const uint32_t account_transitions[ACCOUNT_STATES] = {
    [ACCOUNT_LIVE] = TO(ACCOUNT_DYING, "it, or an account above it, is destroyed"),
    [ACCOUNT_DYING] = TO(ACCOUNT_DEAD, "its parent has everything back"),
};

static const uint32_t process_transitions[PROCESS_STATES] = {
    [PROCESS_CREATED] =
        TO(PROCESS_RUNNING, "its first thread is created") | TO(PROCESS_EXITING, "it is destroyed"),
    [PROCESS_RUNNING] = TO(PROCESS_EXITING, "it exits, is destroyed, or its last thread ends"),
    [PROCESS_EXITING] = TO(PROCESS_DEAD, "its threads, address space and handles are gone"),
};

static const uint32_t thread_transitions[THREAD_STATES] = {
    [THREAD_NEW] = TO(THREAD_READY, "it is started") | TO(THREAD_EXITING, "it is killed"),
    [THREAD_READY] = TO(THREAD_RUNNING, "its CPU takes it up") |
                     TO(THREAD_THROTTLED, "its budget on that CPU is used up") |
                     TO(THREAD_EXITING, "it is killed"),
    [THREAD_RUNNING] = TO(THREAD_READY, "another is to run, or it moves away") |
                       TO(THREAD_BLOCKED, "it waits in a call, or its fault was reported") |
                       TO(THREAD_EXITING, "it exits or is killed"),
    [THREAD_BLOCKED] = TO(THREAD_READY, "what it waits for happens, or its wait is ended") |
                       TO(THREAD_EXITING, "it is killed"),
    [THREAD_THROTTLED] =
        TO(THREAD_READY, "there is something left of its budget, or it moves away") |
        TO(THREAD_EXITING, "it is killed"),
    [THREAD_EXITING] = TO(THREAD_DEAD, "its teardown is complete"),
};

static const uint32_t vmo_transitions[VMO_STATES] = {
    [VMO_FILLING] = TO(VMO_READY, "its last frame is zeroed") |
                    TO(VMO_ORPHANED, "it is torn down while others pay for parts of it"),
    [VMO_READY] = TO(VMO_ORPHANED, "it is torn down while others pay for parts of it"),
};

static const uint32_t mapping_transitions[MAPPING_STATES] = {
    [MAPPING_POPULATING] = TO(MAPPING_ACTIVE, "its last entry is set") |
                           TO(MAPPING_CLEARING, "its memory or its address space ends"),
    [MAPPING_ACTIVE] = TO(MAPPING_PROTECTING, "vm_protect") |
                       TO(MAPPING_CLEARING, "it is unmapped, or either side of it ends"),
    [MAPPING_PROTECTING] = TO(MAPPING_ACTIVE, "every CPU goes by the new protection") |
                           TO(MAPPING_CLEARING, "it is unmapped, or either side of it ends"),
};

static const uint32_t channel_transitions[CHANNEL_STATES] = {
    [CHANNEL_CONNECTED] = TO(CHANNEL_DRAINING, "the other end is destroyed"),
};

static const uint32_t interrupt_transitions[INTERRUPT_STATES] = {
    [INTERRUPT_IDLE] = TO(INTERRUPT_PENDING, "it is raised"),
    [INTERRUPT_PENDING] =
        TO(INTERRUPT_IDLE, "it is acknowledged") | TO(INTERRUPT_AGAIN, "it is raised once more"),
    [INTERRUPT_AGAIN] =
        TO(INTERRUPT_PENDING, "it is acknowledged") | TO(INTERRUPT_AGAIN, "it is raised once more"),
};

static const uint32_t pin_transitions[PIN_STATES] = {
    [PIN_ACTIVE] =
        TO(PIN_QUARANTINED, "it ends otherwise than by release") | TO(PIN_RELEASED, "pin_release"),
    [PIN_QUARANTINED] = TO(PIN_RELEASED, "machine_device_quiet"),
};

// Nothing of the body needs work to end.
static enum step simple_teardown(struct object *object)
{
    (void)object;
    return STEP_DONE;
}

const struct object_type object_types[OBJECT_COUNT] = {
    [OBJECT_ACCOUNT] = {.rank = RANK_OBJECT,
                        .last_handle = LAST_HANDLE_ENDS_DEAD,
                        .teardown = account_teardown,
                        .inspect = account_inspect,
                        .transitions = account_transitions,
                        .states = ACCOUNT_STATES},
    [OBJECT_PROCESS] = {.rank = RANK_OBJECT,
                        .last_handle = LAST_HANDLE_ENDS_DEAD,
                        .teardown = process_teardown,
                        .inspect = process_inspect,
                        .transitions = process_transitions,
                        .states = PROCESS_STATES},
    [OBJECT_THREAD] = {.rank = RANK_OBJECT,
                       .last_handle = LAST_HANDLE_ENDS_DEAD,
                       .teardown = thread_teardown,
                       .inspect = thread_inspect,
                       .transitions = thread_transitions,
                       .states = THREAD_STATES},
    [OBJECT_ASPACE] = {.rank = RANK_ASPACE,
                       .last_handle = LAST_HANDLE_NOTHING,
                       .teardown = aspace_teardown,
                       .inspect = aspace_inspect},
    [OBJECT_VMO] = {.rank = RANK_VMO,
                    .last_handle = LAST_HANDLE_ENDS,
                    .teardown = vmo_teardown,
                    .inspect = vmo_inspect,
                    .transitions = vmo_transitions,
                    .states = VMO_STATES},
    [OBJECT_CHANNEL] = {.rank = RANK_OBJECT,
                        .last_handle = LAST_HANDLE_ENDS,
                        .teardown = channel_teardown,
                        .inspect = channel_inspect,
                        .check = channel_check,
                        .transitions = channel_transitions,
                        .states = CHANNEL_STATES},
    [OBJECT_PORT] = {.rank = RANK_PORT,
                     .last_handle = LAST_HANDLE_ENDS,
                     .teardown = port_teardown,
                     .inspect = port_inspect},
    [OBJECT_EVENT] = {.rank = RANK_OBJECT,
                      .last_handle = LAST_HANDLE_ENDS,
                      .teardown = simple_teardown},
    [OBJECT_TIMER] = {.rank = RANK_OBJECT,
                      .last_handle = LAST_HANDLE_ENDS,
                      .teardown = timer_teardown,
                      .inspect = timer_inspect},
    [OBJECT_INTERRUPT] = {.rank = RANK_OBJECT,
                          .last_handle = LAST_HANDLE_ENDS,
                          .teardown = interrupt_teardown,
                          .inspect = interrupt_inspect,
                          .transitions = interrupt_transitions,
                          .states = INTERRUPT_STATES},
    [OBJECT_IORANGE] = {.rank = RANK_OBJECT,
                        .last_handle = LAST_HANDLE_ENDS,
                        .teardown = iorange_teardown,
                        .inspect = iorange_inspect},
    [OBJECT_DMASPACE] = {.rank = RANK_OBJECT,
                         .last_handle = LAST_HANDLE_ENDS,
                         .teardown = simple_teardown,
                         .inspect = dmaspace_inspect},
    [OBJECT_PIN] = {.rank = RANK_OBJECT,
                    .last_handle = LAST_HANDLE_ENDS,
                    .teardown = pin_teardown,
                    .inspect = pin_inspect,
                    .transitions = pin_transitions,
                    .states = PIN_STATES},
    [OBJECT_MACHINE] = {.rank = RANK_OBJECT,
                        .last_handle = LAST_HANDLE_NOTHING,
                        .teardown = simple_teardown},
    [OBJECT_LOG] = {.rank = RANK_OBJECT,
                    .last_handle = LAST_HANDLE_NOTHING,
                    .teardown = simple_teardown},
    [OBJECT_MAPPING] = {.rank = RANK_OBJECT,
                        .last_handle = LAST_HANDLE_NOTHING,
                        .teardown = mapping_teardown,
                        .settled = mapping_settled_locked,
                        .transitions = mapping_transitions,
                        .states = MAPPING_STATES},
};
