// SPDX-License-Identifier: MIT
//
// build: user/services/files/tar.c user/services/files/tar_field.c user/services/files/tar_pax.c user/services/files/index.c
//
// The tar reader and its index, over archives that Python's tarfile and GNU tar write while the
// test runs, in all three formats. Python says what is in them. Each is cut at every length, as a
// disk shows it (filled up to a sector with zeros): the answer is the whole list or an error, and
// never a read outside. Then bytes are changed at random.
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <user/services/files/index.h>
#include <user/services/files/tar.h>

#include "test.h"

// Makes ARCHIVE with Python; FORMAT is ustar, gnu or pax.
static const char make_script[] =
    "import io, sys, tarfile\n"
    "out, name = sys.argv[1:3]\n"
    "form = {'ustar': tarfile.USTAR_FORMAT, 'gnu': tarfile.GNU_FORMAT, 'pax': "
    "tarfile.PAX_FORMAT}[name]\n"
    "tar = tarfile.open(out, 'w', format=form, pax_headers={'comment': 'all'} if name == 'pax' "
    "else None)\n"
    "def add(name, size=0, kind=tarfile.REGTYPE, link='', mtime=1700000000):\n"
    "    info = tarfile.TarInfo(name)\n"
    "    info.size, info.type, info.linkname, info.mtime = size, kind, link, mtime\n"
    "    tar.addfile(info, io.BytesIO(bytes(i % 251 for i in range(size))))\n"
    "for size in (0, 1, 511, 512, 513, 1500):\n"
    "    add(f'size/{size}', size)\n"
    "add('dir', kind=tarfile.DIRTYPE)\n"
    "for n in (98, 99, 100):\n"
    "    add('n' * n, 3)\n"
    "add('prefix/' + 'p' * 60 + '/' + 'q' * 80, 4)\n"
    "add('./dotted/./name', 5)\n"
    "add('link', kind=tarfile.SYMTYPE, link='size/513')\n"
    "add('hard', kind=tarfile.LNKTYPE, link='size/513')\n"
    "if name != 'ustar':\n"
    "    add('m' * 101, 6)\n"
    "    add('/'.join(['d' * 90] * 5) + '/end', 7)\n"
    "    add('longlink', kind=tarfile.SYMTYPE, link='t' * 300)\n"
    "    add('old', 8, mtime=-5)\n"
    "    add('future', 9, mtime=1 << 40)\n"
    "if name == 'pax':\n"
    "    add('\\u00e9t\\u00e9', 10, mtime=1700000000.25)\n"
    "tar.close()\n";

// Lists ARCHIVE with Python: type, size, offset of the content, path, link; a line each.
static const char list_script[] =
    "import sys, tarfile\n"
    "kinds = {tarfile.DIRTYPE: 'd', tarfile.LNKTYPE: 'h', tarfile.SYMTYPE: 's'}\n"
    "for m in tarfile.open(sys.argv[1], errorlevel=2):\n"
    "    print(kinds.get(m.type, 'f'), m.size if m.isreg() else 0, m.offset_data, m.name,\n"
    "          m.linkname, sep='\\t')\n";

static const char *const formats[] = {"ustar", "gnu", "pax"};

static uint8_t archive[1 << 20];
static size_t archive_bytes;
static char expected[1 << 16], got[1 << 16];
static char folder[] = "/tmp/test_tar.XXXXXX";
static bool have_folder;

static void need_folder(void)
{
    if (!have_folder && mkdtemp(folder) == nullptr)
        abort();
    have_folder = true;
}

[[gnu::destructor]] static void remove_folder(void)
{
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    if (have_folder && system(command) != 0)
        fprintf(stderr, "%s stays\n", folder);
}

static void write_text(const char *name, const char *text)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (file == nullptr || fputs(text, file) < 0 || fclose(file) != 0)
        abort();
}

static size_t read_whole(const char *path, void *to, size_t room)
{
    FILE *file = fopen(path, "r");
    if (file == nullptr)
        return 0;
    size_t bytes = fread(to, 1, room, file);
    fclose(file);
    return bytes;
}

static bool shell(const char *command)
{
    char whole[2048];
    snprintf(whole, sizeof(whole), "cd %s && %s", folder, command);
    return system(whole) == 0;
}

