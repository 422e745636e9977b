// SPDX-License-Identifier: MIT
//
// The console as the shell sees it. See shell.h. A console that dies and comes back costs what
// it had not printed yet, and nothing else.
#include "shell.h"

#include <stdarg.h>

#include <proto/console.h>

constexpr unsigned ATTEMPTS = 3;
constexpr size_t GATHER_BYTES = sizeof(((struct console_write_request *)nullptr)->text);

struct terminal output;

static uint8_t gathered[GATHER_BYTES];
static size_t gathered_bytes;

status_t terminal_open(struct terminal *terminal)
{
    if (terminal->end.value != 0)
        handle_close((handle_t){terminal->end.value});
    return service_connect("console", ABI_DEADLINE_NEVER, &terminal->end);
}

static status_t write_part(struct terminal *terminal, const uint8_t *text, size_t bytes)
{
    struct console_write_request request;
    request.text_bytes = (uint32_t)bytes;
    memcpy(request.text, text, bytes);
    status_t status = STATUS_PEER_CLOSED;
    for (unsigned i = 0; i < ATTEMPTS && status == STATUS_PEER_CLOSED; i++) {
        if (terminal->end.value != 0)
            status = console_write(terminal->end, &request, ABI_DEADLINE_NEVER);
        if (status == STATUS_PEER_CLOSED && terminal_open(terminal) != STATUS_OK)
            break;
    }
    return status;
}

status_t terminal_write(struct terminal *terminal, const void *text, size_t bytes)
{
    status_t status = STATUS_OK;
    for (size_t at = 0; at < bytes && status == STATUS_OK;) {
        size_t part = bytes - at < GATHER_BYTES ? bytes - at : GATHER_BYTES;
        status = write_part(terminal, (const uint8_t *)text + at, part);
        at += part;
    }
    return status;
}

void terminal_flush(struct terminal *terminal)
{
    if (terminal->end.value != 0)
        (void)console_flush(terminal->end, now_ns() + 5 * NS_PER_S);
}

void print_done(void)
{
    if (gathered_bytes != 0)
        (void)terminal_write(&output, gathered, gathered_bytes);
    gathered_bytes = 0;
}

void print_bytes(const void *text, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        size_t part = GATHER_BYTES - gathered_bytes;
        part = bytes - at < part ? bytes - at : part;
        memcpy(gathered + gathered_bytes, (const uint8_t *)text + at, part);
        gathered_bytes += part;
        at += part;
        if (gathered_bytes == GATHER_BYTES)
            print_done();
    }
}

void print(const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_text_v(text, sizeof(text), format, arguments);
    va_end(arguments);
    print_bytes(text, length < sizeof(text) ? length : sizeof(text) - 1);
}
