/* Checks for the C tests: the first that fails ends the program. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(what)                                                          \
    do {                                                                     \
        if (!(what)) {                                                       \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
            exit(1);                                                         \
        }                                                                    \
    } while (0)

/* A call that must end with a status; its error is told if it ends otherwise, and freed. */
#define ENDS(expected, call)                                                              \
    do {                                                                                  \
        xcp_error *error = NULL;                                                          \
        xcp_status status = (call);                                                       \
        if (status != (expected)) {                                                       \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, xcp_status_name(status), \
                    xcp_error_message(error));                                            \
            exit(1);                                                                      \
        }                                                                                 \
        CHECK((error == NULL) == (status == XCP_OK));                                     \
        CHECK(xcp_error_code(error) == status);                                           \
        xcp_error_free(error);                                                            \
    } while (0)

#endif