// Reads what is in folder/a.tar, and what Python finds in it.
static bool load(void)
{
    char path[64];
    write_text("list.py", list_script);
    if (!shell("python3 list.py a.tar > list 2> errors"))
        return false;
    snprintf(path, sizeof(path), "%s/a.tar", folder);
    archive_bytes = read_whole(path, archive, sizeof(archive));
    snprintf(path, sizeof(path), "%s/list", folder);
    expected[read_whole(path, expected, sizeof(expected) - 1)] = '\0';
    return archive_bytes > 0;
}

static bool make(const char *format)
{
    char command[64];
    need_folder();
    write_text("make.py", make_script);
    snprintf(command, sizeof(command), "python3 make.py a.tar %s", format);
    return shell(command) && load();
}

// ---- reading

static char type_letter(enum tar_type type)
{
    return type == TAR_DIRECTORY   ? 'd'
           : type == TAR_HARD_LINK ? 'h'
           : type == TAR_SYMLINK   ? 's'
                                   : 'f';
}

// Python's list has no final '/' on directories.
static int path_length(const char *path)
{
    size_t length = strlen(path);
    return (int)(length > 1 && path[length - 1] == '/' ? length - 1 : length);
}

// The list of an archive of `bytes` bytes that is cut after `cut` of them. Fails the test on
// anything that leads outside.
static enum tar_error list_archive(size_t cut, struct index *index)
{
    static struct tar_reader tar;
    size_t used = 0, steps = 0, sectors = (cut + 511) / 512 * 512;
    got[0] = '\0';
    tar_start(&tar, sectors);
    for (;;) {
        EXPECT(steps++ < sectors / 256 + 4);
        enum tar_event event = tar_next(&tar);
        if (event == TAR_END || event == TAR_ERROR)
            break;
        if (event == TAR_BLOCK) {
            uint8_t block[TAR_BLOCK_BYTES] = {};
            EXPECT(tar.offset % 512 == 0 && tar.offset + 512 <= sectors);
            size_t left = tar.offset < cut ? cut - tar.offset : 0;
            memcpy(block, archive + tar.offset, left < sizeof(block) ? left : sizeof(block));
            tar_feed(&tar, block);
            continue;
        }
        const struct tar_entry *e = &tar.entry;
        EXPECT(strnlen(e->path, TAR_PATH_BYTES) < TAR_PATH_BYTES);
        EXPECT(strnlen(e->link, TAR_PATH_BYTES) < TAR_PATH_BYTES);
        if (e->type == TAR_FILE)
            EXPECT(e->size <= sectors && e->data_offset <= sectors - e->size);
        if (index != nullptr)
            EXPECT(index_add(index, e) != INDEX_FULL);
        if (used < sizeof(got) - 2400)
            used += (size_t)snprintf(got + used, sizeof(got) - used, "%c\t%llu\t%llu\t%.*s\t%s\n",
                                     type_letter(e->type), (unsigned long long)e->size,
                                     (unsigned long long)e->data_offset, path_length(e->path),
                                     e->path, e->link);
    }
    return tar.event == TAR_ERROR ? tar.error : TAR_OK;
}

static const char *first_difference(void)
{
    static char text[256];
    size_t i = 0;
    while (got[i] != '\0' && got[i] == expected[i])
        i++;
    while (i > 0 && got[i - 1] != '\n')
        i--;
    snprintf(text, sizeof(text), "got %.100s instead of %.100s", got + i, expected + i);
    return text;
}

TEST(tar_lists_what_python_lists)
{
    for (size_t i = 0; i < 3; i++) {
        EXPECT(make(formats[i]));
        EXPECT_NOTE(list_archive(archive_bytes, nullptr) == TAR_OK, "%s", formats[i]);
        EXPECT_NOTE(strcmp(got, expected) == 0, "%s: %s", formats[i], first_difference());
    }
}

TEST(tar_lists_what_gnu_tar_writes)
{
    need_folder();
    EXPECT(shell("mkdir -p t/d && cd t && printf abc > d/short && printf 12345 > "
                 "$(printf 'x%.0s' $(seq 140)) && ln -sf d/short s && ln -f d/short h && "
                 "head -c 700 /dev/zero > z && ln -sf $(printf 'y%.0s' $(seq 180)) ll"));
    for (size_t i = 0; i < 3; i++) {
        char command[128];
        // ustar cannot hold these names: it gets the others.
        snprintf(command, sizeof(command), "tar -C t --format=%s%s -cf a.tar . 2> /dev/null",
                 formats[i], i == 0 ? " --exclude=x* --exclude=ll" : "");
        EXPECT(shell(command) && load());
        EXPECT_NOTE(list_archive(archive_bytes, nullptr) == TAR_OK, "%s", formats[i]);
        EXPECT_NOTE(strcmp(got, expected) == 0, "%s: %s", formats[i], first_difference());
    }
}

