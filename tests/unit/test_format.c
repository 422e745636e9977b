// SPDX-License-Identifier: MIT
//
// lib/format.c against the host's printf, and its bounds.
#include <lib/format.h>

#include <limits.h>
#include <stdint.h>

#include "test.h"

#define SAME(...)                                                             \
    do {                                                                      \
        char want[256], got[256];                                             \
        int length = snprintf(want, sizeof(want), __VA_ARGS__);               \
        EXPECT((int)format_text(got, sizeof(got), __VA_ARGS__) == length);    \
        EXPECT_NOTE(strcmp(want, got) == 0, "want [%s] got [%s]", want, got); \
    } while (false)

TEST(numbers_as_printf)
{
    const long values[] = {0, 1, -1, 9, 10, 255, -256, INT_MAX, INT_MIN, LONG_MAX, LONG_MIN};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        long v = values[i];
        SAME("%ld|%5ld|%-5ld|%05ld|%.3ld|%8.3ld", v, v, v, v, v, v);
        SAME("%lu|%lx|%lX|%016lx|%-20lx|%20lu", (unsigned long)v, (unsigned long)v,
             (unsigned long)v, (unsigned long)v, (unsigned long)v, (unsigned long)v);
        SAME("%d %u %x %hd %hu %hhd %hhu %zu", (int)v, (unsigned)v, (unsigned)v, (short)v,
             (unsigned short)v, (signed char)v, (unsigned char)v, (size_t)v);
        SAME("%*ld|%-*ld|%0*ld", 12, v, 12, v, 12, v);
    }
}

TEST(text_as_printf)
{
    const char raw[3] = {'a', 'b', 'c'}; // no NUL: precision must be obeyed
    SAME("%s|%10s|%-10s|%.2s|%10.2s|%-10.2s|", "word", "word", "word", "word", "word", "word");
    SAME("%.*s|%.3s|%c%c|%5c|%-5c|%%", 2, raw, raw, 'x', 'y', 'z', 'w');
    SAME("%p", (void *)0x1234);
    SAME("plain, nothing else");
}

TEST(bounds)
{
    char buffer[8];
    for (size_t size = 0; size < sizeof(buffer); size++) {
        memset(buffer, '#', sizeof(buffer));
        EXPECT(format_text(buffer, size, "%d-%s", 1234, "abcdef") == 11);
        if (size > 0)
            EXPECT(strlen(buffer) == size - 1 && strncmp(buffer, "1234-abcdef", size - 1) == 0);
        for (size_t i = size; i < sizeof(buffer); i++)
            EXPECT(buffer[i] == '#');
    }
}

TEST(strange_formats)
{
    char text[32];
    const char *volatile none = nullptr, *volatile cut = "100%", *volatile unknown = "%q!";
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wformat-nonliteral"
#pragma clang diagnostic ignored "-Wformat-security"
    format_text(text, sizeof(text), "%s", none);
    EXPECT(strcmp(text, "(null)") == 0);
    format_text(text, sizeof(text), cut);
    EXPECT(strcmp(text, "100%") == 0);
    format_text(text, sizeof(text), unknown);
    EXPECT(strcmp(text, "%q!") == 0);
#pragma clang diagnostic pop
}
