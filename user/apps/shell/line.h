// SPDX-License-Identifier: MIT
//
// One line at a terminal, edited byte by byte. Pure: what is to be shown is appended to a
// buffer, so that it is tested on the host.
//
// Backspace, Delete, left, right, Home, End, Ctrl-A, Ctrl-E, Ctrl-K, Ctrl-U, Ctrl-L; up and down
// walk through the history; Ctrl-C drops the line; Ctrl-D on an empty line is its end.
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr size_t LINE_MAX = 512;
constexpr size_t LINE_HISTORY = 16;
constexpr size_t LINE_OUTPUT = 2048;

enum line_result : uint8_t {
    LINE_MORE,      // the line goes on
    LINE_DONE,      // `text` holds it
    LINE_INTERRUPT, // Ctrl-C
    LINE_END,       // Ctrl-D
};

struct line {
    const char *prompt;
    char text[LINE_MAX]; // always ends with a NUL
    size_t length, cursor;
    char history[LINE_HISTORY][LINE_MAX];
    size_t history_count;      // lines ever kept
    size_t history_at;         // 0: the line that is being written; n: n lines back
    char unfinished[LINE_MAX]; // the line that was being written before history was looked at
    uint8_t escape;            // state of an escape sequence: 0 none, 1 after ESC, 2 after ESC [
    uint8_t parameter;         // its number
    char output[LINE_OUTPUT];  // to be shown; the caller empties it
    size_t output_length;
};

// Starts an empty line and shows the prompt.
void line_begin(struct line *line, const char *prompt);
// Takes one byte that was typed.
enum line_result line_feed(struct line *line, uint8_t byte);