TEST(tar_sees_every_truncation)
{
    for (size_t i = 0; i < 3; i++) {
        EXPECT(make(formats[i]));
        size_t whole = 0;
        for (size_t cut = 0; cut < archive_bytes; cut++) {
            enum tar_error error = list_archive(cut, nullptr);
            // Once the end marker is there, nothing is missing.
            EXPECT_NOTE(error != TAR_OK || strcmp(got, expected) == 0, "%s at %zu", formats[i],
                        cut);
            if (error == TAR_OK && whole == 0)
                whole = cut;
            EXPECT_NOTE(whole == 0 || error == TAR_OK, "%s at %zu", formats[i], cut);
        }
        EXPECT_NOTE(whole > archive_bytes / 2, "%s", formats[i]);
    }
}

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

TEST(tar_survives_changed_bytes)
{
    static uint8_t good[sizeof(archive)];
    static uint8_t memory[1 << 20];
    for (size_t i = 0; i < 3; i++) {
        EXPECT(make(formats[i]));
        memcpy(good, archive, archive_bytes);
        for (unsigned round = 0; round < 1000; round++) {
            for (unsigned n = 0; n <= random_next() % 4; n++) {
                size_t block = random_next() % (archive_bytes / 512) * 512;
                archive[block + random_next() % 512] = (uint8_t)random_next();
                // Half of the time with a checksum that is right, so that the reader goes on.
                if (random_next() & 1) {
                    unsigned sum = 0;
                    memset(archive + block + 148, ' ', 8);
                    for (size_t k = 0; k < 512; k++)
                        sum += archive[block + k];
                    snprintf((char *)archive + block + 148, 7, "%06o", sum);
                }
            }
            struct index index;
            index_start(&index, memory, 512, 65536);
            (void)list_archive(archive_bytes, &index);
            memcpy(archive, good, archive_bytes);
        }
    }
}

// ---- by hand

static void put_header(size_t at, const char *name, char type, const char *size)
{
    char *h = (char *)archive + at;
    memset(h, 0, 512);
    snprintf(h, 100, "%s", name);
    memcpy(h + 100, "0000644", 8);
    memcpy(h + 124, size, 12);
    memcpy(h + 136, "00000000000", 12);
    h[156] = type;
    memcpy(h + 257, "ustar\00000", 8);
    memset(h + 148, ' ', 8);
    unsigned sum = 0;
    for (size_t k = 0; k < 512; k++)
        sum += (uint8_t)h[k];
    snprintf(h + 148, 7, "%06o", sum);
}

TEST(tar_reads_base_256)
{
    memset(archive, 0, 4096);
    put_header(0, "f", '0', "\x80\0\0\0\0\0\0\0\0\0\x02\x01");
    EXPECT(list_archive(4096, nullptr) == TAR_OK);
    EXPECT(strcmp(got, "f\t513\t512\tf\t\n") == 0);
    put_header(0, "f", '0', "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"); // negative
    EXPECT(list_archive(4096, nullptr) == TAR_BAD_NUMBER);
    put_header(0, "f", '0', "\x80\x01\0\0\0\0\0\0\0\0\0\0"); // more than 63 bits
    EXPECT(list_archive(4096, nullptr) == TAR_BAD_NUMBER);
    put_header(0, "f", '0', "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"); // past every end
    EXPECT(list_archive(4096, nullptr) == TAR_TRUNCATED);
    put_header(0, "f", '0', "00000000009"); // no octal digit
    EXPECT(list_archive(4096, nullptr) == TAR_BAD_NUMBER);
}

