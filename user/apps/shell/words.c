// SPDX-License-Identifier: MIT
//
// See words.h.
#include "words.h"

#include <lib/string.h>

const char *words_split(char **text, struct words *words)
{
    char *from = *text, *to = *text, quote = 0;
    bool in_word = false;
    words->count = 0;
    words->background = false;
    *text = nullptr;
    for (; *from != 0; from++) {
        char c = *from;
        if (quote == 0 && (c == ' ' || c == '\t' || c == ';' || c == '&')) {
            if (in_word)
                *to++ = 0; // `to` never passes `from`: at worst this is the separator's own place
            in_word = false;
            if (c == ';' || c == '&') {
                words->background = c == '&';
                *text = from + 1;
                break;
            }
            continue;
        }
        if (!in_word) {
            if (words->count == WORDS_MAX)
                return "too many words";
            words->word[words->count++] = to;
            in_word = true;
        }
        if (quote == 0 && (c == '\'' || c == '"')) {
            quote = c;
        } else if (c == quote) {
            quote = 0;
        } else if (c == '\\' && quote != '\'') {
            if (from[1] == 0)
                return "nothing after the backslash";
            *to++ = *++from;
        } else {
            *to++ = c;
        }
    }
    if (in_word)
        *to = 0;
    words->word[words->count] = nullptr;
    return quote != 0 ? "a quote is not closed" : nullptr;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool percent_decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from != 0; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        int high = digit(from[1]);
        int low = high < 0 ? -1 : digit(from[2]);
        if (low < 0 || (high == 0 && low == 0))
            return false;
        *to++ = (char)(high << 4 | low);
        from += 2;
    }
    *to = 0;
    return true;
}
