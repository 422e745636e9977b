// SPDX-License-Identifier: MIT
//
// A plugin for QEMU's emulator that counts the instructions that the kernel executes between two
// marks, which are functions of the benchmark program. Everything in the upper half of the
// address space is the kernel's; nothing there is ever executed in user mode.
//
//   -plugin plugin.so,begin=ADDRESS,end=ADDRESS,out=FILE
//   -plugin plugin.so,out=FILE
//
// Each time that the code at `end` runs after that at `begin`, one line with the count goes to
// the file. Without marks, what the kernel and what everybody executed goes there at the end.
// CPUs are not told apart: see cpus_plugin.c.
#include "plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int qemu_plugin_version = 1;

static uint64_t begin_address, end_address;
static uint64_t counted, begin_count; // one CPU
static uint64_t everything;           // user space too; counted without marks only
static int begun;
static FILE *out;

static void on_begin(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    begin_count = counted;
    begun = 1;
}

static void on_end(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    if (begun)
        fprintf(out, "%llu\n", (unsigned long long)(counted - begin_count));
    fflush(out);
    begun = 0;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        uint64_t address = qemu_plugin_insn_vaddr(instruction);
        if (!begin_address)
            qemu_plugin_register_vcpu_insn_exec_inline(instruction, INLINE_ADD_U64, &everything, 1);
        if (address >= KERNEL_FIRST)
            qemu_plugin_register_vcpu_insn_exec_inline(instruction, INLINE_ADD_U64, &counted, 1);
        else if (address == begin_address)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_begin, CALLBACK_NO_REGISTERS,
                                                   NULL);
        else if (address == end_address)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_end, CALLBACK_NO_REGISTERS,
                                                   NULL);
    }
}

static void on_exit_of_emulator(qemu_plugin_id_t id, void *data)
{
    (void)id, (void)data;
    fprintf(out, "%llu %llu\n", (unsigned long long)counted, (unsigned long long)everything);
    fclose(out);
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
        if (strncmp(arguments[i], "begin=", 6) == 0)
            begin_address = strtoull(value, NULL, 0);
        else if (strncmp(arguments[i], "end=", 4) == 0)
            end_address = strtoull(value, NULL, 0);
        else if (strncmp(arguments[i], "out=", 4) == 0)
            out = fopen(value, "w");
    }
    if (out == NULL || (begin_address == 0) != (end_address == 0))
        return -1;
    if (begin_address == 0)
        qemu_plugin_register_atexit_cb(id, on_exit_of_emulator, NULL);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}
