/* SPDX-License-Identifier: Apache-2.0 */
/* The methods that the differential run knows: path on the gateway, path over gRPC, descriptors of
 * request and response, and whether requests may be generated for it (not for what would change who
 * may do what, or wait for ever). */
#ifndef QUORATE_TESTS_DIFFERENTIAL_METHODS_H
#define QUORATE_TESTS_DIFFERENTIAL_METHODS_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

struct diff_method {
    const char *gateway;
    const char *grpc;
    const ProtobufCMessageDescriptor *request;
    const ProtobufCMessageDescriptor *response;
    bool is_stream;
    bool is_generated;
};

/* NULL when the path is not known. */
const struct diff_method *diff_method_find(const char *gateway);
const struct diff_method *diff_methods(unsigned *ret_count);

#endif
