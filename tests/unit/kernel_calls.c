// SPDX-License-Identifier: MIT
//
// Records what the tests see calls do, for tools/calls.py: where SKERRY_CALLS names a file, each test
// adds to it a line for each thing that is different,
//
//   TEST CALL STATUS ARGUMENT...
//
// with a word for each handle argument, in their order, which says what it named as the call began:
//
//   nothing   no handle has this value          gone    the object was destroyed
//   other     an object of another type         absent  0, where that is allowed
//   less      a handle that lacks a right       12.3    a live object: its type and its state
//
// `message=` and one of them stand for the first bad handle in a message. A call that waits is recorded
// when its wait has ended, with what was there as it began; one that does not return (OK) as it begins.
// A line begins with `~` if the test has drawn random numbers: it does not always see what it saw. Of a
// kernel with a planted bug nothing is recorded.
#include <stdlib.h>
#include <string.h>

#include <abi_table.h>

#include "kernel_world.h"

// What a handle names: one of these, or type << 3 | state.
enum named : uint8_t { NO_ARGUMENT, NOTHING, OTHER, LESS, GONE, ABSENT, LIVE = 8 };
static_assert(THREAD_STATES <= 8 && OBJECT_COUNT <= 32);

static const char *const words[LIVE] = {[NOTHING] = "nothing",
                                        [OTHER] = "other",
                                        [LESS] = "less",
                                        [GONE] = "gone",
                                        [ABSENT] = "absent"};

constexpr unsigned HANDLE_ARGUMENTS = 4;

struct record {
    uint8_t number, status;
    uint8_t named[HANDLE_ARGUMENTS], in_message; // enum named
    uint8_t is;                                  // 1: the others are of a call
};
static_assert(sizeof(struct record) == sizeof(uint64_t));

// The call that an actor is in.
static struct {
    struct object_ref thread;
    struct record record;
} calls[ACTORS_MAX];

// What this test has seen, once each.
constexpr size_t RECORDS_MAX = 1 << 14;
static struct record seen[RECORDS_MAX];

static const char *file;

static uint8_t what_is_named(const struct actor *actor, uint64_t handle, uint32_t type,
                             uint32_t rights)
{
    const struct handle_entry *entry = handle_entry_of(actor, handle);
    if (!entry || (entry->tag & 3) != HANDLE_LIVE)
        return NOTHING;
    const struct object *object = object_at((uint32_t)(entry->word & 0xff'ffff));
    uint32_t its_type = entry->word >> 24 & 0xff;
    if (type != OBJECT_NONE && its_type != type)
        return OTHER;
    if (~(uint32_t)(entry->word >> 32) & rights)
        return LESS;
    if (object->generation != entry->object_generation)
        return GONE;
    const struct thread *thread = (const struct thread *)(const void *)object;
    unsigned state = its_type == OBJECT_THREAD ? thread_state(thread) : object->state;
    return (uint8_t)(its_type << 3 | state);
}

static uint8_t what_a_message_names(const struct actor *actor, uint64_t message)
{
    const uint64_t *handles = actor->thread->message->handles;
    unsigned count = MSG_HANDLES(message);
    for (unsigned i = 0; i < count && i < ABI_MESSAGE_HANDLES; i++) {
        uint8_t named = what_is_named(actor, handles[i], OBJECT_NONE, RIGHT_TRANSFER);
        if (named < LIVE)
            return named;
    }
    return NO_ARGUMENT;
}

static void keep(struct record record)
{
    uint64_t hash;
    memcpy(&hash, &record, sizeof hash);
    hash *= 0x9e37'79b9'7f4a'7c15;
    for (size_t tries = 0, at = hash >> 32; tries < RECORDS_MAX; tries++, at++) {
        struct record *place = &seen[at % RECORDS_MAX];
        if (place->is && memcmp(place, &record, sizeof record) != 0)
            continue;
        *place = record;
        return;
    }
    abort();
}

static void call_begins(const struct actor *actor)
{
    struct record record = {.number = SYSCALL_COUNT, .is = 1};
    if (actor->number < SYSCALL_COUNT) {
        const struct abi_call *call = &abi_calls[actor->number];
        record.number = (uint8_t)actor->number;
        for (unsigned i = 0, handles = 0; i < call->args; i++) {
            const struct abi_arg *arg = &call->arg[i];
            if (arg->kind == ARG_MSGINFO)
                record.in_message = what_a_message_names(actor, actor->argument[i]);
            if (arg->kind != ARG_HANDLE && arg->kind != ARG_RAW_HANDLE)
                continue;
            record.named[handles++] =
                arg->optional && actor->argument[i] == 0
                    ? (uint8_t)ABSENT
                    : what_is_named(actor, actor->argument[i], arg->object, arg->rights);
        }
        if (call->noreturn && !seeded_bug)
            keep(record);
    }
    calls[actor - world.actors].thread = actor->ref;
    calls[actor - world.actors].record = record;
}

static void call_has_ended(const struct actor *actor)
{
    struct record *record = &calls[actor - world.actors].record;
    if (record->is && calls[actor - world.actors].thread.generation == actor->ref.generation &&
        !seeded_bug) {
        record->status = (uint8_t)actor->out.status;
        keep(*record);
    }
    record->is = 0; // what comes next without a call is a fault's
}

static void write_named(FILE *out, uint8_t named)
{
    if (named < LIVE)
        fprintf(out, "%s", words[named]);
    else
        fprintf(out, "%u.%u", named >> 3, named & 7);
}

static void write_all(const struct test *test, bool drawn)
{
    FILE *out = fopen(file, "a");
    if (!out)
        abort();
    for (const struct record *record = seen; record < seen + RECORDS_MAX; record++) {
        if (!record->is)
            continue;
        fprintf(out, "%s%s %s %s", drawn ? "~" : "", test->name,
                record->number < SYSCALL_COUNT ? abi_syscall_names[record->number] : "-",
                record->status < STATUS_COUNT ? abi_status_names[record->status] : "?");
        for (unsigned i = 0; i < HANDLE_ARGUMENTS && record->named[i]; i++) {
            fprintf(out, " ");
            write_named(out, record->named[i]);
        }
        if (record->in_message) {
            fprintf(out, " message=");
            write_named(out, record->in_message);
        }
        fprintf(out, "\n");
    }
    fclose(out);
}

[[gnu::constructor]] static void begin(void)
{
    file = getenv("SKERRY_CALLS");
    if (!file || !*file)
        return;
    world_on_call = call_begins;
    world_on_outcome = call_has_ended;
    test_on_end = write_all;
}
