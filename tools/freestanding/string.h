// SPDX-License-Identifier: MIT
//
// What libfdt and BearSSL want of <string.h>. Only their sources see it; lib/ defines the
// functions.
#pragma once

#include <stddef.h>

void *memchr(const void *start, int c, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *start, int c, size_t bytes);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t most);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t most);
