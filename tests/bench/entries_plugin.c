// SPDX-License-Identifier: MIT
//
// A plugin for QEMU's emulator that measures how long the kernel is busy before it looks for
// interrupts again: from its first instruction after user mode, after idling, or after a window for
// interrupts, to the next of these.
//
//   -plugin plugin.so,marks=FILE,out=FILE
//
// Each line of the marks is `ADDRESS NAME`: a function of the kernel that tells what it does (a call, a
// step, a kind of entry), or one that lets interrupts in (`cut`), or one of the program, that begins the
// next case (`case`). At the end, each line written is `MOST TIMES CASE NAME+NAME...`: for all that were
// met in one stretch, in their order, and the case in which it took the most. What comes before a CPU's
// first entry, or rest, is its start, and does not count.
#include "plugin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

constexpr unsigned CPUS = 8, MARKS = 256, TOLD = 6, KINDS = 4096;

int qemu_plugin_version = 1;

static struct mark {
    uint64_t address;
    char name[64];
} marks[MARKS];
static unsigned mark_count;

struct told {
    uint8_t marks[TOLD]; // 1 + index, 0: none
};

static struct stretch {
    bool begun;     // the CPU has started
    uint64_t count; // instructions; 0: in user mode
    struct told told;
    unsigned told_count;
} stretches[CPUS];

static struct kind {
    struct told told;
    uint64_t most, times;
    unsigned case_of_most;
} kinds[KINDS];
static unsigned kind_count;
static uint64_t lost; // kinds beyond KINDS
static unsigned cases;
static FILE *out;

static void end_stretch(struct stretch *stretch)
{
    if (stretch->count == 0)
        return;
    unsigned i = 0;
    while (i < kind_count && memcmp(&kinds[i].told, &stretch->told, sizeof stretch->told) != 0)
        i++;
    if (i == KINDS) {
        lost++;
    } else {
        kind_count += i == kind_count;
        kinds[i].told = stretch->told;
        kinds[i].times++;
        if (stretch->count > kinds[i].most) {
            kinds[i].most = stretch->count;
            kinds[i].case_of_most = cases;
        }
    }
    *stretch = (struct stretch){.begun = true};
}

static void on_user(unsigned cpu, void *data)
{
    (void)data;
    end_stretch(&stretches[cpu]);
}

static void on_kernel(unsigned cpu, void *data)
{
    (void)data;
    stretches[cpu].count += stretches[cpu].begun;
}

static void on_mark(unsigned cpu, void *data)
{
    const struct mark *mark = data;
    struct stretch *stretch = &stretches[cpu];
    if (strcmp(mark->name, "cut") == 0) {
        end_stretch(stretch);
        stretch->begun = true;
        return;
    }
    if (strcmp(mark->name, "case") == 0) {
        cases++;
        return;
    }
    const bool entry = strncmp(mark->name, "entry_", 6) == 0;
    stretch->begun = stretch->begun || entry;
    if (!stretch->begun)
        return;
    // A thread may fault, or be interrupted, before its first instruction in user mode.
    if (entry && stretch->told_count > 0)
        end_stretch(stretch);
    uint8_t number = (uint8_t)(mark - marks + 1);
    if (memchr(stretch->told.marks, number, TOLD) == NULL && stretch->told_count < TOLD)
        stretch->told.marks[stretch->told_count++] = number;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        const uint64_t address = qemu_plugin_insn_vaddr(instruction);
        const bool kernel = (address & KERNEL_FIRST) != 0;
        if (kernel || i == 0)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, kernel ? on_kernel : on_user,
                                                   CALLBACK_NO_REGISTERS, NULL);
        for (unsigned m = 0; m < mark_count; m++)
            if (marks[m].address == address)
                qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_mark, CALLBACK_NO_REGISTERS,
                                                       &marks[m]);
    }
}

static void on_exit_of_emulator(qemu_plugin_id_t id, void *data)
{
    (void)id, (void)data;
    for (unsigned i = 0; i < kind_count; i++) {
        fprintf(out, "%" PRIu64 " %" PRIu64 " %u ", kinds[i].most, kinds[i].times,
                kinds[i].case_of_most);
        const uint8_t *told = kinds[i].told.marks;
        for (unsigned t = 0; t < TOLD && told[t] != 0; t++)
            fprintf(out, "%s%s", t > 0 ? "+" : "", marks[told[t] - 1].name);
        fputc('\n', out);
    }
    if (lost > 0)
        fprintf(out, "lost %" PRIu64 "\n", lost);
    fclose(out);
}

static bool read_marks(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    while (mark_count < MARKS && fscanf(file, "%" SCNx64 " %63s", &marks[mark_count].address,
                                        marks[mark_count].name) == 2)
        mark_count++;
    return fclose(file) == 0 && mark_count > 0 && mark_count < MARKS;
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int count,
                        char **arguments)
{
    (void)info;
    for (int i = 0; i < count; i++) {
        const char *value = strchr(arguments[i], '=');
        if (value == NULL)
            return -1;
        value++;
        if (strncmp(arguments[i], "marks=", 6) == 0 && !read_marks(value))
            return -1;
        if (strncmp(arguments[i], "out=", 4) == 0)
            out = fopen(value, "w");
    }
    if (out == NULL || mark_count == 0)
        return -1;
    qemu_plugin_register_atexit_cb(id, on_exit_of_emulator, NULL);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}
