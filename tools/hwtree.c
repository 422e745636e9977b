// SPDX-License-Identifier: MIT
//
// Prints the hardware tree of a machine from its firmware's tables: docs/hwtree.md.
//
//   hwtree [--summary] FILE...            device trees
//   hwtree [--summary] --acpi FOLDER [--variant NAME]
//                                         ACPI tables, one a file, named by their signatures: APIC
//                                         or apic.dat; of APIC.NAME the first part is the signature,
//                                         and it replaces APIC if NAME is asked for
//   hwtree ... --diff FILE-OR-FOLDER      what is different there
//
// On stdout the tree as device-tree source, or with --summary a few lines each. On stderr what
// cannot be right, where it is and why. Status 0: nothing was found wrong (or different); 1: some
// was; 2: the input is not what it should be.
#include <dirent.h>
#include <hwtree/front.h>
#include <hwtree/text.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

constexpr size_t TREE_BYTES = 16u << 20;
constexpr uint32_t NODES_MAX = 65536;
constexpr size_t FILE_BYTES_MAX = 64u << 20;
constexpr size_t DIFF_BYTES = 4u << 20;

enum { RIGHT, WRONG, UNREADABLE };

static void put_to(FILE *file, const char *text, size_t length)
{
    if (fwrite(text, 1, length, file) != length) {
        perror("hwtree");
        exit(UNREADABLE);
    }
}

static void put_out(struct hwtree_output *output, const char *text, size_t length)
{
    (void)output;
    put_to(stdout, text, length);
}

static void put_error(struct hwtree_output *output, const char *text, size_t length)
{
    (void)output;
    put_to(stderr, text, length);
}

static struct hwtree_output to_out = {put_out}, to_error = {put_error};

// The whole file, in memory of exactly its length; null, with a message.
static void *read_file(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    long length = -1;
    if (file != nullptr && fseek(file, 0, SEEK_END) == 0)
        length = ftell(file);
    if (file == nullptr || length < 0 || (size_t)length > FILE_BYTES_MAX) {
        fprintf(stderr, "hwtree: %s cannot be read\n", path);
        if (file != nullptr)
            fclose(file);
        return nullptr;
    }
    rewind(file);
    void *data = malloc(length > 0 ? (size_t)length : 1);
    *bytes = fread(data, 1, (size_t)length, file);
    fclose(file);
    return data;
}

static void begin(struct hwtree_builder *builder, enum hwtree_origin origin)
{
    if (!hwtree_begin(builder, malloc(TREE_BYTES), TREE_BYTES, origin))
        abort();
}

// The finished tree, held against its own rules.
static struct hwtree *finish(struct hwtree_builder *builder)
{
    const char *why;
    size_t bytes = hwtree_finish(builder);
    struct hwtree *tree = realloc(builder->tree, bytes);
    if (!hwtree_check(tree, bytes, &why)) {
        fprintf(stderr, "hwtree: the tree that was made is none: %s\n", why);
        abort();
    }
    return tree;
}

static struct hwtree *read_dtb(const char *path)
{
    size_t bytes;
    void *blob = read_file(path, &bytes);
    if (blob == nullptr)
        return nullptr;
    static struct fdt_place places[NODES_MAX];
    static struct hwtree_fdt_node nodes[NODES_MAX];
    struct fdt fdt;
    struct hwtree_builder builder;
    struct hwtree *tree = nullptr;
    begin(&builder, HWTREE_DEVICE_TREE);
    const enum fdt_fault fault = fdt_read(&fdt, blob, bytes, places, NODES_MAX);
    if (hwtree_read_fdt(&builder, &fdt, nodes)) {
        tree = finish(&builder);
    } else {
        fprintf(stderr, "hwtree: %s is no device tree: it %s\n", path, fdt_fault_text(fault));
        free(builder.tree);
    }
    free(blob);
    return tree;
}

// ---- a folder of ACPI tables

static const char *variant = "";

static int is_wanted(const struct dirent *file)
{
    const char *name = file->d_name, *suffix = strchr(name, '.');
    if (name[0] == '.')
        return 0;
    if (suffix == nullptr)
        return strlen(name) >= 4;
    suffix++;
    return suffix - name >= 5 &&
           (strcasecmp(suffix, "dat") == 0 || strcasecmp(suffix, "bin") == 0 ||
            strcasecmp(suffix, "aml") == 0 || strcmp(suffix, variant) == 0);
}

