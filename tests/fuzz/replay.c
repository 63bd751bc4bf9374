/*
 * A fuzz target without a fuzzer: the driver for any compiler.
 *
 * Gives the target every file of the directories named, and of each file also
 * what a connection that breaks leaves of it (every length), and what one bit
 * that flips or one hostile byte makes of it. The same inputs each time, so that
 * a test that fails once fails again. Each input is an allocation of its exact
 * size: under the address sanitizer one byte too far is found.
 *
 * A target says that something is wrong by abort(). Then, and when a sanitizer
 * ends the process, the last line says which input it was.
 */
#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The targets define it, libFuzzer calls it by this name. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Places in one file where something is done to it: more than that, and only some of them are. A
 * long file at every length would be quadratic. */
#define PLACES_MAX ((size_t)8192)
#define FILE_MAX ((size_t)1024 * 1024)

static size_t inputs;

/* What is under way, for last_words(). */
static char input_name[512];

static void
last_words(void)
{
    ssize_t written = write(STDERR_FILENO, input_name, strlen(input_name));
    (void)written; /* nothing can be done about it now */
}

static void
on_abort(int number)
{
    last_words();
    signal(number, SIG_DFL);
    raise(number);
}

/* Only in a build with a sanitizer. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void *
allocate(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p) {
        fprintf(stderr, "replay: no memory\n");
        exit(1);
    }
    return p;
}

static void
give(const char *path, const char *what, size_t at, const uint8_t *data, size_t n)
{
    snprintf(input_name, sizeof input_name, "replay: %s, %s %zu\n", path, what, at);
    uint8_t *copy = allocate(n);
    if (n)
        memcpy(copy, data, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
    inputs++;
}

static size_t
step_for(size_t n)
{
    return 1 + n / PLACES_MAX;
}

static void
truncations(const char *path, const uint8_t *data, size_t n)
{
    for (size_t length = 0; length < n; length += step_for(n))
        give(path, "cut to", length, data, length);
}

static void
mutations(const char *path, uint8_t *data, size_t n)
{
    static const uint8_t hostile[] = {'"',  ',',  '\r', ';', '\n', '=',
                                      0xff, '\\', ' ',  '-', '9',  ':'};
    for (size_t at = 0; at < n; at += step_for(n)) {
        uint8_t was = data[at];
        const uint8_t becomes[] = {0, (uint8_t)(was ^ 1U << (at & 7)), hostile[at % sizeof hostile],
                                   hostile[(at / sizeof hostile + 5) % sizeof hostile]};
        for (size_t i = 0; i < sizeof becomes; i++) {
            data[at] = becomes[i];
            give(path, "changed at", at, data, n);
        }
        data[at] = was;
    }
}

static void
replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    uint8_t *data = allocate(FILE_MAX);
    size_t n = fread(data, 1, FILE_MAX, file);
    if (ferror(file) || (n == FILE_MAX && fgetc(file) != EOF)) {
        fprintf(stderr, "replay: %s: cannot be read, or is larger than %zu bytes\n", path,
                FILE_MAX);
        exit(1);
    }
    fclose(file);
    give(path, "whole", n, data, n);
    truncations(path, data, n);
    mutations(path, data, n);
    free(data);
}

static int
is_seed(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void
replay_directory(const char *directory)
{
    struct dirent **entries;
    /* In an order that is the same everywhere. */
    int count = scandir(directory, &entries, is_seed, alphasort);
    if (count < 0) {
        perror(directory);
        exit(1);
    }
    for (int i = 0; i < count; i++) {
        size_t size = strlen(directory) + strlen(entries[i]->d_name) + 2;
        char *path = allocate(size);
        snprintf(path, size, "%s/%s", directory, entries[i]->d_name);
        replay_file(path);
        free(path);
        free(entries[i]);
    }
    free(entries);
}

int
main(int argc, char **argv)
{
    signal(SIGABRT, on_abort);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(last_words);
    for (int i = 1; i < argc; i++)
        replay_directory(argv[i]);
    printf("%zu inputs\n", inputs);
    if (inputs == 0)
        fprintf(stderr, "usage: %s CORPUS-DIRECTORY..., with files in it\n", argv[0]);
    return inputs == 0;
}
