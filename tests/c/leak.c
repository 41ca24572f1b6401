/* Leaks on purpose, what its argument says: the leak checks must catch it. */
#include "xcp_pool.h"

#include "check.h"

int main(int argc, char **argv) {
    char *text = NULL;
    xcp_snapshot *snapshot = NULL;
    CHECK(argc == 2);
    if (strcmp(argv[1], "text") == 0)
        ENDS(XCP_OK, xcp_partition_json("{\"hosts\": [\"a\"]}", &text, &error));
    else if (strcmp(argv[1], "object") == 0)
        ENDS(XCP_OK, xcp_snapshot_from_json("{}", true, &snapshot, &error));
    else
        CHECK(strcmp(argv[1], "nothing") == 0);
    text = NULL;
    snapshot = NULL;
    return text != NULL || snapshot != NULL;
}
