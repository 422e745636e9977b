// SPDX-License-Identifier: MIT
//
// build: user/apps/shell/line.c user/apps/shell/words.c
//
// The shell's pure parts: line editing, words, percent decoding.
#include "test.h"
#include "user/apps/shell/line.h"
#include "user/apps/shell/words.h"

static struct line line;

static enum line_result type(const char *keys)
{
    enum line_result result = LINE_MORE;
    for (; *keys != 0; keys++) {
        result = line_feed(&line, (unsigned char)*keys);
        line.output_length = 0;
    }
    return result;
}

static void fresh(void)
{
    line_begin(&line, "> ");
    line.output_length = 0;
}

TEST(typing_and_erasing)
{
    memset(&line, 0, sizeof(line));
    fresh();
    EXPECT(type("helo\x7flo\r") == LINE_DONE && strcmp(line.text, "hello") == 0);
    fresh();
    EXPECT(type("\x7f\x7f"
                "a\bb\r") == LINE_DONE &&
           strcmp(line.text, "b") == 0);
    fresh();
    EXPECT(type("word\x15other\r") == LINE_DONE && strcmp(line.text, "other") == 0);
}

TEST(moving)
{
    memset(&line, 0, sizeof(line));
    fresh();
    EXPECT(type("ac\x1b[Db\x1b[Cd\r") == LINE_DONE && strcmp(line.text, "abcd") == 0);
    fresh();
    EXPECT(type("bc\x01"
                "a\x05"
                "d\r") == LINE_DONE &&
           strcmp(line.text, "abcd") == 0);
    fresh();
    EXPECT(type("abXc\x1b[D\x1b[D\x1b[3~\r") == LINE_DONE && strcmp(line.text, "abc") == 0);
    fresh();
    EXPECT(type("abc\x1b[D\x1b[D\x0b\r") == LINE_DONE && strcmp(line.text, "a") == 0);
    fresh();
    EXPECT(type("\x1b[D\x1b[D\x1b[Cx\x1b[Hy\x1b[Fz\r") == LINE_DONE &&
           strcmp(line.text, "yxz") == 0);
}

TEST(history)
{
    memset(&line, 0, sizeof(line));
    for (unsigned i = 0; i < 40; i++) {
        char text[16];
        snprintf(text, sizeof(text), "line%u\r", i);
        fresh();
        EXPECT(type(text) == LINE_DONE);
    }
    fresh();
    EXPECT(type("\x1b[A\x1b[A\r") == LINE_DONE && strcmp(line.text, "line38") == 0);
    fresh();
    EXPECT(type("new\x1b[A\x1b[A\x1b[B\x1b[B\r") == LINE_DONE && strcmp(line.text, "new") == 0);
    fresh();
    for (unsigned i = 0; i < 30; i++)
        type("\x1b[A"); // further back than is kept
    EXPECT(type("\r") == LINE_DONE && strcmp(line.text, "line26") == 0);
}

TEST(ends)
{
    memset(&line, 0, sizeof(line));
    fresh();
    EXPECT(type("some\x03") == LINE_INTERRUPT);
    fresh();
    EXPECT(type("\x04") == LINE_END);
    fresh();
    EXPECT(type("a\x04") == LINE_MORE && strcmp(line.text, "a") == 0);
    fresh();
    EXPECT(type("ab\x01\x04\r") == LINE_DONE && strcmp(line.text, "b") == 0);
}

TEST(random_keys_keep_the_invariant)
{
    static const char keys[] = "abc \x7f\b\x01\x05\x0b\x15\x04\x1b[ABCDHF3~O\r\x03\x0c\xc3\xa9;'\"";
    unsigned state = 7;
    memset(&line, 0, sizeof(line));
    fresh();
    for (unsigned i = 0; i < 300000; i++) {
        state = state * 1664525 + 1013904223;
        char key = keys[(state >> 10) % (sizeof(keys) - 1)];
        enum line_result result = line_feed(&line, (unsigned char)key);
        EXPECT(line.cursor <= line.length && line.length < LINE_MAX);
        EXPECT(line.text[line.length] == 0 && strlen(line.text) == line.length);
        EXPECT(line.output_length <= LINE_OUTPUT);
        line.output_length = 0;
        if (result != LINE_MORE)
            fresh();
    }
}

TEST(a_long_line_stops_growing)
{
    memset(&line, 0, sizeof(line));
    fresh();
    for (unsigned i = 0; i < 2 * LINE_MAX; i++)
        type("x");
    EXPECT(line.length == LINE_MAX - 1);
}

static const char *split(const char *text, struct words *words, const char **rest)
{
    static char copy[1024];
    snprintf(copy, sizeof(copy), "%s", text);
    char *cursor = copy;
    const char *wrong = words_split(&cursor, words);
    *rest = cursor;
    return wrong;
}

TEST(words)
{
    struct words w;
    const char *rest;
    EXPECT(split("  ls   -l /disk ", &w, &rest) == nullptr && w.count == 3 && rest == nullptr);
    EXPECT(strcmp(w.word[0], "ls") == 0 && strcmp(w.word[2], "/disk") == 0 && w.word[3] == nullptr);
    EXPECT(split("a;b c", &w, &rest) == nullptr && w.count == 1 && strcmp(rest, "b c") == 0);
    EXPECT(split("cat 'a b;c' \"d \\\" e\" f\\ g''", &w, &rest) == nullptr && w.count == 4);
    EXPECT(strcmp(w.word[1], "a b;c") == 0 && strcmp(w.word[2], "d \" e") == 0);
    EXPECT(strcmp(w.word[3], "f g") == 0);
    EXPECT(split("x ''", &w, &rest) == nullptr && w.count == 2 && w.word[1][0] == 0);
    EXPECT(split("", &w, &rest) == nullptr && w.count == 0 && rest == nullptr);
    EXPECT(split(";", &w, &rest) == nullptr && w.count == 0 && rest != nullptr);
    EXPECT(split("a 'b", &w, &rest) != nullptr);
    EXPECT(split("a \\", &w, &rest) != nullptr);
    char many[256] = "";
    for (unsigned i = 0; i < WORDS_MAX; i++)
        strcat(many, "w ");
    EXPECT(split(many, &w, &rest) == nullptr && w.count == WORDS_MAX);
    strcat(many, "w");
    EXPECT(split(many, &w, &rest) != nullptr);
}

TEST(percent)
{
    char text[] = "ls%20%2Fdisk%3b%20ps";
    EXPECT(percent_decode(text) && strcmp(text, "ls /disk; ps") == 0);
    const char *bad[] = {"%", "%4", "%zz", "a%00b", "x%g0"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char copy[16];
        snprintf(copy, sizeof(copy), "%s", bad[i]);
        EXPECT_NOTE(!percent_decode(copy), "%s", bad[i]);
    }
}
