// SPDX-License-Identifier: MIT
//
// The firmware's console.
#include <lib/format.h>

#include "loader.h"

constexpr unsigned WAIT_SECONDS = 10;
constexpr unsigned POLLS_A_SECOND = 20;

void say(const char *format, ...)
{
    static char text[512];
    static efi_char_t wide[sizeof(text) + 3];
    va_list arguments;
    va_start(arguments, format);
    format_text_v(text, sizeof(text), format, arguments);
    va_end(arguments);

    size_t length = 0;
    for (; text[length] != '\0'; length++) // what is not ASCII comes from a file
        wide[length] =
            (efi_char_t)(text[length] >= ' ' && text[length] <= '~' ? text[length] : '?');
    wide[length++] = '\r';
    wide[length++] = '\n';
    wide[length] = 0;
    if (efi->output != nullptr)
        (void)efi->output->output(efi->output, wide);
}

void wait_for_key(void)
{
    if (efi->input == nullptr)
        return;
    struct efi_key key;
    while (efi->input->read_key(efi->input, &key) == EFI_SUCCESS)
        ; // typed before
    say("Press a key to go back to the firmware; it happens by itself in %u seconds.",
        WAIT_SECONDS);
    for (unsigned i = 0; i < WAIT_SECONDS * POLLS_A_SECOND; i++) {
        if (efi->input->read_key(efi->input, &key) == EFI_SUCCESS)
            return;
        (void)efi->boot->stall(1'000'000 / POLLS_A_SECOND);
    }
}
