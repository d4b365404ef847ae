#include "server/tls_credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpcpp/security/server_credentials.h>

#include <array>
#include <filesystem>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "src/base/status.h"
#include "src/observe/log.h"

namespace bif::server {
namespace {

constexpr absl::Duration kLookEvery = absl::Seconds(1);

// What tells that a file was replaced or written anew.
struct FileState {
  std::filesystem::file_time_type modified;
  uintmax_t bytes = 0;
  bool operator==(const FileState&) const = default;
};
using FileStates = std::array<FileState, 3>;

FileStates StatesOf(const TlsFiles& files) {
  FileStates states;
  const std::array<const std::string*, 3> paths = {&files.certificate, &files.key,
                                                   &files.client_ca};
  for (size_t i = 0; i < paths.size(); ++i) {
    if (paths[i]->empty()) continue;
    std::error_code missing;  // is a state of its own
    states[i].modified = std::filesystem::last_write_time(*paths[i], missing);
    states[i].bytes = std::filesystem::file_size(*paths[i], missing);
  }
  return states;
}

grpc_ssl_server_certificate_config* ConfigOf(const Certificates& certificates) {
  const grpc_ssl_pem_key_cert_pair pair = {certificates.key_pem.c_str(),
                                           certificates.certificate_pem.c_str()};
  // gRPC wants an authority even where no client is asked for a certificate, and then has no use
  // for it.
  const std::string& client_ca = certificates.client_ca_pem.empty() ? certificates.certificate_pem
                                                                    : certificates.client_ca_pem;
  return grpc_ssl_server_certificate_config_create(client_ca.c_str(), &pair, 1);
}

struct Gauges {
  explicit Gauges(observe::Metrics& metrics)
      : expiry(metrics.GetGauge("bif_certificate_expiry_time_seconds",
                                "Unix time at which the certificate in use expires")),
        reload_failed(metrics.GetGauge("bif_certificate_reload_failed",
                                       "1 while the certificate's files cannot be used")) {}
  observe::Gauge expiry, reload_failed;
};

// Thread-safe.
class ReloadingCredentials final : public grpc::ServerCredentials {
 public:
  // The states are taken before the files are read: what changes in between is read again.
  ReloadingCredentials(const TlsFiles& files, const FileStates& states, Certificates certificates,
                       const Gauges& gauges)
      : files_(files), gauges_(gauges), states_(states) {
    Use(std::move(certificates));
    const auto clients = files.client_ca.empty()
                             ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                             : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
    credentials_ = grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(clients, &Fetch, this));
  }
  ~ReloadingCredentials() override { grpc_server_credentials_release(credentials_); }

  void LookNow() {
    absl::MutexLock lock(&mutex_);
    LookAgain();
  }

  // Callers are known by their tokens.
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  // gRPC asks before every handshake.
  static grpc_ssl_certificate_config_reload_status Fetch(
      void* self, grpc_ssl_server_certificate_config** config) {
    return static_cast<ReloadingCredentials*>(self)->FetchNow(config);
  }
  grpc_ssl_certificate_config_reload_status FetchNow(grpc_ssl_server_certificate_config** config) {
    absl::MutexLock lock(&mutex_);
    LookAgain();
    if (!has_fresh_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    *config = ConfigOf(fresh_);
    has_fresh_ = false;
    fresh_ = {};
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  void LookAgain() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const absl::Time now = absl::Now();
    if (now < next_look_) return;
    next_look_ = now + kLookEvery;
    const FileStates states = StatesOf(files_);
    if (states == states_) return;
    states_ = states;
    absl::StatusOr<Certificates> read = ReadCertificates(files_);
    if (!read.ok()) {
      observe::LogError("certificate not reloaded, the last one stays",
                        {{"error", std::string(read.status().message())}});
      gauges_.reload_failed.Set(1);
      return;
    }
    observe::LogInfo("certificate reloaded",
                     {{"file", files_.certificate}, {"expires", absl::FormatTime(read->expires)}});
    Use(*std::move(read));
  }

  void Use(Certificates certificates) {
    gauges_.expiry.Set(absl::ToDoubleSeconds(certificates.expires - absl::UnixEpoch()));
    gauges_.reload_failed.Set(0);
    fresh_ = std::move(certificates);
    has_fresh_ = true;
  }

  const TlsFiles files_;
  Gauges gauges_;
  grpc_server_credentials* credentials_ = nullptr;
  absl::Mutex mutex_;  // guards what is known of the files
  FileStates states_ ABSL_GUARDED_BY(mutex_);
  absl::Time next_look_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  Certificates fresh_ ABSL_GUARDED_BY(mutex_);  // that gRPC has not got yet
  bool has_fresh_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> TlsCredentials(const TlsFiles& files,
                                                                        observe::Metrics& metrics) {
  const FileStates states = StatesOf(files);
  BIF_ASSIGN_OR_RETURN(Certificates certificates, ReadCertificates(files));
  observe::LogInfo("certificate", {{"file", files.certificate},
                                   {"expires", absl::FormatTime(certificates.expires)},
                                   {"clients_need_one", !files.client_ca.empty()}});
  auto credentials = std::make_shared<ReloadingCredentials>(files, states, std::move(certificates),
                                                            Gauges(metrics));
  metrics.AddRefresher([weak = std::weak_ptr(credentials)] {
    if (const auto alive = weak.lock()) alive->LookNow();
  });
  return credentials;
}

}  // namespace bif::server
