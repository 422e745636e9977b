// SPDX-License-Identifier: MIT
//
// The log ring and klog. See log.h.
#include "log.h"

#include <hal/hal.h>
#include <lib/format.h>
#include <lib/string.h>
#include <stdarg.h>

#include "clock.h"
#include "handlers.h"
#include "process.h"
#include "thread.h"

constexpr uint64_t LOG_BYTES = 32 * 1024;
constexpr size_t LINE_MAX = 320;
constexpr uint64_t WRITE_MAX = 256;

static struct {
    struct spinlock lock;
    char ring[LOG_BYTES] GUARDED_BY(&lock);
    uint64_t end GUARDED_BY(&lock);  // all that was ever written
    bool released GUARDED_BY(&lock); // a driver owns the console
    bool ready;                      // written once at boot
    _Atomic bool emergency;          // a panic takes no lock
} ring;

void log_init(void)
{
    lock_init(&ring.lock, RANK_LOG);
    ring.ready = true;
}

void log_release_console(void)
{
    lock_acquire(&ring.lock);
    ring.released = true;
    lock_release(&ring.lock);
}

void log_emergency(void)
{
    ring.emergency = true;
}

static void append(const char *text, size_t bytes) NO_THREAD_SAFETY
{
    bool locked = ring.ready && !ring.emergency;
    if (locked)
        lock_acquire(&ring.lock);
    for (size_t i = 0; i < bytes; i++)
        ring.ring[ring.end++ % LOG_BYTES] = text[i];
    if (hal.console && (!ring.released || ring.emergency))
        hal.console->write(text, bytes);
    if (locked)
        lock_release(&ring.lock);
}

// "[   1.234567] " in front of a line.
static size_t stamp(char *line, size_t size)
{
    uint64_t us = hal.clock && ring.ready ? time_now_ns() / 1000 : 0;
    return format_text(line, size, "[%4lu.%06lu] ", (unsigned long)(us / 1'000'000),
                       (unsigned long)(us % 1'000'000));
}

void klog(const char *format, ...)
{
    char line[LINE_MAX];
    size_t length = stamp(line, sizeof line);
    va_list arguments;
    va_start(arguments, format);
    size_t written = format_text_v(line + length, sizeof line - length - 1, format, arguments);
    va_end(arguments);
    length += written;
    if (length > sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    append(line, length);
}

status_t sys_log_write(struct entry *entry, const struct handle_lookup *log, uint64_t bytes)
{
    (void)log;
    if (bytes == 0 || bytes > WRITE_MAX)
        return STATUS_INVALID;
    char line[LINE_MAX];
    size_t length = stamp(line, sizeof line);
    for (uint64_t i = 0; i < bytes; i++) {
        uint8_t c = entry->thread->message->data[i];
        line[length++] = c >= ' ' && c < 127 ? (char)c : ' '; // one line, nothing a terminal obeys
    }
    line[length++] = '\n';
    append(line, length);
    return STATUS_OK;
}

status_t sys_log_read(struct entry *entry, const struct handle_lookup *log, uint64_t cursor)
{
    (void)log;
    if (!SEEDED_BUG("D log"))
        lock_acquire(&ring.lock);
    uint64_t oldest = ring.end > LOG_BYTES ? ring.end - LOG_BYTES : 0;
    uint64_t from = cursor < oldest ? oldest : cursor > ring.end ? ring.end : cursor;
    uint64_t bytes = ring.end - from;
    if (bytes > ABI_MESSAGE_BYTES)
        bytes = ABI_MESSAGE_BYTES;
    uint64_t at = from % LOG_BYTES, first = bytes < LOG_BYTES - at ? bytes : LOG_BYTES - at;
    memcpy(entry->thread->message->data, ring.ring + at, first);
    memcpy(entry->thread->message->data + first, ring.ring, bytes - first);
    if (!SEEDED_BUG("D log"))
        lock_release(&ring.lock);
    entry->result[0] = bytes;
    entry->result[1] = from + bytes;
    return STATUS_OK;
}
