// SPDX-License-Identifier: MIT
// build: tests/fuzz/kernel_fuzz.c tests/fuzz/kernel_pages.c tests/unit/kernel_alone.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// A message buffer is memory of user space: another thread may write to it at any moment of a call.
// Here somebody does, wherever a function of the kernel begins or ends, up to a few times in a call.
// The kernel must behave as if it had read each word once: what arrives is, byte for byte, something
// that stood there; a handle that arrives is one that was named there, and is gone from its sender;
// what a failed call leaves behind is as it was.
#include <string.h>

#include "kernel_fuzz.h"
#include "process.h"

constexpr size_t RECORD = 32;
constexpr unsigned PLACES = 300; // functions of the kernel that begin in a call, some two hundred
constexpr unsigned STEPS_MAX = 16, WRITES_MAX = 3, EVENTS = 6, BYTES_MAX = 64, HANDLES = 3;

enum what { SEND, BLOCKED_SEND, CALL_IT, REPLY, REPLY_RECEIVE, WRITE_LOG, INSPECT, WHATS };

static struct actor *sender, *receiver;
static struct ends ends;                    // sender's, receiver's
static uint64_t events[EVENTS], log_handle; // of the sender: the last one cannot be transferred

// ---- what stands in the buffer, and what comes to stand there during the call

static struct version {
    uint8_t filler;
    uint64_t handles[HANDLES];
} versions[WRITES_MAX + 1];
static unsigned version_now, version_count;
static unsigned points_left[WRITES_MAX]; // places in the kernel until the next one comes
static struct abi_message_buffer *buffer;

static void write_version(const struct version *version)
{
    memset(buffer->data, version->filler, BYTES_MAX);
    memcpy(buffer->handles, version->handles, sizeof version->handles);
}

// Called where a function of the kernel begins, on every CPU. It never stops the CPU there.
static bool at_function(void *function)
{
    (void)function;
    if (version_now + 1 < version_count && points_left[version_now]-- == 0)
        write_version(&versions[++version_now]);
    return false;
}

static void begin_writing(struct actor *actor)
{
    buffer = actor->thread->message;
    version_now = 0;
    write_version(&versions[0]);
    host_on_function = version_count > 1 ? at_function : nullptr;
}

static void end_writing(void)
{
    host_on_function = nullptr;
}

// Which event an actor's handle names; EVENTS: none.
static struct object *event_objects[EVENTS];

static unsigned event_behind(const struct actor *actor, uint64_t handle)
{
    unsigned i = 0;
    while (i < EVENTS && object_behind(actor, handle) != event_objects[i])
        i++;
    return i;
}

static bool is_held(const struct actor *actor, uint64_t handle)
{
    return object_behind(actor, handle) != nullptr;
}

// An event's handle, most likely; or one that is forged, and names nothing else of the sender's.
static uint64_t draw_value(struct input *input)
{
    uint64_t which = input_below(input, EVENTS + 3), value = events[0];
    if (which < EVENTS)
        return events[which];
    if (which == EVENTS)
        return ends.end0;
    value ^= 1ull << input_below(input, 64);
    return is_held(sender, value) && event_behind(sender, value) == EVENTS ? 0 : value;
}

static void draw_versions(struct input *input)
{
    for (unsigned i = 0; i < WRITES_MAX; i++)
        points_left[i] = (unsigned)input_below(input, PLACES);
    version_count = 1 + (unsigned)input_below(input, WRITES_MAX + 1);
    for (unsigned i = 0; i < version_count; i++) {
        versions[i].filler = (uint8_t)(input_number(input, 1) | 1 << i);
        for (unsigned k = 0; k < HANDLES; k++)
            versions[i].handles[k] = draw_value(input);
    }
}

// ---- what must hold

// The bytes of one moment each; which moments may differ, since the buffer is copied in pieces.
static void expect_bytes(const struct actor *actor, uint64_t message)
{
    for (uint32_t i = 0; i < MSG_BYTES(message) && i < BYTES_MAX; i++) {
        bool stood = false;
        for (unsigned v = 0; v < version_count; v++)
            stood |= actor->thread->message->data[i] == versions[v].filler;
        FUZZ_EXPECT(stood);
    }
}

