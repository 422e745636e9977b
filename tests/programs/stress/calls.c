// SPDX-License-Identifier: MIT
//
// A server and a client for each CPU, all in one process: every client talks to every server, so
// that calls go between all pairs of CPUs. Each payload is checked on both sides, one-way
// messages arrive once and in order, and a handle that was sent is still to the same object.
#include "stress.h"

constexpr uint32_t WORDS_MOST = 24;
constexpr uint64_t SHAPE = ABI_CHANNEL_SHAPE(32, WORDS_MOST * 8, 1, 32);
constexpr uint32_t SIGNED = 1u << 15; // raised by the server on an event that it was lent

enum kind : uint64_t { CALL, SEND };

// Word 0 of each message; the others follow from it.
struct head {
    uint64_t client : 8, kind : 8, words : 8, sequence : 40;
};
static_assert(sizeof(struct head) == 8);

static struct server {
    channel_t client_end, server_end;
    port_t port;
    uint64_t seen[CPUS_MOST]; // the last message of each client
} servers[CPUS_MOST];
static uint64_t sequences[CPUS_MOST][CPUS_MOST]; // by client and server; the client's own

static uint64_t word_of(uint64_t head, uint32_t i)
{
    return (head ^ i) * 0x9e37'79b9'7f4a'7c15;
}

static void fill(uint64_t *words, uint64_t head, uint32_t count)
{
    words[0] = head;
    for (uint32_t i = 1; i < count; i++)
        words[i] = word_of(head, i);
}

static bool right(const uint64_t *words, uint64_t head, uint32_t count)
{
    bool same = words[0] == head;
    for (uint32_t i = 1; i < count; i++)
        same = same && words[i] == word_of(head, i);
    return same;
}

// ---- servers

// What came is what its head says, and follows on what came before. The reply, in the buffer, is
// its complement.
static uint64_t serve(struct server *server, uint64_t message)
{
    uint64_t words[WORDS_MOST];
    memcpy(words, message_buffer()->data, sizeof(words));
    struct head head;
    memcpy(&head, words, sizeof(head));
    uint32_t count = head.words < WORDS_MOST ? head.words : WORDS_MOST;
    if (MSG_BYTES(message) != count * 8 || !right(words, words[0], count) ||
        head.client >= board->cpus || ((message & MSG_CALL) != 0) != (head.kind == CALL))
        WRONG("a server received what nobody sent: 0x%lx, %u bytes", words[0], MSG_BYTES(message));
    else if (head.sequence != ++server->seen[head.client])
        WRONG("message %lu of client %lu came as number %lu", (uint64_t)head.sequence,
              (uint64_t)head.client, server->seen[head.client]);
    uint32_t before = 0, handles = MSG_HANDLES(message);
    if (handles != 0) {
        sure(event_signal((event_t){message_buffer()->handles[0]}, SIGNED), "signalling a gift");
        sure(event_clear((event_t){message_buffer()->handles[0]}, 0x7fff, &before), "event_clear");
        if (before != (SIGNED | (head.sequence & 0x7fff)))
            WRONG("a handle that was sent names another object: 0x%x", before);
        if ((message & MSG_CALL) == 0)
            sure(handle_close((handle_t){message_buffer()->handles[0]}), "closing a gift");
    }
    fill((uint64_t *)message_buffer()->data, ~words[0], count);
    return MSG(count * 8, handles);
}

// Servers of even number receive and reply by one call on a port, the others by two.
static void serve_all(struct worker *worker)
{
    struct server *server = &servers[worker->number];
    uint64_t key, message = 0, token = 0, reply = 0;
    uint32_t signals;
    for (bool answers = false;;) {
        status_t status;
        bool by_port = worker->number % 2 == 0;
        if (by_port && answers)
            status = channel_reply_receive(server->server_end, token, reply, server->port,
                                           ABI_DEADLINE_NEVER, &key, &signals, &message, &token);
        else if (by_port)
            status =
                port_receive(server->port, ABI_DEADLINE_NEVER, &key, &signals, &message, &token);
        else
            status = channel_receive(server->server_end, ABI_DEADLINE_NEVER, &message, &token);
        sure(status, "receiving");
        if ((message & MSG_REPLY_FAILED) != 0)
            WRONG("a reply failed");
        reply = serve(server, message & ~MSG_REPLY_FAILED);
        answers = (message & MSG_CALL) != 0;
        if (answers && !by_port)
            sure(channel_reply(server->server_end, token, reply), "channel_reply");
        worker_turn(worker, by_port || !answers ? 1 : 2);
        if (random_below(&worker->dice, 64) == 0)
            move_somewhere(worker, worker->self);
    }
}

