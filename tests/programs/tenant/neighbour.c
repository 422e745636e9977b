// SPDX-License-Identifier: MIT
//
// The neighbour: the client on each CPU calls the server's thread on the next one, with words that follow
// from one number; the server answers with others that follow from them.
#include "tenant.h"

constexpr uint32_t WORDS = 16;

static channel_t ends[CPUS_MOST];
static uint64_t cpus;

uint64_t mixed(uint64_t value)
{
    value = (value ^ value >> 29) * 0x9e37'79b9'7f4a'7c15;
    return value ^ value >> 32;
}

static void fill(uint64_t *words, uint64_t first)
{
    for (uint32_t i = 0; i < WORDS; i++)
        words[i] = first = mixed(first + i);
}

static bool right(const uint64_t *words, uint64_t first)
{
    for (uint32_t i = 0; i < WORDS; i++) {
        first = mixed(first + i);
        if (words[i] != first)
            return false;
    }
    return true;
}

static void serve(void *argument)
{
    channel_t end = ends[(uintptr_t)argument];
    uint64_t words[WORDS], message, token;
    for (;;) {
        must(channel_receive(end, ABI_DEADLINE_NEVER, &message, &token), "channel_receive");
        memcpy(words, message_buffer()->data, sizeof(words));
        uint64_t sum = MSG_BYTES(message);
        for (uint32_t i = 0; i < WORDS; i++)
            sum = mixed(sum ^ words[i]);
        fill(words, sum);
        memcpy(message_buffer()->data, words, sizeof(words));
        must(channel_reply(end, token, MSG(sizeof(words), 0)), "channel_reply");
        relax();
    }
}

static void ask(void *argument)
{
    const uintptr_t number = (uintptr_t)argument;
    uint64_t words[WORDS], message;
    for (uint64_t n = number;; n++) {
        fill(words, n);
        uint64_t sum = sizeof(words);
        for (uint32_t i = 0; i < WORDS; i++)
            sum = mixed(sum ^ words[i]);
        memcpy(message_buffer()->data, words, sizeof(words));
        must(channel_call(ends[number], MSG(sizeof(words), 0), ABI_DEADLINE_NEVER, &message),
             "channel_call");
        memcpy(words, message_buffer()->data, sizeof(words));
        bool is_right = MSG_BYTES(message) == sizeof(words) && right(words, sum);
        board->clients[number].wrong += !is_right;
        board->clients[number].trips++;
        relax();
    }
}

// Strangers are served from a share of the desk's own, so that what they send costs nobody else.
static void serve_strangers(void)
{
    uint64_t message, token;
    for (;;) {
        must(channel_receive(ends[0], ABI_DEADLINE_NEVER, &message, &token), "channel_receive");
        for (uint32_t i = 0; i < MSG_HANDLES(message); i++)
            handle_close((handle_t){message_buffer()->handles[i]});
        (void)channel_reply(ends[0], token, MSG(0, 0)); // whoever sent it may be gone
    }
}

void neighbour_main(enum part part)
{
    cpus = child_start.words[1];
    uint64_t handles[CPUS_MOST + 1];
    uint32_t count = part == PART_DESK ? 1 : (uint32_t)cpus;
    receive_handles(handles, count + 1);
    board_map((vmo_t){handles[0]});
    for (uint32_t i = 0; i < count; i++)
        ends[i].value = handles[i + 1];
    if (part == PART_DESK)
        serve_strangers();
    for (uint64_t i = 0; i < cpus; i++) {
        thread_t thread;
        must(thread_spawn(part == PART_SERVER ? serve : ask, (void *)(uintptr_t)i,
                          NEIGHBOUR_PRIORITY, &thread),
             "thread_spawn");
        must(thread_set_cpu(thread, (i + (part == PART_SERVER)) % cpus), "thread_set_cpu");
    }
    (void)thread_sleep(ABI_DEADLINE_NEVER);
}
