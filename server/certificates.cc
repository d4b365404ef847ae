#include "server/certificates.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <ctime>

#include "absl/strings/str_cat.h"
#include "server/openssl_objects.h"
#include "src/base/files.h"
#include "src/base/status.h"

namespace bif::server {
namespace {

absl::Status Wrong(const std::string& path, const std::string& why) {
  ERR_clear_error();
  return absl::InvalidArgumentError(absl::StrCat(path, " ", why));
}

Bio Reader(const std::string& pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// A key behind a passphrase is refused, not asked for: nobody sits before the daemon.
int NoPassphrase(char*, int, int, void*) { return 0; }

absl::StatusOr<X509Certificate> FirstCertificate(const std::string& path, const std::string& pem) {
  X509Certificate certificate(PEM_read_bio_X509(Reader(pem).get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr)
    return Wrong(path, "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
  return certificate;
}

}  // namespace

absl::StatusOr<Certificates> ReadCertificates(const TlsFiles& files) {
  Certificates read;
  BIF_ASSIGN_OR_RETURN(read.certificate_pem, ReadFile(files.certificate));
  BIF_ASSIGN_OR_RETURN(read.key_pem, ReadFile(files.key));
  BIF_ASSIGN_OR_RETURN(const X509Certificate certificate,
                       FirstCertificate(files.certificate, read.certificate_pem));
  const Key key(
      PEM_read_bio_PrivateKey(Reader(read.key_pem).get(), nullptr, NoPassphrase, nullptr));
  if (key == nullptr)
    return Wrong(files.key, "holds no private key in PEM form without a passphrase");
  if (X509_check_private_key(certificate.get(), key.get()) != 1)
    return Wrong(files.key, absl::StrCat("is not the key of ", files.certificate));
  if (!files.client_ca.empty()) {
    BIF_ASSIGN_OR_RETURN(read.client_ca_pem, ReadFile(files.client_ca));
    BIF_RETURN_IF_ERROR(FirstCertificate(files.client_ca, read.client_ca_pem).status());
  }
  std::tm expires = {};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &expires) != 1)
    return Wrong(files.certificate, "does not say until when it holds");
  read.expires = absl::FromTM(expires, absl::UTCTimeZone());
  return read;
}

}  // namespace bif::server