// Each handle is one that stood in its place, may be transferred, arrived once and has left.
static void expect_handles(const struct actor *from, const struct actor *to, uint64_t message)
{
    unsigned arrived = 0;
    for (uint32_t i = 0; i < MSG_HANDLES(message); i++) {
        unsigned event = event_behind(to, handle_of(to, i));
        bool stood = false;
        FUZZ_EXPECT(event + 1 < EVENTS && !(arrived >> event & 1));
        for (unsigned v = 0; v < version_count; v++)
            stood |= versions[v].handles[i] == events[event];
        FUZZ_EXPECT(stood && !is_held(from, events[event]));
        arrived |= 1u << event;
    }
}

static unsigned held_events(const struct actor *actor)
{
    unsigned held = 0;
    for (unsigned i = 0; i < EVENTS; i++)
        held += is_held(actor, events[i]);
    return held;
}

// ---- steps

// Takes what is queued; nobody changes the buffer now.
static struct outcome take(void)
{
    struct outcome out = CALL(receiver, CHANNEL_RECEIVE, ends.end1, 0);
    if (out.status == STATUS_OK) {
        expect_bytes(receiver, out.value[0]);
        expect_handles(sender, receiver, out.value[0]);
    }
    return out;
}

static void send(uint64_t message)
{
    unsigned before = held_events(sender);
    begin_writing(sender);
    status_t status = CALL(sender, CHANNEL_SEND, ends.end0, message, 0).status;
    end_writing();
    FUZZ_EXPECT(held_events(sender) == before - (status == STATUS_OK ? MSG_HANDLES(message) : 0));
    FUZZ_EXPECT((take().status == STATUS_OK) == (status == STATUS_OK));
}

// The queue is full, and the buffer changes while room is made: handles were read at the call, the
// bytes are read when there is room.
static void blocked_send(uint64_t message)
{
    unsigned before = held_events(sender);
    MUST(sender, CHANNEL_SEND, ends.end0, 0, 0);
    begin_writing(sender);
    status_t status = CALL(sender, CHANNEL_SEND, ends.end0, message, ABI_DEADLINE_NEVER).status;
    EXPECT_CALL(OK, receiver, CHANNEL_RECEIVE, ends.end1, 0);
    end_writing();
    if (status == STATUS_BLOCKED) {
        EXPECT_STATUS(ended(sender).status, OK);
        FUZZ_EXPECT(held_events(sender) == before - MSG_HANDLES(message));
        EXPECT_STATUS(take().status, OK);
    } else {
        FUZZ_EXPECT(held_events(sender) == before);
        EXPECT_STATUS(take().status, TIMED_OUT);
    }
}

static void call_it(uint64_t message)
{
    unsigned before = held_events(sender);
    begin_writing(sender);
    status_t status = CALL(sender, CHANNEL_CALL, ends.end0, message, ABI_DEADLINE_NEVER).status;
    end_writing();
    if (status != STATUS_BLOCKED) {
        FUZZ_EXPECT(held_events(sender) == before);
        return;
    }
    struct outcome out = take();
    EXPECT_STATUS(out.status, OK);
    EXPECT_CALL(OK, receiver, CHANNEL_REPLY, ends.end1, out.value[1], 0);
    EXPECT_STATUS(ended(sender).status, OK);
}

// The sender answers a call of the receiver's, whose buffer is the one that it reads the answer from.
static void reply(uint64_t message, bool receives)
{
    unsigned before = held_events(sender);
    uint64_t call = MSG(0, 0) | (uint64_t)HANDLES << MSG_REPLY_HANDLES_SHIFT;
    EXPECT_STATUS(CALL(receiver, CHANNEL_CALL, ends.end1, call, ABI_DEADLINE_NEVER).status,
                  BLOCKED);
    uint64_t token = CALL(sender, CHANNEL_RECEIVE, ends.end0, 0).value[1];
    begin_writing(sender);
    status_t status = STATUS_OK;
    if (receives) // on no port: it is answered all the same
        (void)CALL(sender, CHANNEL_REPLY_RECEIVE, ends.end0, token, message, sender->account, 0);
    else
        status = CALL(sender, CHANNEL_REPLY, ends.end0, token, message).status;
    end_writing();
    if (has_ended(receiver)) {
        EXPECT_STATUS(ended(receiver).status, OK);
        FUZZ_EXPECT(ended(receiver).value[0] == message);
        expect_bytes(receiver, message);
        expect_handles(sender, receiver, message);
        FUZZ_EXPECT(held_events(sender) == before - MSG_HANDLES(message));
        return;
    }
    FUZZ_EXPECT(receives || status != STATUS_OK);
    FUZZ_EXPECT(held_events(sender) == before);
    EXPECT_CALL(OK, sender, CHANNEL_REPLY, ends.end0, token, 0);
}

