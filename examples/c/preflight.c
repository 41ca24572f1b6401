/* May this host join this pool? Asks two saved snapshots, {class: {ref: record}}.
 *
 *   cc -std=c99 preflight.c -I../../include -L../../target/debug -lxcp_pool -o preflight
 *   ./preflight pool.json host.json '{"complete_snapshots": true}'
 *
 * Exits with 0 if nothing stands in the way, 1 if something does, 2 if it could not be asked. */
#include "xcp_pool.h"

#include <stdio.h>
#include <stdlib.h>

static char *read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t size = 0, room = 0, got = 0;
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    do {
        size += got;
        if (room < size + 65536) text = (char *)realloc(text, room = 2 * size + 65537);
        if (text == NULL) exit(2);
        got = fread(text + size, 1, 65536, file);
    } while (got > 0);
    fclose(file);
    text[size] = '\0';
    return text;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: %s pool.json host.json [options]\n", argv[0]);
        return 2;
    }
    char *pool = read_file(argv[1]), *host = read_file(argv[2]), *report = NULL;
    xcp_error *error = NULL;
    xcp_status status = xcp_preflight_json(pool, host, argc > 3 ? argv[3] : NULL, &report, &error);
    free(pool);
    free(host);
    if (status != XCP_OK) {
        fprintf(stderr, "%s: %s\n", xcp_status_name(status), xcp_error_message(error));
        xcp_error_free(error);
        return 2;
    }
    printf("%s\n", report);
    int blocked = report[0] != '{'; /* the verdict is near the front: a C program need not parse */
    for (const char *at = report; *at != '\0' && at < report + 64; at++)
        if (*at == 'v' && at[1] == 'e' && at[2] == 'r') blocked = at[10] != 'r';
    xcp_string_free(report);
    return blocked;
}
