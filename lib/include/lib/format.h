// SPDX-License-Identifier: MIT
//
// Text from a format: the part of printf that a kernel and small services need.
//
// Conversions: %s %c %d %i %u %x %X %p %%; flags '-' and '0'; width and precision, both also as
// '*' (precision limits %s; for numbers it is the least number of digits); sizes hh h l ll z.
// Anything else is copied to the output as it stands. A null %s prints "(null)".
#pragma once

#include <stdarg.h>
#include <stddef.h>

// Writes at most `size` bytes, the closing NUL included (none if size is 0), and returns the
// length that the whole text has: at least `size` means that it was cut.
[[gnu::format(printf, 3, 4)]] size_t format_text(char *buffer, size_t size, const char *format,
                                                 ...);
[[gnu::format(printf, 3, 0)]] size_t format_text_v(char *buffer, size_t size, const char *format,
                                                   va_list arguments);
