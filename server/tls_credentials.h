// TLS for the listener. Certificates may be replaced while the daemon runs: every new connection
// and every scrape of the metrics looks whether the files have changed, at most once a second. What
// cannot be used (half written, a key without its certificate) is logged and counted, and the last
// good ones stay.
//
// gRPC's own file watcher (FileWatcherCertificateProvider, experimental in 1.51) takes what it
// reads unchecked; the fetcher of certificates is part of its stable C interface, so that is what
// is used.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "server/certificates.h"
#include "src/observe/metrics.h"

namespace grpc {
class ServerCredentials;
}

namespace bif::server {

// INVALID_ARGUMENT as ReadCertificates. Whether client certificates are asked for is decided here
// once; the authority they must come from may be replaced too. The credentials must outlive the
// server that uses them: gRPC keeps what it calls back, and not the object that it calls.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> TlsCredentials(const TlsFiles& files,
                                                                        observe::Metrics& metrics);

}  // namespace bif::server
