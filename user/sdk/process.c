// SPDX-License-Identifier: MIT
//
// What every program has: its start handles, the clock, the log, a way to give up. See start.h.
#include <sdk/start.h>

#include <lib/format.h>
#include <lib/string.h>
#include <proto/errors.h>
#include <proto/init.h>
#include <sdk/thread.h>

constexpr size_t LOG_LINE_BYTES = 256; // what log_write takes

struct start start;

uint64_t now_ns(void)
{
    uint64_t now;
    clock_read(&now);
    return now;
}

static void log_v(const char *format, va_list arguments)
{
    char *line = (char *)message_buffer()->data;
    size_t length = format_text(line, LOG_LINE_BYTES, "%s: ", start.name);
    length += format_text_v(line + length, LOG_LINE_BYTES - length, format, arguments);
    log_write(start.log, length < LOG_LINE_BYTES ? length : LOG_LINE_BYTES - 1);
    if (start.bootstrap.value != 0) // init itself has none
        (void)init_logged(start.bootstrap);
}

void log_line(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_v(format, arguments);
    va_end(arguments);
}

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_v(format, arguments);
    va_end(arguments);
    process_exit(1);
}

const char *status_name(status_t status)
{
    if (status < STATUS_COUNT)
        return abi_status_names[status];
    for (size_t i = 0; i < sizeof(protocol_errors) / sizeof(protocol_errors[0]); i++)
        if (protocol_errors[i].status == status)
            return protocol_errors[i].name;
    return "an unknown error";
}
