// SPDX-License-Identifier: MIT
//
// Output. Everything goes through one ring; a write that does not fit waits in a slot with its
// text, and its client with it, so nothing is dropped and no client can fill our memory. The
// log has no slot: it stays in the kernel until there is room for it.
#include "console.h"

#include <proto/init.h>

constexpr uint32_t RING_BYTES = 16384;
constexpr unsigned CALLS_MAX = 4; // outstanding calls per connection, as in system.toml
constexpr unsigned WAITING_MAX = CONNECTIONS_MAX * CALLS_MAX;
constexpr unsigned PUMP_MAX = 512; // bytes handed to the chip in one turn
constexpr uint64_t FLUSH_TURN_NS = NS_PER_MS;
constexpr uint32_t LOG_MARKS = 64; // bytes around a piece of the log

struct waiting {
    struct wire_call call;
    uint32_t bytes;
    bool flush;
    uint8_t text[sizeof(((struct console_write_request *)nullptr)->text)];
};

static uint8_t ring_bytes[RING_BYTES];
static struct byte_ring ring = {ring_bytes, RING_BYTES, 0, 0};

// Slots in the order of arrival: a queue whose positions run freely.
static struct waiting waiting[WAITING_MAX];
static uint32_t waiting_head, waiting_tail;

static uint64_t log_cursor;
static bool log_new;
static bool middle_of_line;

static void put_byte(uint8_t byte)
{
    if (byte == '\n')
        byte_ring_put(&ring, '\r');
    byte_ring_put(&ring, byte);
    middle_of_line = byte != '\n' && byte != '\r';
}

static void put_text(const uint8_t *text, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        put_byte(text[i]);
}

static bool fits(uint32_t bytes)
{
    return byte_ring_room(&ring) / 2 >= bytes; // every byte may become two
}

static status_t wait_in_slot(struct wire_call call, const uint8_t *text, uint32_t bytes, bool flush)
{
    if (waiting_tail - waiting_head == WAITING_MAX)
        return STATUS_FULL; // more calls than the channels of the manifest can have
    struct waiting *w = &waiting[waiting_tail++ % WAITING_MAX];
    w->call = call;
    w->bytes = bytes;
    w->flush = flush;
    memcpy(w->text, text, bytes);
    return WIRE_DEFERRED;
}

status_t output_write(struct wire_call call, const uint8_t *text, uint32_t bytes)
{
    if (waiting_head != waiting_tail || !fits(bytes))
        return wait_in_slot(call, text, bytes, false);
    put_text(text, bytes);
    return STATUS_OK;
}

status_t output_flush(struct wire_call call)
{
    return wait_in_slot(call, nullptr, 0, true);
}

void output_client_gone(channel_t end)
{
    for (uint32_t i = waiting_head; i != waiting_tail; i++)
        if (waiting[i % WAITING_MAX].call.end.value == end.value)
            waiting[i % WAITING_MAX].call.end.value = 0; // its text is still printed
}

static bool drained(void)
{
    return byte_ring_used(&ring) == 0 && console.uart.chip->idle(&console.uart);
}

// The first in the queue, if it can be done now.
static bool serve_waiting(void)
{
    if (waiting_head == waiting_tail)
        return false;
    struct waiting *w = &waiting[waiting_head % WAITING_MAX];
    if (w->flush ? !drained() : !fits(w->bytes))
        return false;
    put_text(w->text, w->bytes);
    if (w->call.end.value != 0)
        (void)wire_answer_status(w->call, STATUS_OK);
    waiting_head++;
    return true;
}

// ---- the log

static void remember(void)
{
    struct init_remember_notice notice = {.word = log_cursor};
    (void)init_remember(start.bootstrap, &notice);
}

// Where the incarnation before stopped; at the first start, behind what the kernel printed.
void output_log_start(void)
{
    uint64_t bytes = 0;
    log_cursor = start.remembered;
    log_new = log_cursor != 0;
    while (!log_new && log_read(start.log, log_cursor, &bytes, &log_cursor) == STATUS_OK &&
           bytes != 0)
        ;
    remember();
}

void output_log_changed(void)
{
    log_new = true;
}

// Lines of the log stand apart: on lines of their own, dimmed, and between marks by which the
// run tool keeps them out of a command's output.
static void put_log(const char *text, uint32_t bytes)
{
    static const char begin[] = "\x1b]skerry;log\a\x1b[2m", end[] = "\x1b[0m\x1b]skerry;end\a\n";
    bool in_line = middle_of_line;
    put_text((const uint8_t *)begin, sizeof(begin) - 1);
    if (in_line)
        put_byte('\n');
    put_text((const uint8_t *)text, text[bytes - 1] == '\n' ? bytes - 1 : bytes);
    put_text((const uint8_t *)end, sizeof(end) - 1);
}

// Prints what is new in the log, as long as there is ample room.
static void serve_log(void)
{
    bool was_in_line = middle_of_line, printed = false;
    while (log_new && fits(ABI_MESSAGE_BYTES + LOG_MARKS)) {
        uint64_t bytes = 0;
        if (log_read(start.log, log_cursor, &bytes, &log_cursor) != STATUS_OK || bytes == 0 ||
            bytes > ABI_MESSAGE_BYTES) {
            log_new = false;
            break;
        }
        const char *text = (const char *)message_buffer()->data;
        uint32_t whole = (uint32_t)bytes;
        while (whole > 0 && text[whole - 1] != '\n') // a line that is cut comes next time
            whole--;
        if (whole == 0)
            whole = (uint32_t)bytes;
        log_cursor -= bytes - whole;
        put_log(text, whole);
        printed = true;
    }
    if (!printed)
        return;
    remember();
    if (was_in_line)
        input_redraw();
}

// ---- the line

static void transmit(void)
{
    struct uart *uart = &console.uart;
    for (unsigned sent = 0; sent < PUMP_MAX && byte_ring_used(&ring) != 0;) {
        unsigned room = uart->chip->room(uart);
        if (room == 0)
            return;
        for (; room > 0 && byte_ring_used(&ring) != 0; room--, sent++)
            uart->chip->transmit(uart, byte_ring_take(&ring));
    }
}

void output_pump(void)
{
    do {
        serve_log();
        transmit();
    } while (serve_waiting());
    transmit();
}

bool output_wants_room(void)
{
    return byte_ring_used(&ring) != 0;
}

uint64_t output_deadline(void)
{
    bool flushing = waiting_head != waiting_tail && waiting[waiting_head % WAITING_MAX].flush;
    return flushing && byte_ring_used(&ring) == 0 ? now_ns() + FLUSH_TURN_NS : ABI_DEADLINE_NEVER;
}
