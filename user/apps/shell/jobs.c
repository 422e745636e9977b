// SPDX-License-Identifier: MIT
//
// Jobs: `COMMAND &` runs beside the shell in a process of its own, which init starts from this
// same program (job1, job2 in system.toml). For each there is a thread here that waits for its
// end, so a job can be killed like any service and takes nothing of the shell's with it.
#include "shell.h"

constexpr unsigned JOBS_MAX = 2;
constexpr uint32_t EVENT_GO = 1, EVENT_IDLE = 2;

static struct job {
    thread_t thread; // .value 0: not made yet
    event_t event;   // GO: `request` is to be run; IDLE: there is none
    struct init_run_request request;
    atomic_bool failed;
    status_t status;
    struct init_run_reply reply;
} jobs[JOBS_MAX];

static void watch(void *argument)
{
    struct job *job = argument;
    for (;;) {
        uint32_t before;
        if (object_wait((handle_t){job->event.value}, EVENT_GO, ABI_DEADLINE_NEVER, &before) !=
            STATUS_OK)
            continue;
        (void)event_clear(job->event, EVENT_GO, &before);
        job->status = init_run(start.bootstrap, &job->request, &job->reply, ABI_DEADLINE_NEVER);
        if (job->status != STATUS_OK || job->reply.crashed != 0 || job->reply.exit_code != 0)
            atomic_store(&job->failed, true);
        (void)event_signal(job->event, EVENT_IDLE);
    }
}

static status_t make_thread(struct job *job, unsigned index)
{
    format_text(job->request.service, sizeof(job->request.service), "job%u", index + 1);
    status_t status = event_create(start.account, &job->event);
    if (status == STATUS_OK)
        status = event_signal(job->event, EVENT_IDLE);
    if (status == STATUS_OK)
        status = thread_spawn(watch, job, start.priority, &job->thread);
    return status;
}

static bool is_idle(const struct job *job)
{
    uint32_t signals;
    return job->thread.value == 0 ||
           object_wait((handle_t){job->event.value}, EVENT_IDLE, 0, &signals) == STATUS_OK;
}

// The words as one text again, each quoted, so that the job splits them alike. False: too long.
static bool join(const struct words *words, char *text, size_t size)
{
    size_t length = 0;
    for (unsigned i = 0; i < words->count; i++) {
        length += format_text(text + length, size - length, i == 0 ? "\"" : " \"");
        for (const char *c = words->word[i]; *c != 0 && length + 4 < size; c++) {
            if (*c == '"' || *c == '\\')
                text[length++] = '\\';
            text[length++] = *c;
        }
        if (length + 4 >= size)
            return false;
        text[length++] = '"';
        text[length] = 0;
    }
    return true;
}

int job_start(const struct words *words)
{
    unsigned index = 0;
    while (index < JOBS_MAX && !is_idle(&jobs[index]))
        index++;
    if (index == JOBS_MAX)
        return complain("shell", "%u jobs run already; 'wait' for them", JOBS_MAX);
    struct job *job = &jobs[index];
    status_t status = job->thread.value == 0 ? make_thread(job, index) : STATUS_OK;
    if (status != STATUS_OK)
        return complain("shell", "no thread for a job: %s", status_name(status));
    if (!join(words, job->request.argument, sizeof(job->request.argument)))
        return complain("shell", "the command is too long for a job");
    uint32_t before;
    (void)event_clear(job->event, EVENT_IDLE, &before);
    (void)event_signal(job->event, EVENT_GO);
    return 0;
}

int command_wait(const struct words *words)
{
    (void)words;
    int failed = 0;
    for (unsigned i = 0; i < JOBS_MAX; i++) {
        struct job *job = &jobs[i];
        uint32_t signals;
        if (job->thread.value == 0)
            continue;
        status_t status =
            object_wait((handle_t){job->event.value}, EVENT_IDLE, ABI_DEADLINE_NEVER, &signals);
        if (status != STATUS_OK)
            return complain("wait", "%s", status_name(status));
        if (!atomic_exchange(&job->failed, false))
            continue;
        failed = 1;
        if (job->status != STATUS_OK)
            complain("wait", "job%u: %s", i + 1, status_name(job->status));
        else if (job->reply.crashed != 0)
            complain("wait", "job%u %s", i + 1, job->reply.crashed == 1 ? "crashed" : "was killed");
        else
            complain("wait", "job%u ended with code %lu", i + 1, job->reply.exit_code);
    }
    return failed;
}

int job_main(const char *command)
{
    static char text[START_ARGUMENT_BYTES];
    text_copy(text, sizeof(text), command);
    if (terminal_open(&output) != STATUS_OK)
        return 1;
    return commands_run(text);
}
