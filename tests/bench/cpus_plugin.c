// SPDX-License-Identifier: MIT
//
// A plugin for QEMU's emulator that watches the kernel on several CPUs between two marks, which
// are functions of the benchmark program:
//
//   -plugin plugin.so,begin=ADDRESS,end=ADDRESS,ipi=ADDRESS,out=FILE
//
// A region begins when a CPU reaches the first mark, and is over when as many reached the second
// one, on whatever CPU. Of each region one line goes to the file:
//
//   region IPIS COUNT...        interrupts sent to CPUs; kernel instructions of each CPU
//
// and one for each cache line that the kernel wrote on one CPU and touched on another, by its
// physical address:
//
//   line PHYSICAL VIRTUAL CPU:r|w:PC...    of each CPU the first access, the first write if any
//
// What the processor reads and writes by itself (page tables, the frame of an interrupt, which is
// on each CPU's own stack) is not seen.
#include "plugin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

constexpr unsigned CPUS = 8, LINES = 1u << 16, LINE_SHIFT = 6;

int qemu_plugin_version = 1;

struct line {
    uint64_t physical, address;
    uint64_t region; // of the last access; another: the entry is free
    uint64_t pc[CPUS];
    uint8_t readers, writers; // bit per CPU
};

static uint64_t begin_address, end_address, ipi_address;
static FILE *out;
static unsigned depth; // marks that were begun and not ended
static uint64_t region;
static uint64_t ipis, counts[CPUS];
static struct line lines[LINES];

static void on_begin(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    if (depth++ != 0)
        return;
    region++;
    ipis = 0;
    memset(counts, 0, sizeof(counts));
}

static void report_line(const struct line *line)
{
    fprintf(out, "line 0x%" PRIx64 " 0x%" PRIx64, line->physical, line->address);
    for (unsigned i = 0; i < CPUS; i++)
        if (((line->readers | line->writers) >> i & 1) != 0)
            fprintf(out, " %u:%c:0x%" PRIx64, i, (line->writers >> i & 1) != 0 ? 'w' : 'r',
                    line->pc[i]);
    fputc('\n', out);
}

static void on_end(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    if (depth == 0 || --depth != 0)
        return;
    fprintf(out, "region %" PRIu64, ipis);
    for (unsigned i = 0; i < CPUS; i++)
        fprintf(out, " %" PRIu64, counts[i]);
    fputc('\n', out);
    for (unsigned i = 0; i < LINES; i++) {
        const unsigned touched = lines[i].readers | lines[i].writers;
        if (lines[i].region == region && lines[i].writers != 0 && (touched & (touched - 1)) != 0)
            report_line(&lines[i]);
    }
    fflush(out);
}

static void on_instruction(unsigned cpu, void *data)
{
    (void)data;
    if (depth != 0)
        counts[cpu]++;
}

static void on_ipi(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    ipis += depth != 0;
}

static struct line *line_of(uint64_t physical, uint64_t address)
{
    for (unsigned i = (unsigned)(physical * 0x9e37'79b9 >> 8) % LINES;; i = (i + 1) % LINES) {
        struct line *line = &lines[i];
        if (line->region != region)
            *line = (struct line){.physical = physical, .address = address, .region = region};
        if (line->physical == physical)
            return line;
    }
}

static void on_access(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
    if (depth == 0)
        return;
    const struct qemu_plugin_hwaddr *where = qemu_plugin_get_hwaddr(info, address);
    if (where == NULL || qemu_plugin_hwaddr_is_io(where))
        return;
    struct line *line = line_of(qemu_plugin_hwaddr_phys_addr(where) >> LINE_SHIFT << LINE_SHIFT,
                                address >> LINE_SHIFT << LINE_SHIFT);
    const uint8_t bit = (uint8_t)(1u << cpu);
    const _Bool writes = qemu_plugin_mem_is_store(info);
    if (((line->readers | line->writers) & bit) == 0 || (writes && (line->writers & bit) == 0))
        line->pc[cpu] = (uint64_t)data;
    if (writes)
        line->writers |= bit;
    else
        line->readers |= bit;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        const uint64_t address = qemu_plugin_insn_vaddr(instruction);
        void (*callback)(unsigned cpu, void *data) = address == begin_address   ? on_begin
                                                     : address == end_address   ? on_end
                                                     : address == ipi_address   ? on_ipi
                                                     : (address & KERNEL_FIRST) ? on_instruction
                                                                                : NULL;
        if (callback == on_ipi)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_instruction,
                                                   CALLBACK_NO_REGISTERS, NULL);
        if (callback != NULL)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, callback, CALLBACK_NO_REGISTERS,
                                                   NULL);
        if ((address & KERNEL_FIRST) != 0)
            qemu_plugin_register_vcpu_mem_cb(instruction, on_access, CALLBACK_NO_REGISTERS,
                                             ACCESS_BOTH, (void *)address);
    }
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
        else if (strncmp(arguments[i], "ipi=", 4) == 0)
            ipi_address = strtoull(value, NULL, 0);
        else if (strncmp(arguments[i], "out=", 4) == 0)
            out = fopen(value, "w");
    }
    if (out == NULL || begin_address == 0 || end_address == 0 || ipi_address == 0)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}
