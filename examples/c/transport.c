/* A transport of one's own: a table of callbacks with a reply sink. This one answers from memory;
 * a real one would post the bytes with libcurl, and pass on what arrives by xcp_reply_body. */
#include "xcp_pool.h"

#include <stdio.h>
#include <string.h>

static int holds(const uint8_t *body, size_t length, const char *word) {
    size_t size = strlen(word);
    for (size_t at = 0; at + size <= length; at++)
        if (memcmp(body + at, word, size) == 0) return 1;
    return 0;
}

static void exchange(void *ctx, const xcp_request *request, const xcp_reply *reply) {
    size_t length = 0;
    const uint8_t *body = xcp_request_body(request, &length);
    const char *answer = "{\"jsonrpc\": \"2.0\", \"id\": 1, \"result\": \"OpaqueRef:session\"}";
    ++*(int *)ctx;
    if (holds(body, length, "pool.get_all_records"))
        answer = "{\"id\": 1, \"result\": {\"OpaqueRef:p\": {\"uuid\": \"the-pool\"}}}";
    else if (holds(body, length, "host.get_all"))
        answer = "{\"id\": 1, \"result\": [\"OpaqueRef:h\"]}";
    else if (!holds(body, length, "session.")) {
        xcp_reply_error(reply, XCP_E_TRANSPORT, "this host knows nothing else", NULL);
        return;
    }
    xcp_reply_body(reply, (const uint8_t *)answer, strlen(answer), NULL);
}

int main(void) {
    int requests = 0, failed = 1;
    xcp_error *error = NULL;
    xcp_transport *transport = NULL;
    xcp_client *client = NULL;
    char *hosts = NULL;
    xcp_transport_callbacks table = {sizeof table, &requests, exchange, NULL};
    if (xcp_transport_custom(&table, &transport, &error) == XCP_OK &&
        xcp_client_connect(transport, "10.0.0.1", "root", "secret", NULL, NULL, &client, &error) ==
            XCP_OK &&
        xcp_client_call_json(client, "host.get_all", NULL, NULL, &hosts, &error) == XCP_OK) {
        printf("%s\n", hosts);
        failed = 0;
    } else {
        fprintf(stderr, "%s\n", xcp_error_message(error));
    }
    xcp_string_free(hosts);
    xcp_error_free(error);
    xcp_client_free(client);
    xcp_transport_free(transport);
    printf("%d requests\n", requests);
    return failed;
}