// ---- clients

static uint64_t lend(struct worker *worker, uint64_t sequence)
{
    event_t event;
    sure(event_create(start.account, &event), "event_create");
    if ((sequence & 0x7fff) != 0)
        sure(event_signal(event, sequence & 0x7fff), "event_signal");
    worker_turn(worker, 2);
    return event.value;
}

static void take_back(void)
{
    uint32_t before;
    event_t event = {message_buffer()->handles[0]};
    sure(event_clear(event, SIGNED, &before), "clearing what came back");
    if ((before & SIGNED) == 0)
        WRONG("what came back was not signed: 0x%x", before);
    sure(handle_close((handle_t){event.value}), "handle_close");
    tally(HANDLES_MOVED, 2);
}

static void ask(struct worker *worker)
{
    uint32_t to = (uint32_t)random_below(&worker->dice, board->cpus);
    uint64_t dice = random_next(&worker->dice);
    enum kind kind = dice % 8 == 0 ? SEND : CALL;
    bool gift = (dice >> 8 & 7) == 0;
    uint32_t count = 1 + (uint32_t)(dice >> 16) % WORDS_MOST;
    uint64_t *sequence = &sequences[worker->number][to];
    struct head head = {
        .client = worker->number, .kind = kind, .words = count, .sequence = *sequence + 1};
    uint64_t word, event = gift ? lend(worker, *sequence + 1) : 0, reply = 0;
    memcpy(&word, &head, sizeof(word));
    struct abi_message_buffer *buffer = message_buffer();
    status_t status;
    do { // FULL: everybody else is faster
        fill((uint64_t *)buffer->data, word, count);
        buffer->handles[0] = event;
        uint64_t message = MSG(count * 8, gift);
        status = kind == SEND
                     ? channel_send(servers[to].client_end, message, 0)
                     : channel_call(servers[to].client_end, MSG_WITH_REPLY_HANDLES(message, gift),
                                    ABI_DEADLINE_NEVER, &reply);
        worker_turn(worker, 1);
        if (status == STATUS_FULL)
            sure(thread_sleep(now_ns() + NS_PER_MS / 10), "thread_sleep");
    } while (status == STATUS_FULL);
    sure(status, kind == SEND ? "channel_send" : "channel_call");
    ++*sequence;
    if (kind == SEND) {
        tally(MESSAGES_SENT, 1);
        tally(HANDLES_MOVED, gift);
        return;
    }
    if (MSG_BYTES(reply) != count * 8 || MSG_HANDLES(reply) != gift ||
        !right((const uint64_t *)buffer->data, ~word, count))
        WRONG("a call got another one's reply: 0x%lx to 0x%lx", *(uint64_t *)buffer->data, word);
    tally(CALLS_ANSWERED, 1);
    if (gift)
        take_back();
}

static void ask_all(struct worker *worker)
{
    for (;;) {
        ask(worker);
        if (random_below(&worker->dice, 64) == 0)
            move_somewhere(worker, worker->self);
    }
}

void calls_main(void)
{
    uint32_t cpus = (uint32_t)board->cpus;
    for (uint32_t i = 0; i < cpus; i++) {
        struct server *server = &servers[i];
        sure(channel_create(start.account, start.account, SHAPE, OVERFLOW_REJECT,
                            &server->client_end, &server->server_end),
             "channel_create");
        if (i % 2 == 0) {
            sure(port_create(start.account, &server->port), "port_create");
            sure(port_bind(server->port, (handle_t){server->server_end.value}, 0, SIGNAL_READABLE),
                 "port_bind");
        }
        worker_start(serve_all, "server", i, LOAD_PRIORITY + 1, i);
    }
    for (uint32_t i = 0; i < cpus; i++)
        worker_start(ask_all, "client", i, LOAD_PRIORITY, i);
    sure(thread_sleep(ABI_DEADLINE_NEVER), "thread_sleep");
}
