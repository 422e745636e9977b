// SPDX-License-Identifier: MIT
//
// See line.h. Invariant: cursor <= length < LINE_MAX and text[length] == 0.
#include "line.h"

#include <lib/string.h>

enum key : uint8_t {
    CTRL_A = 1,
    CTRL_C = 3,
    CTRL_D = 4,
    CTRL_E = 5,
    BACKSPACE = 8,
    CTRL_K = 11,
    CTRL_L = 12,
    CTRL_U = 21,
    ESCAPE = 27,
    DELETE = 127,
};

static void show(struct line *line, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes && line->output_length < LINE_OUTPUT; i++)
        line->output[line->output_length++] = text[i];
}

static void show_text(struct line *line, const char *text)
{
    show(line, text, strlen(text));
}

static void show_back(struct line *line, size_t count)
{
    for (; count > 0; count--)
        show(line, "\b", 1);
}

static void redraw(struct line *line)
{
    show_text(line, "\r");
    show_text(line, line->prompt);
    show(line, line->text, line->length);
    show_text(line, "\x1b[K");
    show_back(line, line->length - line->cursor);
}

void line_begin(struct line *line, const char *prompt)
{
    line->prompt = prompt;
    line->text[0] = 0;
    line->length = line->cursor = 0;
    line->history_at = 0;
    line->escape = 0;
    show_text(line, prompt);
}

static void insert(struct line *line, char c)
{
    if (line->length + 1 >= LINE_MAX) {
        show_text(line, "\a");
        return;
    }
    memmove(line->text + line->cursor + 1, line->text + line->cursor,
            line->length - line->cursor + 1);
    line->text[line->cursor++] = c;
    line->length++;
    if (line->cursor == line->length)
        show(line, &c, 1);
    else
        redraw(line);
}

static void delete_before(struct line *line, size_t count)
{
    memmove(line->text + line->cursor - count, line->text + line->cursor,
            line->length - line->cursor + 1);
    line->cursor -= count;
    line->length -= count;
    redraw(line);
}

static void replace(struct line *line, const char *text)
{
    text_copy(line->text, LINE_MAX, text);
    line->length = line->cursor = strlen(line->text);
    redraw(line);
}

static void move_to(struct line *line, size_t cursor)
{
    line->cursor = cursor;
    redraw(line);
}

// ---- history: a ring; the newest is at (count - 1) % LINE_HISTORY

static void keep(struct line *line)
{
    const char *last = line->history[(line->history_count + LINE_HISTORY - 1) % LINE_HISTORY];
    if (line->length == 0 || (line->history_count > 0 && strcmp(last, line->text) == 0))
        return;
    text_copy(line->history[line->history_count % LINE_HISTORY], LINE_MAX, line->text);
    line->history_count++;
}

static void walk_history(struct line *line, bool back)
{
    size_t kept = line->history_count < LINE_HISTORY ? line->history_count : LINE_HISTORY;
    if (back ? line->history_at == kept : line->history_at == 0) {
        show_text(line, "\a");
        return;
    }
    if (line->history_at == 0)
        text_copy(line->unfinished, LINE_MAX, line->text);
    line->history_at += back ? 1 : (size_t)-1;
    if (line->history_at == 0)
        replace(line, line->unfinished);
    else
        replace(line, line->history[(line->history_count - line->history_at) % LINE_HISTORY]);
}

// ---- keys

static void escape_final(struct line *line, char c)
{
    bool key_delete = c == '~' && line->parameter == 3;
    bool home = c == 'H' || (c == '~' && line->parameter == 1);
    bool end = c == 'F' || (c == '~' && line->parameter == 4);
    if (c == 'A' || c == 'B') {
        walk_history(line, c == 'A');
    } else if (c == 'C' && line->cursor < line->length) {
        move_to(line, line->cursor + 1);
    } else if (c == 'D' && line->cursor > 0) {
        move_to(line, line->cursor - 1);
    } else if (home) {
        move_to(line, 0);
    } else if (end) {
        move_to(line, line->length);
    } else if (key_delete && line->cursor < line->length) {
        line->cursor++;
        delete_before(line, 1);
    }
}

static void feed_escape(struct line *line, uint8_t byte)
{
    if (line->escape == 1) {
        line->escape = byte == '[' || byte == 'O' ? 2 : 0;
        line->parameter = 0;
    } else if (byte >= '0' && byte <= '9') {
        line->parameter = (uint8_t)(line->parameter * 10 + (byte - '0'));
    } else if (byte >= 0x40 && byte <= 0x7e) {
        line->escape = 0;
        escape_final(line, (char)byte);
    }
}

static void feed_control(struct line *line, uint8_t byte)
{
    switch (byte) {
    case CTRL_A:
        move_to(line, 0);
        break;
    case CTRL_E:
        move_to(line, line->length);
        break;
    case BACKSPACE:
    case DELETE:
        if (line->cursor > 0)
            delete_before(line, 1);
        break;
    case CTRL_D:
        if (line->cursor < line->length) {
            line->cursor++;
            delete_before(line, 1);
        }
        break;
    case CTRL_K:
        line->text[line->cursor] = 0;
        line->length = line->cursor;
        redraw(line);
        break;
    case CTRL_L:
        redraw(line);
        break;
    case CTRL_U:
        delete_before(line, line->cursor);
        break;
    case ESCAPE:
        line->escape = 1;
        break;
    default:
        break;
    }
}

enum line_result line_feed(struct line *line, uint8_t byte)
{
    if (line->escape != 0) {
        feed_escape(line, byte);
        return LINE_MORE;
    }
    if (byte == '\r' || byte == '\n') {
        show_text(line, "\n");
        keep(line);
        return LINE_DONE;
    }
    if (byte == CTRL_C) {
        show_text(line, "^C\n");
        return LINE_INTERRUPT;
    }
    if (byte == CTRL_D && line->length == 0) {
        show_text(line, "\n");
        return LINE_END;
    }
    if (byte >= ' ' && byte != DELETE)
        insert(line, (char)byte);
    else
        feed_control(line, byte);
    return LINE_MORE;
}
