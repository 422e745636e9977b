// SPDX-License-Identifier: MIT
//
// Memory and string functions under their usual names, because the compiler calls some of them
// by itself. The contracts are those of the C standard.
#pragma once

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
void *memchr(const void *text, int byte, size_t bytes);

size_t strlen(const char *text);
size_t strnlen(const char *text, size_t limit);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t limit);
char *strchr(const char *text, int byte);
char *strrchr(const char *text, int byte);

// Copies as much of `from` as fits and always ends it with a NUL (`size` > 0). Returns false if
// it was cut.
bool text_copy(char *to, size_t size, const char *from);

// The value of `key` in a command line of the form "key=value key=value", copied. false: it is not
// there, or does not fit.
bool text_option(const char *line, const char *key, char *value, size_t size);
