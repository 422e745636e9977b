// SPDX-License-Identifier: MIT
//
// Reporting, pseudo-random numbers and figures. See kit.h.
#include "kit.h"

#include <stdarg.h>

uint32_t failures;

static void say_v(const char *prefix, const char *format, va_list arguments)
{
    constexpr size_t LINE = 256; // what log_write takes
    // From a copy: the message buffer may be under attack by another thread.
    char line[LINE];
    size_t length = format_text(line, LINE, "%s: %s", program_name, prefix);
    length += format_text_v(line + length, LINE - length, format, arguments);
    length = length < LINE ? length : LINE - 1;
    memcpy(message_buffer()->data, line, length);
    log_write(start.log, length);
}

void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say_v("", format, arguments);
    va_end(arguments);
}

void failed(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say_v("FAIL ", format, arguments);
    va_end(arguments);
    failures++;
}

void give_up(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say_v("FAIL ", format, arguments);
    va_end(arguments);
    if (start.machine.value != 0) {
        say("END %u", failures + 1);
        machine_power(start.machine, POWER_OFF);
    }
    process_exit(1);
}

void must(status_t status, const char *what)
{
    if (status != STATUS_OK)
        give_up("%s: %s", what, status_name(status));
}

uint64_t command_line_number(const char *name, uint64_t otherwise)
{
    uint64_t bytes;
    must(machine_info(start.machine, &bytes), "machine_info");
    const struct abi_machine_info *info = (const void *)message_buffer()->data;
    size_t length = strlen(name);
    for (const char *at = info->command_line; *at != 0; at++) {
        bool begins = at == info->command_line || at[-1] == ' ';
        if (!begins || strncmp(at, name, length) != 0 || at[length] != '=')
            continue;
        uint64_t value = 0;
        for (at += length + 1; *at >= '0' && *at <= '9'; at++)
            value = value * 10 + (uint64_t)(*at - '0');
        return value;
    }
    return otherwise;
}

// splitmix64, of which every state is good.
uint64_t random_next(struct random *random)
{
    uint64_t z = random->state += 0x9e37'79b9'7f4a'7c15;
    z = (z ^ z >> 30) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ z >> 27) * 0x94d0'49bb'1331'11eb;
    return z ^ z >> 31;
}

uint64_t random_below(struct random *random, uint64_t limit)
{
    return random_next(random) % limit;
}

void inspect(uint64_t handle, struct abi_inspect *out)
{
    uint64_t bytes;
    must(object_inspect((handle_t){handle}, &bytes), "object_inspect");
    memcpy(out, message_buffer()->data, sizeof(*out));
}

void figures_take(struct figures *figures)
{
    struct abi_inspect found;
    inspect(start.account.value, &found);
    uint64_t bytes;
    must(machine_info(start.machine, &bytes), "machine_info");
    const struct abi_machine_info *info = (const void *)message_buffer()->data;
    *figures = (struct figures){
        .pages_used = found.account.pages_used,
        .pages_children = found.account.pages_children,
        .objects_used = found.account.objects_used,
        .objects_children = found.account.objects_children,
        .contiguous_used = found.account.contiguous_used,
        .contiguous_children = found.account.contiguous_children,
        .quarantined = found.account.quarantined_pages,
        .frames_free = info->pages_free,
        .slots_free = info->objects_free,
    };
}

bool figures_equal(const struct figures *a, const struct figures *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

void figures_say(const char *what, const struct figures *figures)
{
    say("%s: pages used %lu children %lu free %lu quarantined %lu, contiguous used %lu children "
        "%lu, objects used %lu children %lu free %lu",
        what, figures->pages_used, figures->pages_children, figures->frames_free,
        figures->quarantined, figures->contiguous_used, figures->contiguous_children,
        figures->objects_used, figures->objects_children, figures->slots_free);
}
