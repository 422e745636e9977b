// SPDX-License-Identifier: MIT
//
// Memory functions: eight bytes at a time where both sides are aligned alike, else one.
// The attribute keeps the compiler from turning a loop into a call of the function it is in.
#include <lib/string.h>

#include <stdint.h>

#define OWN_LOOPS [[clang::no_builtin("memcpy", "memmove", "memset", "memcmp", "strlen")]]

typedef uint64_t __attribute__((may_alias)) word_t;
constexpr size_t WORD = sizeof(word_t);

static bool words_fit(const void *a, const void *b)
{
    return (((uintptr_t)a | (uintptr_t)b) & (WORD - 1)) == 0;
}

OWN_LOOPS static void copy_up(uint8_t *to, const uint8_t *from, size_t bytes)
{
    if (words_fit(to, from))
        for (; bytes >= WORD; bytes -= WORD, to += WORD, from += WORD)
            *(word_t *)(void *)to = *(const word_t *)(const void *)from;
    while (bytes-- > 0)
        *to++ = *from++;
}

OWN_LOOPS static void copy_down(uint8_t *to, const uint8_t *from, size_t bytes)
{
    to += bytes;
    from += bytes;
    if (words_fit(to, from))
        for (; bytes >= WORD; bytes -= WORD) {
            to -= WORD;
            from -= WORD;
            *(word_t *)(void *)to = *(const word_t *)(const void *)from;
        }
    while (bytes-- > 0)
        *--to = *--from;
}

OWN_LOOPS void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    copy_up(to, from, bytes);
    return to;
}

OWN_LOOPS void *memmove(void *to, const void *from, size_t bytes)
{
    if ((uintptr_t)to - (uintptr_t)from >= bytes)
        copy_up(to, from, bytes);
    else
        copy_down(to, from, bytes);
    return to;
}

OWN_LOOPS void *memset(void *to, int value, size_t bytes)
{
    uint8_t *p = to;
    uint64_t word = (uint8_t)value * UINT64_C(0x0101010101010101);
    for (; bytes > 0 && !words_fit(p, p); bytes--)
        *p++ = (uint8_t)value;
    for (; bytes >= WORD; bytes -= WORD, p += WORD)
        *(word_t *)(void *)p = word;
    while (bytes-- > 0)
        *p++ = (uint8_t)value;
    return to;
}

OWN_LOOPS int memcmp(const void *a, const void *b, size_t bytes)
{
    const uint8_t *x = a, *y = b;
    for (size_t i = 0; i < bytes; i++)
        if (x[i] != y[i])
            return x[i] - y[i];
    return 0;
}

void *memchr(const void *text, int byte, size_t bytes)
{
    const char *p = text;
    for (size_t i = 0; i < bytes; i++)
        if (p[i] == (char)byte)
            return (void *)(uintptr_t)(p + i); // the standard's signature drops the const
    return nullptr;
}

OWN_LOOPS size_t strlen(const char *text)
{
    size_t n = 0;
    while (text[n] != 0)
        n++;
    return n;
}

size_t strnlen(const char *text, size_t limit)
{
    size_t n = 0;
    while (n < limit && text[n] != 0)
        n++;
    return n;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t limit)
{
    for (size_t i = 0; i < limit; i++)
        if (a[i] != b[i] || a[i] == 0)
            return (uint8_t)a[i] - (uint8_t)b[i];
    return 0;
}

char *strchr(const char *text, int byte)
{
    for (;; text++) {
        if (*text == (char)byte)
            return (char *)(uintptr_t)text;
        if (*text == 0)
            return nullptr;
    }
}

char *strrchr(const char *text, int byte)
{
    const char *found = nullptr;
    for (;; text++) {
        if (*text == (char)byte)
            found = text;
        if (*text == 0)
            return (char *)(uintptr_t)found;
    }
}
