// SPDX-License-Identifier: MIT
//
// lib/string.c, under other names, since the host has these already: every alignment and length
// around the word size, overlaps in both directions, against byte-wise models.
#define memcpy own_memcpy
#define memmove own_memmove
#define memset own_memset
#define memcmp own_memcmp
#define memchr own_memchr
#define strlen own_strlen
#define strnlen own_strnlen
#define strcmp own_strcmp
#define strncmp own_strncmp
#define strchr own_strchr
#define strrchr own_strrchr
#define text_copy own_text_copy
#include "lib/string.c"
#include "lib/text.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr
#undef strrchr
#undef text_copy

#include "test.h"

constexpr size_t SPAN = 64;

static void fill(unsigned char *buffer)
{
    for (size_t i = 0; i < SPAN; i++)
        buffer[i] = (unsigned char)(i * 7 + 1);
}

TEST(copy_every_alignment)
{
    for (size_t to = 0; to < 16; to++)
        for (size_t from = 0; from < 16; from++)
            for (size_t bytes = 0; bytes <= 40; bytes++) {
                unsigned char source[SPAN], got[SPAN], want[SPAN];
                fill(source);
                memset(got, 0xee, SPAN);
                memset(want, 0xee, SPAN);
                for (size_t i = 0; i < bytes; i++)
                    want[to + i] = source[from + i];
                EXPECT(own_memcpy(got + to, source + from, bytes) == got + to);
                EXPECT_NOTE(memcmp(got, want, SPAN) == 0, "%zu %zu %zu", to, from, bytes);
            }
}

TEST(move_every_overlap)
{
    for (size_t to = 0; to < 24; to++)
        for (size_t from = 0; from < 24; from++)
            for (size_t bytes = 0; bytes <= 40; bytes++) {
                unsigned char got[SPAN], source[SPAN], want[SPAN];
                fill(got);
                fill(source);
                fill(want);
                for (size_t i = 0; i < bytes; i++)
                    want[to + i] = source[from + i];
                own_memmove(got + to, got + from, bytes);
                EXPECT_NOTE(memcmp(got, want, SPAN) == 0, "%zu %zu %zu", to, from, bytes);
            }
}

TEST(set_every_alignment)
{
    for (size_t at = 0; at < 16; at++)
        for (size_t bytes = 0; bytes <= 40; bytes++) {
            unsigned char got[SPAN], want[SPAN];
            fill(got);
            fill(want);
            for (size_t i = 0; i < bytes; i++)
                want[at + i] = 0x9a;
            own_memset(got + at, 0x39a, bytes);
            EXPECT_NOTE(memcmp(got, want, SPAN) == 0, "%zu %zu", at, bytes);
        }
}

TEST(compare_and_search)
{
    EXPECT(own_memcmp("abc", "abd", 2) == 0 && own_memcmp("abc", "abd", 3) < 0);
    EXPECT(own_memcmp("\x80", "\x01", 1) > 0);
    EXPECT(own_strcmp("a", "a") == 0 && own_strcmp("a", "ab") < 0 && own_strcmp("\xff", "a") > 0);
    EXPECT(own_strncmp("abc", "abd", 2) == 0 && own_strncmp("abc", "abd", 3) < 0);
    EXPECT(own_strlen("") == 0 && own_strlen("four") == 4 && own_strnlen("four", 2) == 2);
    const char *text = "path/to/it";
    EXPECT(own_strchr(text, '/') == text + 4 && own_strrchr(text, '/') == text + 7);
    EXPECT(own_strchr(text, 0) == text + 10 && own_strchr(text, 'x') == nullptr);
    EXPECT(own_memchr(text, 't', 10) == text + 2 && own_memchr(text, 'x', 10) == nullptr);
}

TEST(text_copy_cuts)
{
    char to[4];
    EXPECT(own_text_copy(to, sizeof(to), "abc") && strcmp(to, "abc") == 0);
    EXPECT(!own_text_copy(to, sizeof(to), "abcd") && strcmp(to, "abc") == 0);
    EXPECT(!own_text_copy(to, 1, "a") && to[0] == 0);
    EXPECT(own_text_copy(to, 1, ""));
}

TEST(options)
{
    char value[8];
    EXPECT(text_option("a=1 cmd=ls nonce=ab", "cmd", value, sizeof(value)) &&
           strcmp(value, "ls") == 0);
    EXPECT(text_option("cmd=", "cmd", value, sizeof(value)) && value[0] == 0);
    EXPECT(!text_option("xcmd=ls", "cmd", value, sizeof(value)));
    EXPECT(!text_option("cmd", "cmd", value, sizeof(value)));
    EXPECT(text_option("cmd=1234567", "cmd", value, sizeof(value)));
    EXPECT(!text_option("cmd=12345678", "cmd", value, sizeof(value)));
}