TEST(tar_names_what_is_wrong)
{
    EXPECT(list_archive(0, nullptr) == TAR_EMPTY);
    memset(archive, 0, 4096);
    EXPECT(list_archive(1, nullptr) == TAR_TRUNCATED); // one zero block is half an end marker
    EXPECT(list_archive(1024, nullptr) == TAR_OK);     // an archive of nothing
    archive[512] = 1;
    EXPECT(list_archive(4096, nullptr) == TAR_LONE_ZERO_BLOCK);
    memcpy(archive, "\x1f\x8b", 2);
    EXPECT(list_archive(4096, nullptr) == TAR_COMPRESSED);
    for (size_t i = 0; i < 4096; i++)
        archive[i] = (uint8_t)random_next();
    EXPECT(list_archive(4096, nullptr) == TAR_NOT_AN_ARCHIVE);
    put_header(0, "part", 'M', "00000000000");
    EXPECT(list_archive(4096, nullptr) == TAR_MULTI_VOLUME);
    put_header(0, "file", '0', "00000000000");
    EXPECT(list_archive(4096, nullptr) == TAR_BAD_CHECKSUM);
    for (enum tar_error e = TAR_OK; e <= TAR_ERRORS; e++)
        EXPECT(tar_error_text(e) != nullptr && strlen(tar_error_text(e)) > 4);
}

