// SPDX-License-Identifier: MIT
//
// The shell's small grammar, pure: commands end with ';', or with '&' to run beside the next;
// words are separated by spaces; '...' and "..." keep spaces, a backslash keeps the next
// character (not inside '...').
#pragma once

#include <stddef.h>

constexpr unsigned WORDS_MAX = 32;

struct words {
    unsigned count;
    bool background;           // it ended with '&'
    char *word[WORDS_MAX + 1]; // a null pointer ends it
};

// Takes the next command off `*text` and splits it in place. Returns null, or what is wrong with
// it. *text becomes null behind the last one.
const char *words_split(char **text, struct words *words);

// Undoes percent encoding in place. False: it is damaged.
bool percent_decode(char *text);