// What the kernel writes into the buffer it never reads again.
static void others(enum what what, uint64_t message)
{
    begin_writing(sender);
    if (what == WRITE_LOG)
        EXPECT_CALL(OK, sender, LOG_WRITE, log_handle, 1 + MSG_BYTES(message));
    else
        EXPECT_CALL(OK, sender, OBJECT_INSPECT, sender->own_process);
    end_writing();
}

// Those that were received go back, as new handles.
static void give_back(void)
{
    for (uint32_t slot = 0; slot < HANDLES_PER_PAGE; slot++) {
        const struct handle_entry *entry = &receiver->process->pages[0][slot];
        uint64_t handle = entry->tag >> 2 << 32 | slot;
        unsigned event = (entry->tag & 3) == HANDLE_LIVE ? event_behind(receiver, handle) : EVENTS;
        if (event == EVENTS)
            continue;
        events[event] = grant(sender, receiver, handle);
        MUST(receiver, HANDLE_CLOSE, handle);
    }
}

static void one_step(struct input *record)
{
    enum what what = (enum what)input_below(record, WHATS);
    uint64_t message = MSG(input_below(record, BYTES_MAX + 1), input_below(record, HANDLES + 1));
    draw_versions(record);
    switch (what) {
    case SEND:
        send(message);
        break;
    case BLOCKED_SEND:
        blocked_send(message);
        break;
    case CALL_IT:
        call_it(message);
        break;
    case REPLY:
    case REPLY_RECEIVE:
        reply(message, what == REPLY_RECEIVE);
        break;
    case WRITE_LOG:
    case INSPECT:
    case WHATS:
        others(what, message);
        break;
    }
    give_back();
}

void fuzz_begin(void)
{
    kernel_begin();
    sender = spawn(new_account(40, 40), 10);
    receiver = spawn_on(1, new_account(40, 40), 10);
    struct outcome made = CALL(sender, CHANNEL_CREATE, sender->account, sender->account,
                               ABI_CHANNEL_SHAPE(1, BYTES_MAX, HANDLES, 1), OVERFLOW_BLOCK);
    ends.end0 = made.value[0];
    ends.end1 = grant(receiver, sender, made.value[1]);
    MUST(sender, HANDLE_CLOSE, made.value[1]);
    log_handle = grant(sender, world.boss, world.log);
    for (unsigned i = 0; i < EVENTS; i++) {
        uint64_t event = MUST(sender, EVENT_CREATE, sender->account);
        uint32_t rights = i + 1 < EVENTS ? RIGHTS_EVENT : RIGHTS_EVENT & ~(uint32_t)RIGHT_TRANSFER;
        events[i] = grant_rights(sender, sender, event, rights);
        event_objects[i] = object_behind(sender, event);
        MUST(sender, HANDLE_CLOSE, event);
    }
    kernel_ready();
}

void fuzz_one(const uint8_t *data, size_t bytes)
{
    struct input input = {.data = data, .bytes = bytes}, record;
    static uint64_t first[EVENTS];
    if (first[0] == 0)
        memcpy(first, events, sizeof events);
    memcpy(events, first, sizeof events);
    kernel_restore();
    for (unsigned step = 0; step < STEPS_MAX && input_record(&input, RECORD, &record); step++)
        one_step(&record);
    kernel_end();
}

size_t fuzz_mutate(uint8_t *data, size_t bytes, size_t room, struct dice *dice)
{
    return mutate_records(data, bytes, room, RECORD, dice);
}