// Whether the table of this file is replaced by that of the next one, "APIC" by "APIC.NAME".
static bool is_replaced(const struct dirent *file, const struct dirent *next)
{
    size_t length = strlen(file->d_name);
    return variant[0] != 0 && strncmp(file->d_name, next->d_name, length) == 0 &&
           next->d_name[length] == '.' && strcmp(next->d_name + length + 1, variant) == 0;
}

// The FACS has no sum, and nothing to say.
static void add_file(struct acpi_tables *acpi, void **tables, const char *folder, const char *name)
{
    char path[4096];
    size_t bytes;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    void *table = read_file(path, &bytes);
    if (table == nullptr)
        exit(UNREADABLE);
    struct acpi_table *added = nullptr;
    if (bytes < 4 || memcmp(table, "FACS", 4) != 0)
        added = acpi_tables_put(acpi, table, bytes);
    if (added == nullptr)
        free(table);
    else
        tables[added - acpi->list] = table;
    if (added != nullptr && added->fault != ACPI_SOUND)
        fprintf(stderr, "hwtree: %s: it %s\n", path, acpi_fault_text(added->fault));
}

static struct hwtree *read_acpi(const char *folder)
{
    struct dirent **files;
    int count = scandir(folder, &files, is_wanted, alphasort);
    if (count <= 0) {
        fprintf(stderr, "hwtree: %s is no folder of ACPI tables\n", folder);
        return nullptr;
    }
    static struct acpi_tables acpi;
    void *tables[ACPI_TABLES_MAX];
    struct hwtree_builder builder;
    acpi = (struct acpi_tables){};
    for (int i = 0; i < count; i++)
        if (i + 1 == count || !is_replaced(files[i], files[i + 1]))
            add_file(&acpi, tables, folder, files[i]->d_name);
    begin(&builder, HWTREE_ACPI);
    hwtree_read_acpi(&builder, &acpi);
    for (unsigned i = 0; i < acpi.count; i++)
        free(tables[i]);
    while (count > 0)
        free(files[--count]);
    free(files);
    return finish(&builder);
}

static struct hwtree *read_any(const char *path, bool acpi)
{
    return acpi ? read_acpi(path) : read_dtb(path);
}

// ---- what is asked for

static bool has_problems(const struct hwtree *tree)
{
    for (unsigned cause = 0; cause < HWTREE_CAUSES; cause++)
        if (tree->problems[cause] > 0)
            return true;
    return false;
}

static int show(const char *path, bool acpi, bool summary)
{
    struct hwtree *tree = read_any(path, acpi);
    if (tree == nullptr)
        return UNREADABLE;
    if (summary) {
        printf("file: %s\n", path);
        hwtree_print_summary(tree, &to_out);
    } else {
        hwtree_print(tree, &to_out);
    }
    fflush(stdout);
    hwtree_print_problems(tree, &to_error);
    int status = has_problems(tree) ? WRONG : RIGHT;
    free(tree);
    return status;
}

static bool is_folder(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

static int compare(const char *path, bool acpi, const char *other_path)
{
    struct hwtree *tree = read_any(path, acpi),
                  *other = read_any(other_path, is_folder(other_path));
    int status = UNREADABLE;
    if (tree != nullptr && other != nullptr) {
        char *memory = malloc(DIFF_BYTES);
        status =
            hwtree_print_differences(tree, other, memory, DIFF_BYTES, &to_out) > 0 ? WRONG : RIGHT;
        free(memory);
    }
    free(tree);
    free(other);
    return status;
}

int main(int count, char **words)
{
    bool summary = false, acpi = false;
    const char *other = nullptr;
    int paths = 0, status = RIGHT;
    for (int i = 1; i < count; i++) {
        if (strcmp(words[i], "--summary") == 0)
            summary = true;
        else if (strcmp(words[i], "--acpi") == 0)
            acpi = true;
        else if (strcmp(words[i], "--variant") == 0 && i + 1 < count)
            variant = words[++i];
        else if (strcmp(words[i], "--diff") == 0 && i + 1 < count)
            other = words[++i];
        else
            words[paths++] = words[i];
    }
    if (paths == 0 || (other != nullptr && paths > 1)) {
        fprintf(stderr,
                "usage: make hwtree DTB=file [DIFF=file] [SUMMARY=1]\n"
                "       make hwtree ACPI=folder [VARIANT=name] [DIFF=folder] [SUMMARY=1]\n");
        return UNREADABLE;
    }
    if (other != nullptr)
        return compare(words[0], acpi, other);
    for (int i = 0; i < paths; i++) {
        int one = show(words[i], acpi, summary);
        status = one > status ? one : status;
    }
    return status;
}