TEST(tar_checks_pax_records)
{
    static const struct {
        const char *body;
        enum tar_error error;
        const char *list;
    } cases[] = {
        {"12 path=abc\n", TAR_OK, "f\t0\t1536\tabc\t\n"},
        {"12 path=abc\n8 path=\n", TAR_OK, "f\t0\t1536\tplain\t\n"},
        {"8 path=x\n", TAR_BAD_RECORD, ""},    // a byte too short
        {"13 path=abc\n", TAR_BAD_RECORD, ""}, // a byte too long
        {"0 path=abc\n", TAR_BAD_RECORD, ""},
        {"path=abc\n", TAR_BAD_RECORD, ""},
        {"12 path:abc\n", TAR_BAD_RECORD, ""},
        {"99999999999999999999 path=abc\n", TAR_BAD_RECORD, ""},
        {"12 size=-12\n", TAR_BAD_RECORD, ""},
        {"12 path=abc", TAR_BAD_RECORD, ""}, // the header ends in the middle
        {"18 vendor.key=abc\n", TAR_OK, "f\t0\t1536\tplain\t\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char size[13];
        memset(archive, 0, 8192);
        snprintf(size, sizeof(size), "%011zo", strlen(cases[i].body));
        put_header(0, "x", 'x', size);
        memcpy(archive + 512, cases[i].body, strlen(cases[i].body));
        put_header(1024, "plain", '0', "00000000000");
        EXPECT_NOTE(list_archive(8192, nullptr) == cases[i].error, "%s", cases[i].body);
        EXPECT_NOTE(strcmp(got, cases[i].list) == 0, "%s: %s", cases[i].body, got);
    }
}

TEST(tar_marks_what_it_cannot_serve)
{
    static struct tar_reader tar;
    memset(archive, 0, 8192);
    put_header(0, "L", 'L', "00000002000"); // a name of 1024 bytes
    memset(archive + 512, 'a', 1024);
    put_header(1536, "cut", '0', "00000000001");
    EXPECT(list_archive(8192, nullptr) == TAR_OK);
    memset(archive, 0, 8192);
    put_header(0, "sparse", 'S', "00000001000"); // with one more block of map
    archive[482] = 1;
    unsigned sum = 0;
    memset(archive + 148, ' ', 8);
    for (size_t k = 0; k < 512; k++)
        sum += archive[k];
    snprintf((char *)archive + 148, 7, "%06o", sum);
    put_header(1536, "after", '0', "00000000000");
    EXPECT(list_archive(8192, nullptr) == TAR_OK);
    EXPECT(strstr(got, "\tafter\t") != nullptr);
    tar_start(&tar, 8192);
    while (tar_next(&tar) == TAR_BLOCK)
        tar_feed(&tar, archive + tar.offset);
    EXPECT(tar.entry.type == TAR_UNSUPPORTED);
}

// ---- the index

static uint8_t index_memory[1 << 20];

static enum index_status add(struct index *index, enum tar_type type, const char *path,
                             const char *link, uint64_t size)
{
    static struct tar_entry entry;
    entry = (struct tar_entry){.type = type, .size = size, .mode = 0644};
    snprintf(entry.path, sizeof(entry.path), "%s", path);
    snprintf(entry.link, sizeof(entry.link), "%s", link);
    return index_add(index, &entry);
}

static enum index_status find(const struct index *index, const char *path, uint64_t *size)
{
    uint32_t node;
    enum index_status status = index_find(index, path, strlen(path), true, &node);
    if (status == INDEX_OK && size != nullptr)
        *size = index->nodes[node].size;
    return status;
}

TEST(index_finds_paths)
{
    struct index index;
    uint64_t size = 0;
    index_start(&index, index_memory, 64, 4096);
    EXPECT(add(&index, TAR_FILE, "./a/b/c", "", 3) == INDEX_OK); // its folders are implied
    EXPECT(add(&index, TAR_FILE, "top", "", 1) == INDEX_OK);
    EXPECT(add(&index, TAR_DIRECTORY, "a/", "", 0) == INDEX_OK);
    EXPECT(find(&index, "a/b/c", &size) == INDEX_OK && size == 3);
    EXPECT(find(&index, "/a//b/./c", &size) == INDEX_OK && size == 3);
    EXPECT(find(&index, "a/../top", &size) == INDEX_OK && size == 1);
    EXPECT(find(&index, "../../top", &size) == INDEX_OK && size == 1);
    EXPECT(find(&index, "", nullptr) == INDEX_OK);
    EXPECT(find(&index, "a/x", nullptr) == INDEX_NOT_FOUND);
    EXPECT(find(&index, "top/x", nullptr) == INDEX_NOT_DIRECTORY);
    EXPECT(add(&index, TAR_FILE, "top", "", 2) == INDEX_OK); // the last one counts
    EXPECT(find(&index, "top", &size) == INDEX_OK && size == 2);
    EXPECT(index.node_count == 5 && index.skipped == 0);
}

TEST(index_refuses_what_leads_out)
{
    struct index index;
    index_start(&index, index_memory, 64, 4096);
    EXPECT(add(&index, TAR_FILE, "../x", "", 1) == INDEX_SKIPPED);
    EXPECT(add(&index, TAR_FILE, "a/../../x", "", 1) == INDEX_SKIPPED);
    EXPECT(add(&index, TAR_FILE, "f", "", 1) == INDEX_OK);
    EXPECT(add(&index, TAR_FILE, "f/x", "", 1) == INDEX_SKIPPED);
    EXPECT(add(&index, TAR_FILE, "d/x", "", 1) == INDEX_OK);
    EXPECT(add(&index, TAR_FILE, "d", "", 1) == INDEX_SKIPPED);
    EXPECT(add(&index, TAR_FILE, ".", "", 1) == INDEX_SKIPPED);
    EXPECT(add(&index, TAR_HARD_LINK, "h", "nowhere", 0) == INDEX_SKIPPED);
    EXPECT(add(&index, TAR_HARD_LINK, "h", "d", 0) == INDEX_SKIPPED);
    EXPECT(index.skipped == 7 && index.node_count == 4);
}

TEST(index_follows_links)
{
    struct index index;
    uint64_t size = 0;
    index_start(&index, index_memory, 64, 4096);
    EXPECT(add(&index, TAR_FILE, "d/f", "", 7) == INDEX_OK);
    EXPECT(add(&index, TAR_HARD_LINK, "hard", "d/f", 0) == INDEX_OK);
    EXPECT(add(&index, TAR_SYMLINK, "soft", "d", 0) == INDEX_OK);
    EXPECT(add(&index, TAR_SYMLINK, "d/up", "../hard", 0) == INDEX_OK);
    EXPECT(add(&index, TAR_SYMLINK, "loop", "loop", 0) == INDEX_OK);
    EXPECT(add(&index, TAR_SYMLINK, "wide", "wide/wide/wide/wide", 0) == INDEX_OK);
    EXPECT(find(&index, "hard", &size) == INDEX_OK && size == 7);
    EXPECT(find(&index, "soft/f", &size) == INDEX_OK && size == 7);
    EXPECT(find(&index, "soft/up", &size) == INDEX_OK && size == 7);
    EXPECT(find(&index, "loop", nullptr) == INDEX_LOOP);
    EXPECT(find(&index, "wide", nullptr) == INDEX_LOOP);
}

TEST(index_says_when_it_is_full)
{
    struct index index;
    char name[16];
    index_start(&index, index_memory, 8, 4096);
    for (int i = 1; i < 8; i++) {
        snprintf(name, sizeof(name), "%d", i);
        EXPECT(add(&index, TAR_FILE, name, "", 0) == INDEX_OK);
    }
    EXPECT(add(&index, TAR_FILE, "one more", "", 0) == INDEX_FULL);
    index_start(&index, index_memory, 8, 8);
    EXPECT(add(&index, TAR_FILE, "123456", "", 0) == INDEX_OK);
    EXPECT(add(&index, TAR_FILE, "7", "", 0) == INDEX_FULL);
    EXPECT(add(&index, TAR_SYMLINK, "123456", "9", 0) == INDEX_FULL);
}
